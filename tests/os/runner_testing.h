// A node process reduced to its runner: starts processes, collects what comes of them.
#pragma once

#include <stdlib.h>
#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "os/runner.h"
#include "os/temporary_directory.h"

namespace dunlin {

struct SeenProcess {
  int pid = 0;
  std::string text[2];              // of stdout and stderr, from where it was first seen
  std::uint64_t begin[2] = {0, 0};  // the offset of that
  std::optional<ProcessExited> end;
};

class TestNode {
 public:
  explicit TestNode(RunnerOptions options);
  ~TestNode();  // lets go of the runner
  TestNode(const TestNode&) = delete;
  TestNode& operator=(const TestNode&) = delete;

  // Turns the loop until `condition` holds; false when that takes too long.
  bool wait(const std::function<bool()>& condition, Duration limit = seconds(20));
  bool wait_ready();
  bool wait_end(ProcessKey key);

  // Starts `sh -c script`, or the words given.
  void start_shell(ProcessKey key, const std::string& script);
  void start(ProcessKey key, std::vector<std::string> argv);
  // Runs it to its end.
  SeenProcess run(ProcessKey key, std::vector<std::string> argv);
  SeenProcess run_shell(ProcessKey key, const std::string& script);

  // Kills everything, and waits until the runner is no more.
  void shut_down();

  Runner& runner() { return *runner_; }

  bool takes_output = true;  // at once
  std::map<ProcessKey, SeenProcess> seen;
  std::vector<RunnerHeld> held;
  std::string isolation_note;
  std::vector<OutputsFound> found;
  std::vector<OutputData> data;
  std::vector<std::string> problems;
  int times_ready = 0;
  int times_lost = 0;
  int times_silent = 0;
  bool is_silent = false;

 private:
  void close();
  void on_event(ProcessEvent event);

  const std::string directory_;
  uv_loop_t loop_{};
  uv_timer_t tick_{};
  std::unique_ptr<Runner> runner_;
};

// A daemon as in the textbook: fork, setsid, fork, with streams of its own. For `sh -c`.
inline constexpr const char* kDaemonScript =
    "setsid sh -c 'sleep 100 </dev/null >/dev/null 2>&1 & echo $! >daemon' & wait; ";

// Options for a runner made of this test program.
RunnerOptions test_options(const std::string& directory, Duration unattended = seconds(20));

// False when it takes too long.
bool wait_until(const std::function<bool()>& condition, Duration limit = seconds(20));
// Does no runner hold this directory any more? Waits a while for it.
bool runner_is_gone(const std::string& directory, Duration limit = seconds(20));
// Waits until there is no such process.
bool process_is_gone(int pid, Duration limit = seconds(10));
// Waits for the file, and gives what is in it.
std::string wait_for_file(const std::string& path, Duration limit = seconds(10));
void write_text(const std::string& path, const std::string& text, unsigned mode = 0644);
std::string read_text(const std::string& path);

// The program's other life: `runner-node DIR SCRIPT TAKEN`. Runs the script as process 1, takes
// its stdout up to TAKEN, writes DIR/node-ready when 2,000 bytes have come, and waits to be killed.
int run_test_node(const std::vector<std::string>& words);

// And one more: `leave-group FILE SIZE`. A task that leaves its process group and then fills a
// file.
int run_group_leaver(const std::string& file, long long size);

// The first number in a text.
inline int number_in(const std::string& text) {
  return atoi(text.c_str());
}

inline std::string numbers(int from, int to) {
  std::ostringstream text;
  for (int i = from; i <= to; ++i) text << i << '\n';
  return text.str();
}

}  // namespace dunlin
