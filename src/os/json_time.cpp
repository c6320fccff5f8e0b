#include "os/json_time.h"

#include <array>
#include <charconv>

namespace dunlin {

namespace {

// Takes exactly so many digits off the front.
std::optional<std::int64_t> take_digits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  std::int64_t number = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    number = number * 10 + (text[i] - '0');
  }
  text.remove_prefix(count);
  return number;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

// Days since 1970-01-01 in the proleptic Gregorian calendar: timegm() would read the time zone's
// file first, a tenth of a command's start. H. Hinnant, "chrono-compatible low-level date
// algorithms".
std::int64_t days_from_civil(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const std::int64_t day_of_era =
      year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

// 0 where there is no such month.
std::int64_t days_of_month(std::int64_t year, std::int64_t month) {
  constexpr std::array<std::int64_t, 13> kDays = {0,  31, 28, 31, 30, 31, 30,
                                                  31, 31, 30, 31, 30, 31};
  const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[static_cast<std::size_t>(month)] + (month == 2 && is_leap ? 1 : 0);
}

}  // namespace

std::optional<WallTime> from_rfc3339(std::string_view text) {
  // YYYY-MM-DDTHH:MM:SS: each number and what stands after it.
  constexpr std::array<std::size_t, 6> kDigits = {4, 2, 2, 2, 2, 2};
  constexpr std::array<std::int64_t, 6> kMost = {9999, 12, 31, 23, 59, 60};
  constexpr std::string_view kAfter = "--T::";
  std::array<std::int64_t, 6> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto number = take_digits(text, kDigits[i]);
    if (!number || *number > kMost[i]) return std::nullopt;
    parts[i] = *number;
    if (i < kAfter.size() && !take(text, kAfter[i])) return std::nullopt;
  }
  if (parts[2] == 0 || parts[2] > days_of_month(parts[0], parts[1])) return std::nullopt;
  std::int64_t ms = 0;
  if (take(text, '.')) {
    std::int64_t unit = 100;
    while (const auto digit = take_digits(text, 1)) {
      ms += *digit * unit;
      unit /= 10;
    }
  }
  if (text != "Z") return std::nullopt;
  const std::int64_t days = days_from_civil(parts[0], parts[1], parts[2]);
  const std::int64_t seconds = ((days * 24 + parts[3]) * 60 + parts[4]) * 60 + parts[5];
  return WallTime{seconds * 1000 + ms};
}

}  // namespace dunlin
