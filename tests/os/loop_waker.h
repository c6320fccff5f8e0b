// Turns a libuv loop until something is so, or until a test has waited long enough.
#pragma once

#include <uv.h>

#include "base/time.h"
#include "os/clock.h"

namespace dunlin {

class LoopWaker {
 public:
  static constexpr Duration kPatience = seconds(120);

  explicit LoopWaker(uv_loop_t* loop) : loop_(loop) { uv_timer_init(loop, &timer_); }
  LoopWaker(const LoopWaker&) = delete;
  LoopWaker& operator=(const LoopWaker&) = delete;

  // False when it was not so in time. Blocks in between, and wakes for what only time makes true.
  template <class Condition>
  bool run_until(Condition is_so, Duration patience = kPatience) {
    const Instant end = monotonic_now() + patience;
    uv_timer_start(
        &timer_, [](uv_timer_t*) {}, 5, 5);
    while (!is_so() && monotonic_now() < end) uv_run(loop_, UV_RUN_ONCE);
    uv_timer_stop(&timer_);
    return is_so();
  }

  // Once, at the end; the loop has to run on.
  void close() { uv_close(reinterpret_cast<uv_handle_t*>(&timer_), nullptr); }

 private:
  uv_loop_t* const loop_;
  uv_timer_t timer_{};
};

}  // namespace dunlin
