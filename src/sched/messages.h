// What coordinators, executors and readers say to each other: frames of Module::kSched. Orders
// carry the coordinator's epoch; what an executor says names its boot. Any message may be lost,
// doubled or overtaken, and each is repeated until what it asks for is seen to be so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/effects.h"
#include "base/fields.h"
#include "sched/attempt_runs.h"
#include "sched/job_events.h"
#include "sched/requests.h"
#include "sched/results.h"
#include "sched/room.h"
#include "sched/task_numbers.h"

namespace dunlin::sched {

// ---- coordinator to executor --------------------------------------------------------------------

// Sets (never adds to) the number of tasks of this job that the node may pull.
struct Probe {
  GroupId group;
  Term epoch = 0;
  JobId job;
  std::string user;
  std::int32_t priority = 0;
  std::uint32_t cpus = 0;    // of each task; 0 where a task needs no room
  std::uint64_t memory = 0;  // bytes
  std::uint32_t allowed = 0;
  LogIndex accepted = 0;  // JobHead::accepted: which job of this id
  Devices devices = {};   // of each task
  static constexpr auto fields() {
    using P = Probe;
    return Fields<&P::group, &P::epoch, &P::job, &P::user, &P::priority, &P::cpus, &P::memory,
                  &P::allowed, &P::accepted, &P::devices>{};
  }
};

// Answers a Pull; the same pull is answered with the same tasks.
struct Bind {
  GroupId group;
  Term epoch = 0;
  JobId job;
  std::uint64_t pull = 0;
  std::vector<TaskRun> tasks;
  std::uint32_t allowed = 0;  // as in Probe, from now on
  std::optional<Bytes> spec;
  LogIndex accepted = 0;  // as in Probe
  // So many bytes of each stream may ride in a result of the job from now on.
  std::uint32_t most_inline = kMaxInlineOutput;
  LogIndex revised = 0;  // JobHead::revised: of the spec, whether it is here or not
  LogIndex held_at = 0;  // JobHead::held_at when they were bound: none of them was held by then
  static constexpr auto fields() {
    using B = Bind;
    return Fields<&B::group, &B::epoch, &B::job, &B::pull, &B::tasks, &B::allowed, &B::spec,
                  &B::accepted, &B::most_inline, &B::revised, &B::held_at>{};
  }
};

// The spec of a job of which the executor holds attempts and knows no more than their labels, or a
// former spec.
struct Describe {
  GroupId group;
  Term epoch = 0;
  JobId job;
  std::string user;
  std::int32_t priority = 0;
  Bytes spec;
  LogIndex accepted = 0;  // as in Probe
  LogIndex revised = 0;   // as in Bind
  static constexpr auto fields() {
    using D = Describe;
    return Fields<&D::group, &D::epoch, &D::job, &D::user, &D::priority, &D::spec, &D::accepted,
                  &D::revised>{};
  }
};

// The batch is in the group's log: the executor may forget it.
struct Committed {
  GroupId group;
  Term epoch = 0;
  JobId job;
  std::uint64_t sequence = 0;
  static constexpr auto fields() {
    using C = Committed;
    return Fields<&C::group, &C::epoch, &C::job, &C::sequence>{};
  }
};
struct LogsCommitted {
  GroupId group;
  Term epoch = 0;
  JobId job;
  std::uint64_t sequence = 0;
  static constexpr auto fields() {
    using C = LogsCommitted;
    return Fields<&C::group, &C::epoch, &C::job, &C::sequence>{};
  }
};

// These attempts are wanted no more: end them, report what they have used and no result. Repeated
// until none is held; at most kMaxDropRuns at a time.
constexpr std::size_t kMaxDropRuns = 16 * 1024;
struct Drop {
  GroupId group;
  Term epoch = 0;
  JobId job;
  std::vector<TaskRun> attempts;
  static constexpr auto fields() {
    using D = Drop;
    return Fields<&D::group, &D::epoch, &D::job, &D::attempts>{};
  }
};

// What do you hold of the group's jobs behind `after`? Also how a new coordinator makes itself
// known.
struct AskHeld {
  GroupId group;
  Term epoch = 0;
  JobId after;  // none: from the first job on
  static constexpr auto fields() {
    return Fields<&AskHeld::group, &AskHeld::epoch, &AskHeld::after>{};
  }
};

// Which tasks of the job stand still from now on, and so which do not; and which of those that have
// not begun are to begin elsewhere, or later, since they are paused. A level: later ones replace
// it, and it is repeated until Status shows it.
struct Freeze {
  GroupId group;
  Term epoch = 0;
  JobId job;
  LogIndex held_at = 0;  // JobHead::held_at
  bool all = false;
  std::vector<IndexRun> tasks;
  bool pauses_all = false;
  std::vector<IndexRun> paused;  // frozen ones too
  static constexpr auto fields() {
    using F = Freeze;
    return Fields<&F::group, &F::epoch, &F::job, &F::held_at, &F::all, &F::tasks, &F::pauses_all,
                  &F::paused>{};
  }
};

// ---- executor to coordinator --------------------------------------------------------------------

// Room for `want` tasks now. Ids rise over all jobs of a node and over its boots.
struct Pull {
  GroupId group;
  JobId job;
  Boot boot = 0;
  std::uint64_t pull = 0;
  std::uint32_t want = 0;
  LogIndex revised = 0;  // of the spec that it has; 0: none
  static constexpr auto fields() {
    using P = Pull;
    return Fields<&P::group, &P::job, &P::boot, &P::pull, &P::want, &P::revised>{};
  }
};

struct Results {
  GroupId group;
  JobId job;
  Boot boot = 0;
  std::uint64_t sequence = 0;  // rises over the boots
  ResultBatch batch;
  static constexpr auto fields() {
    using R = Results;
    return Fields<&R::group, &R::job, &R::boot, &R::sequence, &R::batch>{};
  }
};

struct Logs {
  GroupId group;
  JobId job;
  Boot boot = 0;
  std::uint64_t sequence = 0;
  std::vector<AttemptLogs> logs;
  static constexpr auto fields() {
    using L = Logs;
    return Fields<&L::group, &L::job, &L::boot, &L::sequence, &L::logs>{};
  }
};

// A part of a list by jobs: those behind `after`, up to `up_to` or else to the last one.
struct JobSpan {
  JobId after;  // none: from the first job on
  std::optional<JobId> up_to;
  bool covers(const JobId& job) const { return after < job && !(up_to && *up_to < job); }
  bool operator==(const JobSpan&) const = default;
  static constexpr auto fields() { return Fields<&JobSpan::after, &JobSpan::up_to>{}; }
};

struct JobHeld {
  JobId job;
  std::uint64_t pull_seen = 0;  // the highest pull whose answer has come
  bool needs_spec = false;
  std::vector<TaskRun> attempts;
  static constexpr auto fields() {
    using J = JobHeld;
    return Fields<&J::job, &J::pull_seen, &J::needs_spec, &J::attempts>{};
  }
};
// All attempts that the node holds of the span's jobs of the group, results not yet committed
// included. Longer than kMaxHeldBytes only where one job is.
constexpr std::size_t kMaxHeldBytes = 512 * 1024;
struct HeldList {
  GroupId group;
  Term epoch = 0;  // of the question
  Boot boot = 0;
  std::uint64_t last_pull = 0;  // the highest pull this node had sent for any job
  JobSpan span;
  std::vector<JobHeld> jobs;
  static constexpr auto fields() {
    using H = HeldList;
    return Fields<&H::group, &H::epoch, &H::boot, &H::last_pull, &H::span, &H::jobs>{};
  }
};

// Once a second while anything is held; a digest that differs from the coordinator's is answered by
// AskHeld. Many jobs are spread over several messages, each about a span of them.
constexpr std::size_t kMaxStatusJobs = 8192;
constexpr std::size_t kMaxWaitingRuns = 64;  // told of one job
constexpr std::size_t kMaxToldStarts = 512;  // of one job
struct TaskStart {
  std::uint32_t index = 0;
  Attempt attempt;
  WallTime at;
  static constexpr auto fields() {
    return Fields<&TaskStart::index, &TaskStart::attempt, &TaskStart::at>{};
  }
};
struct JobStatus {
  JobId job;
  std::uint64_t digest = 0;
  bool needs_spec = false;
  std::vector<TaskRun> waiting;   // of what is held, not started yet
  std::vector<TaskStart> starts;  // of what runs
  LogIndex revised = 0;           // of the spec that it has
  LogIndex held_at = 0;           // of the last Freeze that it obeyed
  static constexpr auto fields() {
    using S = JobStatus;
    return Fields<&S::job, &S::digest, &S::needs_spec, &S::waiting, &S::starts, &S::revised,
                  &S::held_at>{};
  }
};
struct Status {
  GroupId group;
  Boot boot = 0;
  JobSpan span;
  std::vector<JobStatus> jobs;
  static constexpr auto fields() {
    return Fields<&Status::group, &Status::boot, &Status::span, &Status::jobs>{};
  }
};

// An order of a lower epoch than the one this node obeys.
struct Refused {
  GroupId group;
  Term epoch = 0;
  static constexpr auto fields() { return Fields<&Refused::group, &Refused::epoch>{}; }
};

// To whoever gave an order, before the first of a group is obeyed in a later life of the node: does
// it lead in that epoch still? `life` is chance.
struct AskLead {
  GroupId group;
  Term epoch = 0;
  std::uint64_t life = 0;
  static constexpr auto fields() {
    return Fields<&AskLead::group, &AskLead::epoch, &AskLead::life>{};
  }
};
// A majority has confirmed it since the question came; else there is no answer.
struct LeadStands {
  GroupId group;
  Term epoch = 0;
  std::uint64_t life = 0;
  static constexpr auto fields() {
    return Fields<&LeadStands::group, &LeadStands::epoch, &LeadStands::life>{};
  }
};

// ---- readers ------------------------------------------------------------------------------------

// Output of a running attempt from `offset`, from its executor's memory. Waits up to `hold` for a
// byte or the end.
struct TailLog {
  std::uint64_t token = 0;
  JobId job;
  std::uint32_t index = 0;
  Attempt attempt;
  bool is_stderr = false;
  std::uint64_t offset = 0;
  std::uint32_t limit = 0;
  Duration hold;
  static constexpr auto fields() {
    using T = TailLog;
    return Fields<&T::token, &T::job, &T::index, &T::attempt, &T::is_stderr, &T::offset, &T::limit,
                  &T::hold>{};
  }
};
struct TailReply {
  std::uint64_t token = 0;
  bool is_here = false;    // the attempt is held, and bytes from `offset` on are in memory
  bool truncated = false;  // bytes before `offset` were cut out by the log limit
  bool ended = false;      // no byte will follow these
  std::uint64_t offset = 0;
  Bytes data;
  static constexpr auto fields() {
    using T = TailReply;
    return Fields<&T::token, &T::is_here, &T::truncated, &T::ended, &T::offset, &T::data>{};
  }
};

// Jobs of these groups (empty: of all that the node has replicas of), from applied state.
struct AskJobs {
  std::uint64_t token = 0;
  std::vector<GroupId> groups;
  ListJobs query;
  WallTime now;  // what "within a day" is reckoned from
  bool count_only = false;
  static constexpr auto fields() {
    using A = AskJobs;
    return Fields<&A::token, &A::groups, &A::query, &A::now, &A::count_only>{};
  }
};
struct JobsReply {
  std::uint64_t token = 0;
  std::vector<GroupId> led;         // answered by their leader: complete
  std::vector<GroupId> replicated;  // by a replica that knows of a living leader
  std::vector<GroupId> orphaned;    // by a replica that knows of none: perhaps old
  std::vector<JobSummary> jobs;     // newest first
  bool cut = false;
  std::vector<std::pair<GroupId, std::vector<std::uint32_t>>> counts;  // by JobState
  // Long answers come in parts 0 .. parts - 1, each of which names the groups.
  std::uint32_t part = 0, parts = 1;
  static constexpr auto fields() {
    using R = JobsReply;
    return Fields<&R::token, &R::led, &R::replicated, &R::orphaned, &R::jobs, &R::cut, &R::counts,
                  &R::part, &R::parts>{};
  }
};

// A job as any replica last knew it.
struct AskJob {
  std::uint64_t token = 0;
  JobId job;
  static constexpr auto fields() { return Fields<&AskJob::token, &AskJob::job>{}; }
};
struct JobReply {
  std::uint64_t token = 0;
  std::optional<JobView> job;
  LogIndex changed = 0;
  static constexpr auto fields() {
    return Fields<&JobReply::token, &JobReply::job, &JobReply::changed>{};
  }
};

// Is there room for such a task of the job, and who gets it first? From whoever explains.
struct AskFit {
  std::uint64_t token = 0;
  JobId job;
  std::string user;
  std::int32_t priority = 0;
  Room task;
  static constexpr auto fields() {
    using A = AskFit;
    return Fields<&A::token, &A::job, &A::user, &A::priority, &A::task>{};
  }
};
struct FitReply {
  std::uint64_t token = 0;
  Room all, free;           // memory UINT64_MAX: not known
  std::uint32_t ahead = 0;  // jobs in the node's queue that get room first
  std::string refusal;      // why none of the job is taken now; empty: it is
  std::string note;         // what the host cannot enforce; empty: nothing
  static constexpr auto fields() {
    using F = FitReply;
    return Fields<&F::token, &F::all, &F::free, &F::ahead, &F::refusal, &F::note>{};
  }
};

// Events of these groups from these places on, of all jobs or of one: at once where there is news,
// else at the end of the hold. One question of a reader is held, the last one.
struct AskEvents {
  std::uint64_t token = 0;
  std::uint64_t reader = 0;
  std::vector<std::pair<GroupId, EventPlace>> groups;
  JobId job;  // none: all
  Duration hold;
  std::uint32_t limit = 0;  // events in the answer
  static constexpr auto fields() {
    using A = AskEvents;
    return Fields<&A::token, &A::reader, &A::groups, &A::job, &A::hold, &A::limit>{};
  }
};
// Of those groups that the node has replicas of.
struct EventsReply {
  std::uint64_t token = 0;
  std::uint64_t reader = 0;
  JobId job;
  std::vector<GroupEvents> groups;
  static constexpr auto fields() {
    using E = EventsReply;
    return Fields<&E::token, &E::reader, &E::job, &E::groups>{};
  }
};

using SchedMessage =
    std::variant<Probe, Bind, Describe, Committed, LogsCommitted, Drop, AskHeld, Pull, Results,
                 Logs, HeldList, Status, Refused, TailLog, TailReply, AskJobs, JobsReply, AskJob,
                 JobReply, Freeze, AskFit, FitReply, AskEvents, EventsReply, AskLead, LeadStands>;

Bytes encode_frame(const SchedMessage& message);
// kCorrupt for anything that is no frame of this module.
Result<SchedMessage> decode_frame(ByteView frame);

}  // namespace dunlin::sched
