// What a job is: the specification that the user wrote, and the states that the cluster reports.
// Pure data shared by the state machine, the coordinator, the executors and the API.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "store/blob.h"

namespace dunlin {

// Tasks first, first + step, ... up to last (inclusive).
struct TaskRange {
  std::uint32_t first = 1;
  std::uint32_t last = 1;
  std::uint32_t step = 1;
  auto operator<=>(const TaskRange&) const = default;
  static constexpr auto fields() {
    return Fields<&TaskRange::first, &TaskRange::last, &TaskRange::step>{};
  }
};

// A file in content-named pieces, in order.
struct ShippedFile {
  std::string name;  // relative to the task's directory, '/' separated, never with ".."
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
  std::vector<BlobRef> content;
  static constexpr auto fields() {
    return Fields<&ShippedFile::name, &ShippedFile::mode, &ShippedFile::size,
                  &ShippedFile::content>{};
  }
};

// A run of entries (--each-line, :::) as a blob of whole lines, each ended by '\n'.
struct EntryBlock {
  BlobRef blob;
  std::uint32_t count = 0;
  static constexpr auto fields() { return Fields<&EntryBlock::blob, &EntryBlock::count>{}; }
};

constexpr std::size_t kMaxSpecBytes = 256 * 1024;        // encoded; more belongs into blobs
constexpr std::uint32_t kMaxTasks = 10'000'000;          // of one job
constexpr std::size_t kMaxInlineEntryBytes = 32 * 1024;  // above it entries travel as blobs

struct JobSpec {
  std::string name;
  std::vector<std::string> argv;
  std::uint32_t cpus = 1;        // whole cores for each task
  std::uint64_t memory = 0;      // bytes for each task; 0: not stated, not enforced
  std::int32_t priority = 0;     // higher first
  std::uint32_t retries = 0;     // further attempts after a failure
  Duration backoff;              // before the first retry, doubled for each further one
  Duration time_limit;           // of one attempt; 0: none
  Duration grace = seconds(10);  // between TERM and KILL
  std::uint32_t limit = 0;       // tasks at once; 0: no limit
  // Numbers of the tasks, ascending and disjoint; {1..1} for a single task. With entries they are
  // 1 .. number of entries.
  std::vector<TaskRange> tasks = std::vector<TaskRange>(1);
  bool many = false;  // placeholders are replaced, --array or entries were given
  std::string placeholder = "{}";
  bool append_entry = false;             // ::: without any placeholder in argv
  std::vector<std::string> entries;      // inline, entry of task n at n - 1; or
  std::vector<EntryBlock> entry_blocks;  // as blobs
  std::vector<ShippedFile> files;
  std::vector<std::string> outputs;  // globs of --out
  std::map<std::string, std::string> environment;
  Duration keep = seconds(30 * 24 * 3600);
  std::uint64_t log_limit = 1ULL << 30;  // bytes a stream and attempt
  // Of `run`: when nobody has asked for this job for 30 s it is cancelled.
  bool attended = false;
  // One of `files`, which becomes each task's standard input, and no part of its directory. Empty:
  // /dev/null.
  std::string stdin_file;

  std::uint32_t task_count() const;
  static constexpr auto fields() {
    using S = JobSpec;
    return Fields<&S::name, &S::argv, &S::cpus, &S::memory, &S::priority, &S::retries, &S::backoff,
                  &S::time_limit, &S::grace, &S::limit, &S::tasks, &S::many, &S::placeholder,
                  &S::append_entry, &S::entries, &S::entry_blocks, &S::files, &S::outputs,
                  &S::environment, &S::keep, &S::log_limit, &S::attended, &S::stdin_file>{};
  }
};

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
// The names that tables and `--json` show: "waiting", "time_limit"; empty for kNone.
const char* name_of(JobState state);
const char* name_of(TaskState state);
const char* name_of(Reason reason);
std::optional<JobState> job_state_from(std::string_view name);
std::optional<TaskState> task_state_from(std::string_view name);

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
