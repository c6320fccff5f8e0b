// What a coordinator alone knows of a job that it leads: which tasks wait, which are bound to whom,
// what is on its way into the log. Soft state: lost with the lead, found again by asking the nodes.
// One byte a task, and runs for what is bound.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/bad_hosts.h"
#include "sched/job_record.h"
#include "sched/losing_attempts.h"
#include "sched/messages.h"

namespace dunlin::sched {

// A task whose attempts were lost so often waits before the next: a second, doubled each time.
constexpr std::uint32_t kPatientLosses = 4;
constexpr Duration kLongestLossBackoff = seconds(30);
constexpr std::size_t kMaxBindRuns = 4096;       // of tasks that answer one pull
constexpr std::uint32_t kFirstNoOpBound = 1024;  // `:` that may be bound before any result

// How many tasks may be bound once the job is accepted.
std::uint32_t first_bound(const JobSpec& spec, std::uint32_t cluster_cpus);

enum class Soft : std::uint8_t {
  kFree,        // may be bound
  kHeld,        // paused by itself
  kBackoff,     // may be bound again later
  kUnknown,     // after a takeover: perhaps held by a node that has not answered yet
  kBound,       // held by a node
  kCommitting,  // its result is on the way into the log
  kFinal,
};

// What a node is believed to hold of the job.
struct Holding {
  Boot boot = 0;
  AttemptRuns bound;               // given to it, or adopted from it
  LosingAttempts losing;           // it is known to hold them no more: a loss is being committed
  AttemptRuns dropping;            // told to end them
  AttemptRuns waiting;             // not started when it last said so
  std::vector<TaskStart> starts;   // of what ran when it last said so, at most kMaxToldStarts
  Instant lost_at;                 // when the node was last taken for dead; zero: never
  std::uint64_t losing_token = 0;  // the proposal that commits the loss; 0: none is on its way
  std::uint64_t last_pull = 0;
  std::uint64_t pull_before = 0;
  std::vector<TaskRun> last_tasks;  // what answered it
  LogIndex last_held_at = 0;        // JobHead::held_at by then
  std::uint32_t offered = 0;        // tasks it may still pull, as far as it was told
  WallTime bound_at;                // the last binding

  // When the node started what it holds; until it has told, when that was bound to it. 0: not yet,
  // or not known yet.
  WallTime started_at(std::uint32_t index, const Attempt& attempt) const;
  // The same of whichever of these attempts began first.
  WallTime first_start(const AttemptRuns& attempts) const;
};

class LedJob {
 public:
  LedJob(const Job& job, GroupId group, bool may_be_running);

  // ---- tasks ----------------------------------------------------------------------------------
  Soft soft(std::uint32_t index) const { return soft_[index]; }
  void set_soft(std::uint32_t index, Soft state);
  std::uint32_t count(Soft state) const { return counts_[static_cast<std::size_t>(state)]; }
  // Tasks that may be bound now: free, below the committed bound, within the job's limit.
  std::uint32_t bindable() const;
  // Why none of its tasks may be bound now; kNone: they may.
  Reason hold = Reason::kNone;
  // Tasks are to be held, or not any more; closed ones are open anew; the spec has changed.
  void hold_tasks(const Job& job, Instant now);
  void reopen(const Job& job);
  void revise(const JobSpec& spec);
  // Is it that, or the job's own --limit, that keeps tasks from being bound?
  bool is_limited() const;
  // Binds up to `want` tasks to the node under this epoch.
  std::vector<TaskRun> bind(const Job& job, const NodeId& node, Term epoch, std::uint32_t want);
  // An open task that nobody holds any more; so much of its backoff is over.
  void free(const Job& job, std::uint32_t index, Instant now, Duration passed = {});
  // Backoffs that are over become free; true when there were any.
  bool end_backoffs(const Job& job, Instant now);
  Instant next_backoff() const;
  void raise_bound(const Job& job);
  // The bound that the next entry should commit; nothing while there is enough room below it. After
  // a takeover with a node that does not answer, what lies below it waits, and no more: it is kept
  // as near to what is bound as commits let it without anybody waiting for them.
  std::optional<std::uint32_t> wanted_bound(std::uint32_t cluster_cpus) const;
  // A node asks for so many tasks at once.
  void note_want(std::uint32_t want);
  // Everything kUnknown is free: each node that could hold it has answered. Backoffs go on from the
  // failures that the log knows, or no task would be tried again while the lead often changes.
  void resolve_unknown(const Job& job, Instant now, WallTime wall);
  // Takes the task's final state over from the log; that of all tasks, once the job is final.
  void finish(std::uint32_t index);
  void finish_all();

  // ---- nodes ----------------------------------------------------------------------------------
  std::map<NodeId, Holding> nodes;
  // Of those that it waits for, which are to be asked next to tell how they end, and when.
  std::map<JobId, Instant> unasked;
  std::set<NodeId> awaited;  // named in the log before this lead, not heard of yet
  bool is_held() const;      // by any node, as far as is known
  std::optional<std::pair<NodeId, Attempt>> holder(std::uint32_t index) const;
  // The same for many tasks: to look through all nodes for each of them takes long. Valid until
  // something changes.
  class Holders {
   public:
    explicit Holders(const LedJob& led);
    std::optional<std::pair<NodeId, Attempt>> find(std::uint32_t index) const;
    bool is_dropping(std::uint32_t index) const;  // some node was told to end an attempt at it

   private:
    struct Held {
      TaskRun run;
      NodeId node;
    };
    std::vector<Held> bound_;         // ascending and disjoint, as a task has one holder
    std::vector<IndexRun> dropping_;  // ascending and disjoint
  };

  BadHosts hosts;  // which of them the job avoids
  // When its first task began, as nodes have told and the log does not say yet; and was bound.
  WallTime first_start, first_bound;

  // ---- probing --------------------------------------------------------------------------------
  Instant next_probe = Instant::never();
  Duration probe_interval;
  std::size_t breadth = 0;
  std::size_t probed_up_to = 0;   // candidates that the last rounds have asked, where not all are
  std::uint64_t probe_token = 0;  // a ProbeCommand on its way
  bool bound_asked = false;       // a higher bound is on its way
  bool has_hungry = false;        // some node was told that it may pull nothing, while tasks wait

  const GroupId group;
  Instant deadline = Instant::never();   // as entered in the coordinator's timers
  Instant repeat_at = Instant::never();  // when drops and losses are repeated
  Instant begin_at = Instant::never();   // when it may begin, while it may not
  Instant asked_at;                      // when a client last asked, for attended jobs
  Instant watched_until;                 // when the last client that waits is answered
  std::uint32_t version = 1;

 private:
  std::uint32_t limit_room() const;
  void make_free(const Job& job, std::uint32_t index);

  std::uint32_t total_;
  std::uint32_t limit_;
  Duration backoff_;
  std::uint32_t bound_below_;
  std::uint32_t task_cpus_;        // 0: its tasks need no room
  std::uint32_t recent_want_ = 0;  // of one pull, fading
  std::vector<Soft> soft_;
  std::array<std::uint32_t, 7> counts_{};
  std::uint32_t free_below_ = 0;   // free ones below the bound
  std::uint32_t fresh_ = 0;        // no free task below it is outside again_
  std::set<std::uint32_t> again_;  // free tasks that were bound before
  std::set<std::pair<Instant, std::uint32_t>> backoffs_;
};

}  // namespace dunlin::sched
