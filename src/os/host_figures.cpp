#include "os/host_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "os/clock.h"

namespace dunlin {

namespace {

std::uint64_t resident_bytes() {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/self/statm", "re"),
                                                   std::fclose);
  unsigned long long pages = 0;
  if (file == nullptr || std::fscanf(file.get(), "%*u %llu", &pages) != 1) return 0;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t count_descriptors() {
  const std::unique_ptr<DIR, int (*)(DIR*)> all(opendir("/proc/self/fd"), closedir);
  if (all == nullptr) return 0;
  std::uint64_t count = 0;
  while (const dirent* entry = readdir(all.get())) count += entry->d_name[0] != '.' ? 1 : 0;
  return count - 1;  // not the one that looks
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// The kernel tells it in ticks since the boot, which no clock here counts from: reckoned once.
double start_time() {
  static const double at = [] {
    const std::unique_ptr<FILE, int (*)(FILE*)> stat(std::fopen("/proc/self/stat", "re"),
                                                     std::fclose);
    const std::unique_ptr<FILE, int (*)(FILE*)> uptime(std::fopen("/proc/uptime", "re"),
                                                       std::fclose);
    unsigned long long ticks = 0;
    double up = 0;
    // The name, the second field, is this program's own and has no blanks.
    constexpr const char* kFields =
        "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu";
    if (stat == nullptr || std::fscanf(stat.get(), kFields, &ticks) != 1) return 0.0;
    if (uptime == nullptr || std::fscanf(uptime.get(), "%lf", &up) != 1) return 0.0;
    const double age = up - static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
    return static_cast<double>(wall_now().ms) / 1000 - age;
  }();
  return at;
}

}  // namespace

void add_process_figures(HostFigures& figures) {
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) {
    figures.cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.most_descriptors = limit.rlim_cur;
  figures.start_time = start_time();
  figures.resident = resident_bytes();
  figures.open_descriptors = count_descriptors();
}

}  // namespace dunlin
