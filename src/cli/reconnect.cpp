#include "cli/reconnect.h"

#include "cli/interrupts.h"
#include "os/clock.h"

namespace dunlin {

namespace {
constexpr int kPauseMs = 200;
}  // namespace

bool Reconnect::again() {
  const std::int64_t now = monotonic_ms();
  if (lost_at_ms_ == 0) lost_at_ms_ = now;
  if (now - lost_at_ms_ > patience_.milliseconds()) return false;
  (void)poll_counting(nullptr, 0, kPauseMs);
  return true;
}

}  // namespace dunlin
