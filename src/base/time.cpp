#include "base/time.h"

#include <cstdio>
#include <ctime>

namespace dunlin {

std::string to_rfc3339(WallTime time) {
  std::int64_t whole = time.ms / 1000;
  std::int64_t rest = time.ms % 1000;
  if (rest < 0) {
    rest += 1000;
    whole -= 1;
  }
  const std::time_t clock = whole;
  std::tm parts{};
  gmtime_r(&clock, &parts);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(rest));
  return text;
}

}  // namespace dunlin
