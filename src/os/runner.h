// A node's processes: performs StartProcess, SignalProcess, OutputTaken, FindOutputs, ReadOutput
// and ReleaseProcess of base/effects.h with the runner process and the directories below
// DIR/tasks, and gives what comes of them as the events of sched/process_events.h.
#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/effects.h"
#include "base/result.h"
#include "os/account.h"
#include "os/runner_link.h"
#include "os/workdir.h"
#include "sched/process_events.h"

namespace dunlin {

class Runner {
 public:
  struct Listener {
    // All that happened since the last call, in order; never from within a call of this class.
    std::function<void(std::vector<ProcessEvent>)> on_events;
    // One line for the log.
    std::function<void(const std::string&)> on_problem;
  };

  // Finds or starts the runner of `options.directory`; RunnerReady says when it is there.
  static Result<std::unique_ptr<Runner>> open(uv_loop_t* loop, RunnerOptions options,
                                              Listener listener);
  // Only when is_closed().
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  void start(StartProcess start);
  void signal(const SignalProcess& signal);
  void output_taken(const OutputTaken& taken);
  void find_outputs(FindOutputs search);
  void read_output(ReadOutput read);
  // One that still runs is killed, and then released; its end is not told.
  void release(const ReleaseProcess& release);

  // Kills everything and ends the runner.
  void shut_down();
  // Lets go of the runner, which keeps its processes for a while. The loop must run on until
  // is_closed(); no event is delivered any more.
  void close();
  bool is_closed() const { return link_.is_closed() && jobs_ == 0; }

 private:
  enum class Phase { kStaging, kStarted, kExited };
  struct Task {
    Phase phase = Phase::kStarted;
    std::string directory;
    bool is_released = false;
    int signal_while_staging = 0;  // that ends it
    bool is_stopped_while_staging = false;
    std::uint64_t id = 0;  // tells a task from a later one with the same key
  };

  Runner(uv_loop_t* loop, const RunnerOptions& options, Listener listener, Workdirs workdirs,
         std::optional<FileOwner> owner);

  void staged(const RunnerStart& command, std::uint64_t id, int error);
  tl::expected<RunnerStart, int> compose(StartProcess& start, const std::string& directory) const;
  void fail_to_start(ProcessKey key, int error, int signal);
  void dispose(const std::string& directory);
  void on_report(RunnerReport report);
  void on_list(RunnerList list);
  void on_exit(ProcessExited exit);
  void on_lost();
  template <class Event>
  void emit(Event event) {
    events_.emplace_back(std::in_place_type<Event>, std::move(event));
    link_.wake();
  }
  void deliver();
  void remove_leftovers();
  void run_job(std::function<void()> work, std::function<void()> done);

  uv_loop_t* const loop_;
  const std::string directory_;
  const Listener listener_;
  const Environment environment_;
  const std::optional<FileOwner> owner_;
  Workdirs workdirs_;
  RunnerLink link_;
  std::map<ProcessKey, Task> tasks_;
  std::vector<RunnerHeld> held_;  // of a list whose last piece has not come
  std::vector<ProcessEvent> events_;
  std::uint64_t next_id_ = 1;
  int jobs_ = 0;  // on the thread pool
  bool is_ready_ = false;
  bool is_closing_ = false;
};

}  // namespace dunlin
