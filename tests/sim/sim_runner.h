// The runner of a simulated host: pretended processes that outlive the node process, as
// src/os/runner keeps real ones. What a process does is written in its command:
//
//   simulate 1500ms exit=3 out=300 err=20 file=NAME:SIZE flaky=2 stubborn
//
// runs for 1.5 s, writes 300 bytes to stdout and 20 to stderr in a few pieces, leaves a file, and
// exits with 3. flaky=N: exit 1 in the first N attempts; stubborn: ignores TERM. Content is
// task_byte(); so every reader knows what a log must contain. Anything else does not exist (127).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "sched/process_events.h"
#include "sim/event_queue.h"

namespace dunlin::sim {

struct Script {
  bool is_known = false;
  Duration time;
  std::int32_t exit_code = 0;
  std::array<std::uint64_t, 2> out{};
  std::string file;
  std::uint64_t file_size = 0;
  std::uint32_t flaky = 0;
  bool stubborn = false;
};
Script parse_script(const std::vector<std::string>& argv);

// Byte `at` of a stream of a task, the same in every attempt.
constexpr std::uint8_t task_byte(std::uint64_t at) {
  return static_cast<std::uint8_t>('a' + (at + at / 26) % 26);
}

class SimRunner {
 public:
  static constexpr Duration kOrphanTime = seconds(60);

  // `tell` hands an event to the node process, if there is one. `wall` is the host's clock.
  SimRunner(EventQueue& queue, Random random, std::function<void(ProcessEvent)> tell,
            std::function<WallTime()> wall);

  // The process of that node takes over: hears RunnerReady, then what was not taken.
  void attach(const NodeId& node);
  // It died: processes go on for kOrphanTime at most.
  void detach();
  // The host died: what ran is lost with it.
  void crash();
  // The node handed its tasks back and forgets the rest.
  void clear();

  void start(const StartProcess& start);
  void signal(const SignalProcess& order);
  void taken(const OutputTaken& taken);
  void find(const FindOutputs& search);
  void read(const ReadOutput& read);
  void release(const ReleaseProcess& release);

  std::size_t running() const;
  std::size_t held() const { return processes_.size(); }
  // What became of the attempts at a task that were started here.
  struct Ends {
    std::uint64_t failures = 0;  // ended by themselves
    std::uint64_t successes = 0;
    std::set<NodeId> lost_with;  // that were gone before it ended
  };
  // By task, JOB.NUMBER; nothing: none was started here.
  const Ends* ends(const std::string& task) const;

 private:
  struct Process {
    Bytes label;
    std::string task;
    Script script;
    std::int32_t pid = 0;
    WallTime started_at;
    std::array<Bytes, 2> output;                 // not taken
    std::array<std::uint64_t, 2> output_from{};  // offset of its first byte
    std::array<std::uint64_t, 2> delivered{};
    std::array<std::uint64_t, 2> unwritten{};  // waits for the window
    std::optional<ProcessExited> exit;
    bool exit_told = false;
    bool told_to_end = false;
    bool ending = false;  // by itself, as soon as its output is out
    std::int32_t end_code = 0;
    bool frozen = false;
    std::vector<std::function<void(Process&)>> while_frozen;  // what it does once it goes on
  };

  Process* find_process(ProcessKey key);
  void later(Duration time, ProcessKey key, std::function<void(Process&)> what);
  void write(ProcessKey key, Process& process, std::size_t stream, std::uint64_t bytes);
  void end(ProcessKey key, Process& process, std::int32_t code, std::int32_t signal);
  void pump(ProcessKey key, Process& process);
  void thaw(ProcessKey key, Process& process);
  void deliver(ProcessKey key);

  EventQueue& queue_;
  Random random_;
  std::function<void(ProcessEvent)> tell_;
  std::function<WallTime()> wall_;
  NodeId node_;
  bool attached_ = false;
  std::uint64_t life_ = 0;  // of the host: events of earlier ones find nothing
  std::uint64_t attachments_ = 0;
  std::int32_t next_pid_ = 1000;
  std::map<ProcessKey, Process> processes_;
  std::map<std::string, Ends> ends_;  // by task
};

}  // namespace dunlin::sim
