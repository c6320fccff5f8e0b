// What clients ask about jobs, as typed data that also travels between nodes: a node forwards what
// concerns one job to the leader of the job's group. Every request has exactly one answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "sched/explanation.h"
#include "sched/job.h"

namespace dunlin {

// Acknowledged once a quorum of the job's group has it on disk. The same id with the same spec
// again is acknowledged again; with another spec: kConflict. With a key the client made the id
// from hash(user, key); see job_id_for_key.
struct SubmitJob {
  JobId id;
  std::string user;
  std::string key;
  JobSpec spec;
  static constexpr auto fields() {
    return Fields<&SubmitJob::id, &SubmitJob::user, &SubmitJob::key, &SubmitJob::spec>{};
  }
};
struct Submitted {
  JobSummary job;
  static constexpr auto fields() { return Fields<&Submitted::job>{}; }
};

struct ShowJob {
  JobId id;
  bool stale = false;  // the last state any replica knows, without a quorum
  static constexpr auto fields() { return Fields<&ShowJob::id, &ShowJob::stale>{}; }
};
struct JobView {
  JobSummary job;
  JobSpec spec;
  static constexpr auto fields() { return Fields<&JobView::job, &JobView::spec>{}; }
};

// Answered when the job's version is above `seen`, or after `hold` with what there is.
struct WatchJob {
  JobId id;
  std::uint64_t seen = 0;
  Duration hold = seconds(20);
  bool attends = false;  // whoever waits is who an attended job runs for
  static constexpr auto fields() {
    return Fields<&WatchJob::id, &WatchJob::seen, &WatchJob::hold, &WatchJob::attends>{};
  }
};
struct JobChanged {
  JobSummary job;
  static constexpr auto fields() { return Fields<&JobChanged::job>{}; }
};

// From applied state anywhere: may be a moment old.
struct ListJobs {
  std::optional<std::string> user;  // nothing: all users
  std::optional<JobState> state;
  std::string id_prefix;
  std::string name_glob;
  bool unfinished_or_recent = true;  // unfinished ones, and those finished within a day
  WallTime since;                    // submitted at or after; 0: no bound
  std::uint32_t limit = 1000;        // newest first
  static constexpr auto fields() {
    using L = ListJobs;
    return Fields<&L::user, &L::state, &L::id_prefix, &L::name_glob, &L::unfinished_or_recent,
                  &L::since, &L::limit>{};
  }
};
struct JobList {
  std::vector<JobSummary> jobs;
  std::uint32_t silent_groups = 0;  // of how many groups nobody answered
  bool cut = false;                 // there were more than `limit`
  static constexpr auto fields() {
    return Fields<&JobList::jobs, &JobList::silent_groups, &JobList::cut>{};
  }
};

struct ListTasks {
  JobId id;
  std::vector<TaskRange> tasks;  // empty: all
  std::optional<TaskState> state;
  std::uint32_t from = 0;  // task numbers from this one on: of a page the `next` of the one before
  std::uint32_t limit = 10'000;
  std::optional<std::uint32_t> logs_from = {};  // of tasks from this number on, their logs too
  static constexpr auto fields() {
    return Fields<&ListTasks::id, &ListTasks::tasks, &ListTasks::state, &ListTasks::from,
                  &ListTasks::limit, &ListTasks::logs_from>{};
  }
};
// All that the committed attempt of a task has written, where the results hold it whole.
struct TaskLogs {
  std::uint32_t task = 1;
  Attempt attempt;
  Bytes out, err;
  static constexpr auto fields() {
    return Fields<&TaskLogs::task, &TaskLogs::attempt, &TaskLogs::out, &TaskLogs::err>{};
  }
};
struct TaskList {
  std::vector<TaskView> tasks;
  // As ListTasks::logs_from says: of those that are closed and wrote little.
  std::vector<TaskLogs> logs;
  // The number from which the next page goes on; none: there are no more. A page may be empty and
  // yet not the last, since not all tasks of a large job are looked through at once.
  std::optional<std::uint32_t> next;
  static constexpr auto fields() {
    return Fields<&TaskList::tasks, &TaskList::next, &TaskList::logs>{};
  }
};

struct CancelTasks {
  JobId id;
  std::vector<TaskRange> tasks;  // empty: the whole job
  std::string user;
  bool is_admin = false;
  std::uint64_t number = 0;  // as in OrderJob
  static constexpr auto fields() {
    using C = CancelTasks;
    return Fields<&C::id, &C::tasks, &C::user, &C::is_admin, &C::number>{};
  }
};
struct Cancelled {
  JobSummary job;
  static constexpr auto fields() { return Fields<&Cancelled::job>{}; }
};

// Orders about a job, or about tasks of it, but for CancelTasks.
struct PauseTasks {
  bool freezes = false;  // what runs stands still too, and its time limit with it
  static constexpr auto fields() { return Fields<&PauseTasks::freezes>{}; }
};
struct ResumeTasks {
  static constexpr auto fields() { return Fields<>{}; }
};
// Runs failed and cancelled tasks again, under the same id.
struct RetryTasks {
  bool all = false;  // every task; only once the job is over
  static constexpr auto fields() { return Fields<&RetryTasks::all>{}; }
};
// Record, logs and outputs of a finished job, at once.
struct DeleteJob {
  static constexpr auto fields() { return Fields<>{}; }
};
struct ChangeJob {
  std::optional<std::int32_t> priority;
  std::optional<std::uint32_t> limit;  // tasks at once; 0: no limit
  std::optional<Duration> time_limit;  // of an attempt, running ones too; 0: none
  std::optional<Duration> keep;
  static constexpr auto fields() {
    using C = ChangeJob;
    return Fields<&C::priority, &C::limit, &C::time_limit, &C::keep>{};
  }
};
using JobOrder = std::variant<PauseTasks, ResumeTasks, RetryTasks, DeleteJob, ChangeJob>;
struct OrderJob {
  JobId id;
  std::vector<TaskRange> tasks;  // empty: the whole job
  std::string user;
  bool is_admin = false;
  JobOrder order;
  // Chosen by whoever gives the order, anew for each: asked again it is carried out once. 0: the
  // node that is asked chooses.
  std::uint64_t number = 0;
  static constexpr auto fields() {
    using O = OrderJob;
    return Fields<&O::id, &O::tasks, &O::user, &O::is_admin, &O::order, &O::number>{};
  }
};
// The job once the order is committed; of one that was deleted: as it was.
struct Ordered {
  JobSummary job;
  static constexpr auto fields() { return Fields<&Ordered::job>{}; }
};

// Output of one task: bytes from `offset` of the committed attempt, else the newest. With `follow`
// the answer waits (up to 20 s) for at least one byte or the end. Starts are soft state, so two
// attempts of different epochs may bear the same number: `of` names the one whose bytes `offset`
// counts. Where another one is read by now, its bytes come from its beginning; with `attempt` no
// other is read.
struct ReadLog {
  JobId id;
  std::uint32_t task = 1;
  bool is_stderr = false;
  std::uint32_t attempt = 0;  // as people count; 0: the committed one, else the newest
  std::uint64_t offset = 0;
  std::uint32_t limit = 256 * 1024;
  bool follow = false;
  Attempt of;  // number 0: not known
  static constexpr auto fields() {
    using R = ReadLog;
    return Fields<&R::id, &R::task, &R::is_stderr, &R::attempt, &R::offset, &R::limit, &R::follow,
                  &R::of>{};
  }
  // May these bytes be of that attempt?
  bool may_be(const Attempt& other) const {
    return attempt == 0 || (attempt == other.number && (of.number != attempt || of == other));
  }
};
struct LogChunk {
  Attempt attempt;           // number 0: none has run yet
  std::uint64_t offset = 0;  // of the first byte here
  Bytes data;
  bool end = false;        // the attempt is over and this is its last byte
  bool truncated = false;  // bytes before `offset` were cut out by the log limit
  static constexpr auto fields() {
    using L = LogChunk;
    return Fields<&L::attempt, &L::offset, &L::data, &L::end, &L::truncated>{};
  }
};

// Of a job without a task the one that tells most: the first that waits, else runs, else failed.
struct ExplainTask {
  JobId id;
  std::optional<std::uint32_t> task = {};
  static constexpr auto fields() { return Fields<&ExplainTask::id, &ExplainTask::task>{}; }
};

using JobRequest = std::variant<SubmitJob, ShowJob, WatchJob, ListJobs, ListTasks, CancelTasks,
                                ReadLog, OrderJob, ExplainTask>;
using JobAnswer = std::variant<Submitted, JobView, JobChanged, JobList, TaskList, Cancelled,
                               LogChunk, Ordered, Explained>;

// The id under which a job submitted with --key lives: a hash of both, so that the same key at two
// nodes at once is one job.
JobId job_id_for_key(const std::string& user, const std::string& key, std::uint16_t group_count);

}  // namespace dunlin
