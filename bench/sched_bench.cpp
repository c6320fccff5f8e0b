// What the scheduler itself costs: jobs through a simulated cluster of schedulers (no process, no
// disk, no network), as processor time a task over all coordinators and executors. The simulation's
// own work is in it: the figure is for comparing one version with the next, and for profiling.
//
//   sched_bench [TASKS]      default 10000
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "sched/sched_cluster.h"

using dunlin::GroupId;
using dunlin::JobId;
using dunlin::milliseconds;
using dunlin::sched::testing::Cluster;

namespace {

double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

bool measure(const char* name, const std::vector<std::string>& command, std::uint32_t tasks) {
  Cluster cluster({.nodes = 4, .cpus = 2, .check = false});
  const double before = cpu_seconds();
  const dunlin::Instant began = cluster.now();
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec(command, tasks));
  bool ended = false;
  for (int i = 0; i < 10'000 && !ended; ++i) {
    cluster.run_for(milliseconds(20));
    ended = dunlin::is_final(cluster.show(job).state);
  }
  const double us = (cpu_seconds() - before) * 1e6 / tasks;
  const double virtual_s = static_cast<double>((cluster.now() - began).us) / 1e6;
  std::printf(
      "%-28s %8u tasks  %8.2f us of CPU a task  %6zu entries  %7zu messages  %.2f s virtual\n",
      name, tasks, us, cluster.entries(GroupId{1}), cluster.messages(), virtual_s);
  return ended;
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint32_t tasks =
      argc > 1 ? static_cast<std::uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 10'000;
  bool ended = measure("no-op", {":"}, tasks);
  ended = measure("1 ms, silent", {"work", "1"}, tasks) && ended;
  ended = measure("1 ms, 20 bytes of output", {"print", "20", "1"}, tasks) && ended;
  if (!ended) std::puts("a job did not end");
  return ended ? 0 : 1;
}
