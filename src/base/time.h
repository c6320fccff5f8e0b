// Two kinds of time. `Instant` is a node's monotonic clock: deadlines and timeouts, never shown to
// anyone and never sent to another node. `WallTime` is what people read: recorded, shown, and
// never used to decide anything that safety rests on.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <string>

namespace dunlin {

struct Duration {
  std::int64_t us = 0;
  auto operator<=>(const Duration&) const = default;

  constexpr std::int64_t milliseconds() const { return us / 1000; }
  constexpr double seconds() const { return static_cast<double>(us) / 1e6; }
};

constexpr Duration microseconds(std::int64_t n) {
  return {n};
}
constexpr Duration milliseconds(std::int64_t n) {
  return {n * 1000};
}
constexpr Duration seconds(std::int64_t n) {
  return {n * 1'000'000};
}
constexpr Duration operator+(Duration a, Duration b) {
  return {a.us + b.us};
}
constexpr Duration operator-(Duration a, Duration b) {
  return {a.us - b.us};
}
constexpr Duration operator*(Duration a, std::int64_t n) {
  return {a.us * n};
}
constexpr Duration operator/(Duration a, std::int64_t n) {
  return {a.us / n};
}

struct Instant {
  std::int64_t us = 0;
  auto operator<=>(const Instant&) const = default;

  // Later than any deadline: "nothing to wait for".
  static constexpr Instant never() { return {std::numeric_limits<std::int64_t>::max()}; }
};

constexpr Instant operator+(Instant at, Duration d) {
  return at == Instant::never() ? at : Instant{at.us + d.us};
}
constexpr Instant operator-(Instant at, Duration d) {
  return {at.us - d.us};
}
constexpr Duration operator-(Instant a, Instant b) {
  return {a.us - b.us};
}

// Milliseconds since 1970-01-01T00:00:00Z; 0 means "not known".
struct WallTime {
  std::int64_t ms = 0;
  auto operator<=>(const WallTime&) const = default;
};

// RFC 3339 in UTC with milliseconds: 2026-11-21T21:03:42.123Z.
std::string to_rfc3339(WallTime time);

}  // namespace dunlin
