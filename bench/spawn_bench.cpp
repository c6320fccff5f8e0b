// How fast do short tasks pass through the runner? 5,000 x /bin/true, 8 in flight, both streams
// captured, each in a directory of its own, beside a bare posix_spawn loop with 8 in flight,
// uncaptured; alternating, since the machine's mood changes by the minute. Trust the ratio.
//
//   spawn_bench [COUNT [ROUNDS [no-pin]]]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "bare_spawn.h"
#include "base/assert.h"
#include "os/clock.h"
#include "os/runner.h"
#include "os/runner_process.h"

namespace dunlin {
namespace {

class Node {
 public:
  Node(const std::string& directory, bool may_pin) {
    uv_loop_init(&loop_);
    RunnerOptions options;
    options.directory = directory;
    options.may_pin = may_pin;
    auto runner = Runner::open(
        &loop_, options,
        {.on_events =
             [this](std::vector<ProcessEvent> events) {
               for (const ProcessEvent& event : events) on_event(event);
               fill();
             },
         .on_problem =
             [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }});
    ASSERT(runner.has_value());
    runner_ = std::move(*runner);
    while (!ready_) uv_run(&loop_, UV_RUN_ONCE);
  }

  ~Node() {
    runner_->shut_down();
    while (!runner_->is_closed()) uv_run(&loop_, UV_RUN_ONCE);
  }

  double run(std::uint64_t count) {
    const Instant begin = monotonic_now();
    started_ = ended_ = 0;
    count_ = count;
    fill();
    while (ended_ < count_) uv_run(&loop_, UV_RUN_ONCE);
    return static_cast<double>(count) / (monotonic_now() - begin).seconds();
  }

 private:
  void fill() {
    while (started_ < count_ && started_ < ended_ + kSpawnsInFlight) {
      StartProcess start;
      start.key = next_key_++;
      start.label = Bytes(40);
      start.argv = {"true"};
      start.environment = {{"DUNLIN_JOB_ID", "abcdefghij"},
                           {"DUNLIN_TASK_ID", "1"},
                           {"DUNLIN_ENTRY", "1"},
                           {"DUNLIN_ATTEMPT", "1"},
                           {"DUNLIN_NODE", "0123456789abcdefgh"},
                           {"DUNLIN_CPUS", "1"}};
      runner_->start(std::move(start));
      ++started_;
    }
  }

  void on_event(const ProcessEvent& event) {
    if (std::holds_alternative<RunnerReady>(event)) ready_ = true;
    const auto* exit = std::get_if<ProcessExited>(&event);
    if (exit == nullptr) return;
    ASSERT(exit->exit_code == 0);
    ++ended_;
    runner_->release({exit->key});
  }

  uv_loop_t loop_{};
  std::unique_ptr<Runner> runner_;
  bool ready_ = false;
  ProcessKey next_key_ = 1;
  std::uint64_t count_ = 0;
  std::uint64_t started_ = 0;
  std::uint64_t ended_ = 0;
};

// Microseconds of CPU of a process' first thread so far.
double cpu_of(pid_t pid) {
  double nanoseconds = 0;
  std::ifstream("/proc/" + std::to_string(pid) + "/schedstat") >> nanoseconds;
  return nanoseconds / 1000;
}

// Of a process and all that it has reaped: utime, stime, cutime, cstime of /proc/PID/stat.
double cpu_with_children(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  double ticks = 0;
  for (int field = 1; field <= 17 && file >> word; ++field) {
    if (field >= 14) ticks += std::stod(word);
  }
  return ticks * 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
}

pid_t runner_pid(const std::string& directory) {
  const int fd = connect_to(directory, kRunnerSocket).value();
  ucred peer{};
  socklen_t size = sizeof peer;
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  close(fd);
  return peer.pid;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void measure(std::uint64_t count, int rounds, bool may_pin) {
  char name[] = "/tmp/dunlin-bench-XXXXXX";
  const std::string directory = mkdtemp(name);
  std::vector<double> ratios;
  {
    Node node(directory, may_pin);
    const pid_t runner = runner_pid(directory);
    node.run(200);
    for (int round = 0; round < rounds; ++round) {
      const Spawned bare = spawn_bare(count);
      const double node_cpu = cpu_of(getpid());
      const double runner_cpu = cpu_of(runner);
      const double all_cpu = cpu_with_children(runner);
      const double rate = node.run(count);
      const auto tasks = static_cast<double>(count);
      const double of_node = (cpu_of(getpid()) - node_cpu) / tasks;
      std::printf(
          "bare %5.0f/s  runner %5.0f/s  ratio %.2f  CPU per task: bare %.0f us, through the "
          "runner %.0f us, of it node %.0f, runner itself %.0f\n",
          bare.rate, rate, rate / bare.rate, bare.cpu_per_task,
          of_node + (cpu_with_children(runner) - all_cpu) / tasks, of_node,
          (cpu_of(runner) - runner_cpu) / tasks);
      ratios.push_back(rate / bare.rate);
    }
    std::string status;
    std::ifstream file("/proc/" + std::to_string(runner) + "/status");
    while (std::getline(file, status)) {
      if (status.starts_with("VmRSS") || status.starts_with("RssAnon")) {
        std::printf("runner's %s\n", status.c_str());
      }
    }
  }
  ASSERT(remove_tree(directory).has_value());
  std::printf("median ratio %.2f\n", median(ratios));
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (!words.empty() && words[0] == "runner") {
    return dunlin::run_runner({words.begin() + 1, words.end()});
  }
  dunlin::measure(words.empty() ? 5000 : std::stoull(words[0]),
                  words.size() < 2 ? 5 : std::stoi(words[1]), words.size() < 3);
}
