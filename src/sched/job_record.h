// A job as its group's replicas keep it: head, columns, and details of the tasks that were not
// plain successes. Pure data; job_machine.h says how it changes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/codec.h"
#include "base/fields.h"
#include "sched/job.h"
#include "sched/results.h"
#include "sched/task_columns.h"
#include "sched/task_numbers.h"

namespace dunlin::sched {

constexpr std::size_t kMaxAttemptRecords = 32;     // kept of one task; the oldest go first
constexpr std::size_t kMaxStreamPieces = 100'000;  // kept of one attempt; later ones are not taken
constexpr std::uint32_t kMaxLosses = 1000;         // attempts lost on living nodes before it fails
constexpr std::uint32_t kMaxGivenBack = 100'000;   // likewise, of those that had not begun
constexpr std::size_t kMaxHeldRuns = 4096;         // of tasks paused one by one
constexpr std::size_t kMaxOrders = 16;         // of a job, the last ones, told from repeated ones
constexpr std::size_t kMaxLaterRounds = 4096;  // of a job that is not over meanwhile
constexpr std::size_t kMaxWatchers = 10'000;   // jobs that wait for one

enum class LossKind : std::uint8_t;  // job_events.h

enum class AttemptEnd : std::uint8_t {
  kOpen,
  kSuccess,
  kFailure,
  kLost,
  kCancelled,
  kLast = kCancelled
};

// One attempt that left more than a byte in a column.
struct AttemptRecord {
  Attempt attempt;
  NodeId node;
  AttemptEnd end = AttemptEnd::kOpen;
  Reason reason = Reason::kNone;
  std::int32_t exit_code = 0;  // of a lost one: see keep_loss()
  std::int32_t signal = 0;
  std::string detail;
  WallTime finished;
  std::uint64_t duration_ms = 0, cpu_ms = 0, max_rss = 0;  // max_rss: bytes
  InlineOutput out, err;
  bool log_truncated = false;
  std::vector<OutputFile> outputs;
  std::vector<LogPiece> pieces;  // ascending by offset within each stream
  static constexpr auto fields() {
    using R = AttemptRecord;
    return Fields<&R::attempt, &R::node, &R::end, &R::reason, &R::exit_code, &R::signal, &R::detail,
                  &R::finished, &R::duration_ms, &R::cpu_ms, &R::max_rss, &R::out, &R::err,
                  &R::log_truncated, &R::outputs, &R::pieces>{};
  }
};

// Ends it as lost, and keeps how in its exit code: the kind, counted from 1; 0: it is not known.
void keep_loss(AttemptRecord& record, LossKind kind);
// "its host was lost"
const char* loss_text(const AttemptRecord& record);

struct TaskDetail {
  std::uint32_t failures = 0;   // in its round
  std::uint32_t closed = 0;     // attempts that ended in the log, failures and losses together
  std::vector<NodeId> lost_on;  // nodes lost under it in its round, each once
  // The highest attempt whose failure or loss was counted: no other up to it counts any more.
  Attempt superseded;
  std::vector<AttemptRecord> attempts;  // in the order in which the log met them
  std::uint32_t earlier = 0;            // of `closed`: those of earlier rounds, or given back
  std::uint32_t given_back = 0;         // in its round, by living nodes before they began
  bool is_superseded(const Attempt& attempt) const { return attempt <= superseded; }
  // Attempts of its round that ended as no failure does.
  std::uint32_t losses() const { return closed - earlier - failures; }
  static constexpr auto fields() {
    using D = TaskDetail;
    return Fields<&D::failures, &D::closed, &D::lost_on, &D::superseded, &D::attempts, &D::earlier,
                  &D::given_back>{};
  }
};

// Tasks that are paused one by one.
struct HeldRun {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  Hold hold = Hold::kPaused;
  std::uint32_t end() const { return first + count; }
  bool operator==(const HeldRun&) const = default;
  static constexpr auto fields() {
    return Fields<&HeldRun::first, &HeldRun::count, &HeldRun::hold>{};
  }
};

// What is held once `hold` is put on these tasks, whatever was on them before; kNone releases them.
std::vector<HeldRun> held_after(const std::vector<HeldRun>& held, std::vector<IndexRun> tasks,
                                Hold hold);

struct JobHead {
  std::string user, key, name;
  std::int32_t priority = 0;
  std::uint32_t total = 0;
  Duration keep;
  WallTime submitted, started, finished;
  LogIndex accepted = 0;  // the entry that accepted it, and opened its first round
  LogIndex round = 0;     // the newest one; open while the job is not final
  LogIndex reopened = 0;  // since this entry attempts count, but for tasks of later rounds
  // Entries that opened some tasks while others stayed open, since then: columns name them by
  // 1, 2...
  std::vector<LogIndex> later_rounds;
  std::uint32_t whole_rounds = 0;     // how often every task was opened anew
  LogIndex revised = 0;               // the entry that the spec is of
  Hold hold = Hold::kNone;            // of the whole job
  std::vector<HeldRun> held;          // ascending and disjoint; none while the whole job is held
  LogIndex held_at = 0;               // the last entry that changed either
  std::vector<JobId> met;             // of those it waits for
  std::vector<JobId> watchers;        // jobs that must hear how it ended
  std::vector<std::uint64_t> orders;  // numbers of the last ones carried out
  bool is_cancelled = false;          // as a whole
  std::string cancelled_by;
  JobState state = JobState::kWaiting;
  Reason reason = Reason::kNone;
  std::optional<std::int32_t> exit_code;  // of a single task
  std::uint32_t done = 0, failed = 0, cancelled = 0;
  std::vector<NodeId> probed;      // named before they were asked
  std::uint32_t bound_below = 0;   // indices from here on were never bound
  std::vector<NodeId> node_table;  // nodes of the columns
  LogIndex changed = 0;            // the last entry that touched the job
  std::uint32_t open() const { return total - done - failed - cancelled; }
  static constexpr auto fields() {
    using H = JobHead;
    return Fields<&H::user, &H::key, &H::name, &H::priority, &H::total, &H::keep, &H::submitted,
                  &H::started, &H::finished, &H::accepted, &H::round, &H::is_cancelled,
                  &H::cancelled_by, &H::state, &H::reason, &H::exit_code, &H::done, &H::failed,
                  &H::cancelled, &H::probed, &H::bound_below, &H::node_table, &H::changed,
                  &H::reopened, &H::whole_rounds, &H::revised, &H::hold, &H::held, &H::held_at,
                  &H::met, &H::watchers, &H::orders, &H::later_rounds>{};
  }
};

struct Job {
  JobId id;
  Bytes spec_bytes;
  JobHead head;
  TaskColumns columns;
  std::map<std::uint32_t, TaskDetail> details;

  bool is_final() const { return dunlin::is_final(head.state); }
  // Once the job is final they live as long as somebody holds them: a hundred thousand kept jobs
  // shall stay small.
  std::shared_ptr<const JobSpec> spec() const;
  std::shared_ptr<const TaskNumbers> numbers() const;
  const TaskDetail* detail(std::uint32_t index) const;
  // What the next attempt at an open task is called by people.
  std::uint32_t next_attempt(std::uint32_t index) const;
  // May the attempt still close the task? Not one from before the task was opened anew.
  bool counts(std::uint32_t index, const Attempt& attempt) const;
  // Does the log keep what an attempt has used that ran on when its task was cancelled? Of any
  // index: it may be an attempt of a former job of this id.
  bool wants_usage(const DroppedUsage& usage) const;
  // The entry that opened the task, which is open.
  LogIndex opened(std::uint32_t index) const;
  Hold hold_of(std::uint32_t index) const;
  void change_spec(const JobSpec& changed, LogIndex entry);
  bool has_obeyed(std::uint64_t order) const;

  // About how much of a snapshot it is, never less by much; counted as it grows.
  std::uint64_t bytes = 0;

  // What the next checkpoint must write.
  bool head_dirty = true;
  bool spec_dirty = true;
  std::set<std::uint32_t> dirty_chunks;

 private:
  mutable std::shared_ptr<const JobSpec> spec_;
  mutable std::shared_ptr<const TaskNumbers> numbers_;
  // Of a final job, while somebody goes through its tasks.
  mutable std::weak_ptr<const JobSpec> lent_spec_;
  mutable std::weak_ptr<const TaskNumbers> lent_numbers_;
};

}  // namespace dunlin::sched
