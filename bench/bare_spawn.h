// The machine's own speed at starting processes: posix_spawn of /bin/true, kSpawnsInFlight at a
// time, uncaptured and forgotten. What every figure about short tasks is compared with.
#pragma once

#include <cstdint>

namespace dunlin {

constexpr std::uint64_t kSpawnsInFlight = 8;

struct Spawned {
  double rate = 0;          // tasks a second
  double cpu_per_task = 0;  // microseconds, of all processes that took part
};

// In a session of its own, as nodes and runners are: each has its share of a contended processor
// then (the scheduler's autogroups), rather than the loop sharing that of the shell's.
Spawned spawn_bare(std::uint64_t count);

}  // namespace dunlin
