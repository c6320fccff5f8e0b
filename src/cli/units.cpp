#include "cli/units.h"

#include <charconv>
#include <cstdio>
#include <limits>
#include <optional>

namespace dunlin {

namespace {

constexpr std::int64_t kLongestMs = std::int64_t{100} * 366 * 24 * 3600 * 1000;

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

// Takes the digits that `text` begins with.
std::optional<std::uint64_t> take_digits(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(at - text.data()));
  return number;
}

std::optional<std::int64_t> take_time_unit_ms(std::string_view& text) {
  struct Unit {
    std::string_view name;
    std::int64_t ms;
  };
  constexpr Unit kUnits[] = {{"ms", 1},        {"s", 1000},       {"m", 60'000},
                             {"h", 3'600'000}, {"d", 86'400'000}, {"w", 604'800'000}};
  for (const Unit& unit : kUnits) {
    if (!text.starts_with(unit.name)) continue;
    text.remove_prefix(unit.name.size());
    return unit.ms;
  }
  return std::nullopt;
}

}  // namespace

Result<Duration> duration_from(std::string_view text) {
  const std::string hint = "write it with units, as in 90s, 10m, 1h30m or 30d";
  if (text == "0") return Duration{};
  std::int64_t total_ms = 0;
  std::string_view rest = text;
  do {
    const auto number = take_digits(rest);
    const auto unit = number ? take_time_unit_ms(rest) : std::nullopt;
    if (number && rest.empty() && !unit) {
      return fail(Code::kUsage, quoted(text) + " is a bare number, not a duration", hint);
    }
    if (!number || !unit) return fail(Code::kUsage, quoted(text) + " is no duration", hint);
    if (*number > static_cast<std::uint64_t>(kLongestMs / *unit)) {
      return fail(Code::kUsage, quoted(text) + " is longer than 100 years");
    }
    total_ms += static_cast<std::int64_t>(*number) * *unit;
  } while (!rest.empty() && total_ms <= kLongestMs);
  if (total_ms > kLongestMs) return fail(Code::kUsage, quoted(text) + " is longer than 100 years");
  return milliseconds(total_ms);
}

Result<std::uint64_t> size_from(std::string_view text) {
  const std::string hint = "write it with a unit, as in 512K, 4G or 1T";
  if (text == "0") return 0;
  std::string_view rest = text;
  const auto number = take_digits(rest);
  if (!number) return fail(Code::kUsage, quoted(text) + " is no size", hint);
  if (rest.empty()) return fail(Code::kUsage, quoted(text) + " is a bare number, not a size", hint);
  constexpr std::string_view kUnits = "BKMGTP";
  const std::size_t power = kUnits.find(static_cast<char>(rest[0] & ~0x20));
  const std::string_view tail = rest.substr(1);
  const bool is_spelt_out = tail == "iB" || tail == "i";
  if (power == std::string_view::npos || !(tail.empty() || (power > 0 && is_spelt_out))) {
    return fail(Code::kUsage, quoted(text) + " is no size", hint);
  }
  const std::uint64_t factor = std::uint64_t{1} << (10 * power);
  if (*number > std::uint64_t{std::numeric_limits<std::int64_t>::max()} / factor) {
    return fail(Code::kUsage, quoted(text) + " is larger than anything");
  }
  return *number * factor;
}

Result<std::int64_t> number_from(std::string_view text, std::int64_t low, std::int64_t high) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  const bool is_beyond = error == std::errc::result_out_of_range;
  if (text.empty() || at != end || (error != std::errc() && !is_beyond)) {
    return fail(Code::kUsage, quoted(text) + " is no whole number");
  }
  if (is_beyond || number < low || number > high) {
    return fail(Code::kUsage, quoted(text) + " is not between " + std::to_string(low) + " and " +
                                  std::to_string(high));
  }
  return number;
}

Result<std::pair<std::string, std::string>> pair_from(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(Code::kUsage, quoted(text) + " is not of the form NAME=VALUE");
  }
  return std::pair{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

std::string text_of(Duration duration) {
  const std::int64_t ms = duration.milliseconds();
  if (ms < 1000) return std::to_string(ms) + "ms";
  const std::int64_t s = ms / 1000;
  char text[64];
  if (s < 10) {
    std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(ms) / 1000);
  } else if (s < 120) {
    std::snprintf(text, sizeof text, "%llds", static_cast<long long>(s));
  } else if (s < 2 * 3600) {
    std::snprintf(text, sizeof text, "%lldm%02llds", static_cast<long long>(s / 60),
                  static_cast<long long>(s % 60));
  } else if (s < 2 * 86400) {
    std::snprintf(text, sizeof text, "%lldh%02lldm", static_cast<long long>(s / 3600),
                  static_cast<long long>(s / 60 % 60));
  } else {
    std::snprintf(text, sizeof text, "%lldd%lldh", static_cast<long long>(s / 86400),
                  static_cast<long long>(s / 3600 % 24));
  }
  return text;
}

std::string size_text(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "K", "M", "G", "T", "P", "E"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit < 6) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, unit > 0 && value < 10 ? "%.1f%s" : "%.0f%s", value,
                kUnits[unit]);
  return text;
}

std::string counted(std::uint64_t count, const std::string& one) {
  return std::to_string(count) + " " + one + (count == 1 ? "" : "s");
}

}  // namespace dunlin
