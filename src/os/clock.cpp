#include "os/clock.h"

#include <ctime>

namespace dunlin {

namespace {

std::int64_t microseconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

Instant monotonic_now() {
  return {microseconds_of(CLOCK_MONOTONIC)};
}

std::int64_t monotonic_ms() {
  return monotonic_now().us / 1000;
}

WallTime wall_now() {
  return {microseconds_of(CLOCK_REALTIME) / 1000};
}

}  // namespace dunlin
