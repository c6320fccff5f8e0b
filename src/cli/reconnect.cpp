#include "cli/reconnect.h"

#include <utility>

#include "cli/interrupts.h"
#include "cli/report.h"
#include "cli/units.h"
#include "os/clock.h"

namespace dunlin {

namespace {
constexpr int kPauseMs = 200;
constexpr std::int64_t kUnsaidMs = 1000;  // another node may have taken over by then
}  // namespace

bool Reconnect::again(const Error& why) {
  const std::int64_t now = monotonic_ms();
  if (lost_at_ms_ == 0) lost_at_ms_ = now;
  const std::int64_t left_ms = lost_at_ms_ + patience_.milliseconds() - now;
  if (left_ms < 0) return false;
  if (now - lost_at_ms_ >= kUnsaidMs && !std::exchange(has_said_, true)) {
    const Duration left = seconds((left_ms + 500) / 1000);
    note("dunlin: " + why.message + "; trying again for " + text_of(left));
  }
  (void)poll_counting(nullptr, 0, kPauseMs);
  return true;
}

}  // namespace dunlin
