#include "os/json_time.h"

#include <cstdio>
#include <ctime>
#include <string>

namespace dunlin {

std::optional<WallTime> from_rfc3339(std::string_view text) {
  const std::string copy(text);
  std::tm parts{};
  int used = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon,
                  &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6) {
    return std::nullopt;
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  std::string_view rest = text.substr(static_cast<std::size_t>(used));
  std::int64_t ms = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    std::int64_t unit = 100;
    while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      ms += (rest[0] - '0') * unit;
      unit /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest != "Z") return std::nullopt;
  return WallTime{std::int64_t{timegm(&parts)} * 1000 + ms};
}

}  // namespace dunlin
