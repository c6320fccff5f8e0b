// What the cluster reports of a job and its tasks. Pure data shared by the state machine, the
// coordinator, the executors and the API.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "sched/job_spec.h"

namespace dunlin {

enum class JobState : std::uint8_t {
  kWaiting,
  kRunning,
  kPaused,
  kDone,
  kFailed,
  kCancelled,
  kLast = kCancelled
};
enum class TaskState : std::uint8_t {
  kWaiting,
  kQueued,
  kRunning,
  kPaused,
  kDone,
  kFailed,
  kCancelled,
  kLast = kCancelled
};
enum class Reason : std::uint8_t {
  kNone,
  kDependency,
  kBegin,
  kPaused,
  kLimit,
  kBackoff,
  kResources,
  kImpossible,
  kNoQuorum,
  kExit,
  kSignal,
  kTimeLimit,
  kMemory,
  kMissingExecutable,
  kCannotExecute,
  kFileMissing,
  kDisk,
  kCrashLimit,
  kMaxFails,
  kDependencyFailed,
  kCancelled,
  kLast = kCancelled
};
// What a person has put on a job or a task: nothing of it starts; frozen: what runs stands still
// too.
enum class Hold : std::uint8_t { kNone, kPaused, kFrozen, kLast = kFrozen };

// The names that tables and `--json` show: "waiting", "time_limit"; empty for kNone.
const char* name_of(JobState state);
const char* name_of(TaskState state);
const char* name_of(Reason reason);
std::optional<JobState> job_state_from(std::string_view name);
std::optional<TaskState> task_state_from(std::string_view name);
std::optional<Reason> reason_from(std::string_view name);

inline bool is_final(JobState s) {
  return s >= JobState::kDone;
}
inline bool is_final(TaskState s) {
  return s >= TaskState::kDone;
}

// Which try at a task: `round` is the log index of the entry that opened the job's round, and so
// tells apart two jobs that bear one id after each other; `epoch` is the coordinator's term,
// `number` tells attempts of one epoch apart. Ordered as they supersede each other.
struct Attempt {
  LogIndex round = 0;
  Term epoch = 0;
  std::uint32_t number = 0;
  auto operator<=>(const Attempt&) const = default;
  static constexpr auto fields() {
    return Fields<&Attempt::round, &Attempt::epoch, &Attempt::number>{};
  }
};

struct TaskCounts {
  std::uint32_t total = 0, waiting = 0, queued = 0, running = 0, paused = 0, done = 0, failed = 0,
                cancelled = 0;
  bool operator==(const TaskCounts&) const = default;
  static constexpr auto fields() {
    using C = TaskCounts;
    return Fields<&C::total, &C::waiting, &C::queued, &C::running, &C::paused, &C::done, &C::failed,
                  &C::cancelled>{};
  }
};

// A job as `--json` shows it, without the spec.
struct JobSummary {
  JobId id;
  std::string name;
  std::string user;
  JobState state = JobState::kWaiting;
  Reason reason = Reason::kNone;
  std::int32_t priority = 0;
  std::optional<NodeId> coordinator;
  Term epoch = 0;
  WallTime submitted_at, started_at, finished_at, expires_at;  // 0: not yet
  std::optional<std::int32_t> exit_code;                       // of a single task
  TaskCounts tasks;
  // Grows with everything that a watcher could want to know.
  std::uint64_t version = 0;
  static constexpr auto fields() {
    using J = JobSummary;
    return Fields<&J::id, &J::name, &J::user, &J::state, &J::reason, &J::priority, &J::coordinator,
                  &J::epoch, &J::submitted_at, &J::started_at, &J::finished_at, &J::expires_at,
                  &J::exit_code, &J::tasks, &J::version>{};
  }
};

struct OutputFile {
  std::string name;
  std::uint64_t size = 0;
  std::uint32_t mode = 0644;
  std::vector<BlobRef> content;
  static constexpr auto fields() {
    return Fields<&OutputFile::name, &OutputFile::size, &OutputFile::mode, &OutputFile::content>{};
  }
};

// A task as `--json` shows it.
struct TaskView {
  JobId job;
  std::uint32_t task = 1;
  TaskState state = TaskState::kWaiting;
  Reason reason = Reason::kNone;
  std::optional<NodeId> node;
  std::uint32_t attempt = 0;  // as people count: 1, 2, ...
  std::optional<std::int32_t> exit_code;
  std::optional<std::int32_t> signal;
  WallTime started_at, finished_at;
  std::optional<std::int64_t> duration_ms, cpu_ms;
  std::optional<std::uint64_t> max_rss;  // bytes
  std::string entry;
  std::vector<OutputFile> outputs;
  bool log_truncated = false;
  std::string detail;  // one line for a person: why it failed, where the missing word exists
  static constexpr auto fields() {
    using T = TaskView;
    return Fields<&T::job, &T::task, &T::state, &T::reason, &T::node, &T::attempt, &T::exit_code,
                  &T::signal, &T::started_at, &T::finished_at, &T::duration_ms, &T::cpu_ms,
                  &T::max_rss, &T::entry, &T::outputs, &T::log_truncated, &T::detail>{};
  }
};

}  // namespace dunlin
