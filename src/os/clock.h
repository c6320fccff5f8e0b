// The machine's two clocks, as the cores below get them.
#pragma once

#include "base/time.h"

namespace dunlin {

// CLOCK_MONOTONIC: never goes back, stands still with the machine.
Instant monotonic_now();
std::int64_t monotonic_ms();
WallTime wall_now();

}  // namespace dunlin
