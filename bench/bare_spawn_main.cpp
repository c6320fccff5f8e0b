// bare_spawn COUNT: prints tasks a second and the CPU of one task in microseconds.
#include <cstdio>
#include <cstdlib>

#include "bare_spawn.h"

int main(int argc, char** argv) {
  const std::uint64_t count = argc < 2 ? 10'000 : std::strtoull(argv[1], nullptr, 10);
  const dunlin::Spawned spawned = dunlin::spawn_bare(count);
  std::printf("%.0f %.1f\n", spawned.rate, spawned.cpu_per_task);
}
