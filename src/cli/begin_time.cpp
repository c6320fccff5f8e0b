#include "cli/begin_time.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <string>

#include "cli/units.h"
#include "os/json_time.h"

namespace dunlin {

namespace {

// Two digits off the front, after `before` if that is not 0.
std::optional<int> take_two(std::string_view& text, char before) {
  std::string_view rest = text;
  if (before != 0) {
    if (rest.empty() || rest.front() != before) return std::nullopt;
    rest.remove_prefix(1);
  }
  if (rest.size() < 2) return std::nullopt;
  const auto number = number_from(rest.substr(0, 2), 0, 99);
  if (!number || rest.front() == '-' || rest.front() == '+') return std::nullopt;
  text = rest.substr(2);
  return static_cast<int>(*number);
}

// HH:MM[:SS], the whole text.
bool take_clock(std::string_view text, std::tm& to) {
  const auto hour = take_two(text, 0);
  const auto minute = take_two(text, ':');
  const auto second = text.empty() ? 0 : take_two(text, ':');
  if (!hour || !minute || !second || !text.empty()) return false;
  if (*hour > 23 || *minute > 59 || *second > 59) return false;
  to.tm_hour = *hour;
  to.tm_min = *minute;
  to.tm_sec = *second;
  return true;
}

// YYYY-MM-DD off the front.
bool take_date(std::string_view& text, std::tm& to) {
  const auto century = take_two(text, 0);
  const auto year = take_two(text, 0);
  const auto month = take_two(text, '-');
  const auto day = take_two(text, '-');
  if (!century || !year || !month || !day) return false;
  to.tm_year = *century * 100 + *year - 1900;
  to.tm_mon = *month - 1;
  to.tm_mday = *day;
  return true;
}

// Nothing for a date that no calendar has, which mktime() would take for another.
std::optional<WallTime> local_time(std::tm parts) {
  parts.tm_isdst = -1;
  const int day = parts.tm_mday;
  const int month = parts.tm_mon;
  const std::time_t seconds = std::mktime(&parts);
  if (seconds == -1 || parts.tm_mday != day || parts.tm_mon != month) return std::nullopt;
  return WallTime{std::int64_t{seconds} * 1000};
}

// Z, or +HH:MM off the end, in minutes; nothing when there is neither.
std::optional<int> take_offset(std::string_view& text) {
  if (text.ends_with('Z') || text.ends_with('z')) {
    text.remove_suffix(1);
    return 0;
  }
  if (text.size() < 6) return std::nullopt;
  std::string_view offset = text.substr(text.size() - 6);
  const char sign = offset.front();
  if (sign != '+' && sign != '-') return std::nullopt;
  const auto hours = take_two(offset, sign);
  const auto minutes = take_two(offset, ':');
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  text.remove_suffix(6);
  const int total = *hours * 60 + *minutes;
  return sign == '+' ? total : -total;
}

std::optional<WallTime> dated(std::string_view text) {
  std::string_view rest = text;
  std::tm parts{};
  if (!take_date(rest, parts)) return std::nullopt;
  if (rest.empty()) return local_time(parts);
  if (rest.front() != 'T' && rest.front() != 't' && rest.front() != ' ') return std::nullopt;
  std::string_view clock = rest.substr(1);
  if (take_clock(clock, parts)) return local_time(parts);
  const auto offset = take_offset(clock);
  if (!offset) return std::nullopt;
  const std::string utc = std::string(text.substr(0, 10)) + "T" + std::string(clock) + "Z";
  const auto time = from_rfc3339(utc);
  if (!time) return std::nullopt;
  return WallTime{time->ms - std::int64_t{*offset} * 60'000};
}

// Today, or tomorrow.
std::optional<WallTime> next_time_of_day(std::string_view text, WallTime now) {
  const std::time_t seconds = now.ms / 1000;
  std::tm parts{};
  if (localtime_r(&seconds, &parts) == nullptr || !take_clock(text, parts)) return std::nullopt;
  parts.tm_isdst = -1;
  std::tm today = parts;
  const WallTime first{std::int64_t{std::mktime(&today)} * 1000};
  if (first > now) return first;
  parts.tm_mday += 1;  // mktime() knows how long months are
  return WallTime{std::int64_t{std::mktime(&parts)} * 1000};
}

}  // namespace

Result<WallTime> begin_time_from(std::string_view text, WallTime now) {
  std::string_view rest = text;
  if (rest == "now") return now;
  if (rest.starts_with("now+")) rest.remove_prefix(3);
  if (rest.starts_with('+')) {
    const auto later = duration_from(rest.substr(1));
    if (!later) return tl::unexpected(later.error());
    return WallTime{now.ms + later->milliseconds()};
  }
  // What is past is past, before 1970 too.
  if (const auto time = dated(text)) return std::max(*time, WallTime{});
  if (const auto time = next_time_of_day(text, now)) return *time;
  return fail(Code::kUsage, "'" + std::string(text) + "' is no time",
              "write +1h, 14:30, 2030-01-31, 2030-01-31T14:30 or 2030-01-31T14:30:00Z");
}

}  // namespace dunlin
