#include "bare_spawn.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "os/clock.h"

namespace dunlin {

namespace {

double cpu_of_usage(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto micros = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

Spawned bare_loop(std::uint64_t count) {
  const Instant begin = monotonic_now();
  std::uint64_t started = 0;
  for (std::uint64_t ended = 0; ended < count;) {
    while (started < count && started < ended + kSpawnsInFlight) {
      char name[] = "/bin/true";
      char* argv[] = {name, nullptr};
      pid_t pid = 0;
      ASSERT(posix_spawn(&pid, name, nullptr, nullptr, argv, environ) == 0);
      ++started;
    }
    ASSERT(wait(nullptr) > 0);
    ++ended;
  }
  const auto tasks = static_cast<double>(count);
  return {tasks / (monotonic_now() - begin).seconds(),
          (cpu_of_usage(RUSAGE_SELF) + cpu_of_usage(RUSAGE_CHILDREN)) / tasks};
}

}  // namespace

Spawned spawn_bare(std::uint64_t count) {
  int result[2];
  ASSERT(pipe(result) == 0);
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    const Spawned measured = bare_loop(count);
    _exit(write(result[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  Spawned measured;
  ASSERT(read(result[0], &measured, sizeof measured) == sizeof measured);
  ASSERT(waitpid(child, nullptr, 0) == child);
  close(result[0]);
  close(result[1]);
  return measured;
}

}  // namespace dunlin
