// What the leader's desk commits on behalf of clients, and of the coordinators of other jobs.
#include <algorithm>

#include "sched/leader_desk.h"
#include "sched/validate.h"

namespace dunlin::sched {

namespace {

bool is_watched_by(const Job& job, const JobId& watcher) {
  const auto& watchers = job.head.watchers;
  return std::find(watchers.begin(), watchers.end(), watcher) != watchers.end();
}

Error too_many_watchers(const JobId& job) {
  return {Code::kLimit,
          std::to_string(kMaxWatchers) + " jobs wait for job " + job.text() + " already",
          {}};
}

}  // namespace

// An entry that is committed answers the request that proposed it, and no other one: two orders
// about a job may be under way at once.
void LeaderDesk::commit(Turn& turn, std::uint64_t handle, const Command& command) {
  Request& request = requests_.at(handle);
  request.stage = Stage::kCommitting;
  request.token = next_token_++;
  request.proposed = encode_command(command);
  tokens_[request.token] = handle;
  const Job* job = machine_.find(request.group, request.job);
  if (job != nullptr && std::holds_alternative<DeleteCommand>(command)) {
    request.before = std::make_shared<const JobSummary>(summary(request.group, *job));
  }
  turn.raise(
      Propose{request.group, coordinator_.term(request.group), request.token, request.proposed});
}

void LeaderDesk::committed(Turn& turn, std::uint64_t handle) {
  const Request request = requests_.at(handle);
  const Job* job = machine_.find(request.group, request.job);
  if (const auto* what = std::get_if<SubmitJob>(&request.what)) {
    settle_submit(turn, handle, request, *what);
  } else if (const auto* await = std::get_if<AwaitJob>(&request.what)) {
    settle_await(turn, handle, *await);
  } else if (std::holds_alternative<TellOutcome>(request.what)) {
    reply(turn, handle, OutcomeTaken{});
  } else if (request.before != nullptr && job == nullptr) {
    reply(turn, handle, Ordered{*request.before});
  } else if (job == nullptr) {
    refuse(turn, handle, {Code::kNotFound, "job " + request.job.text() + " was deleted", {}});
  } else if (request.before != nullptr) {
    refuse(turn, handle,
           {Code::kConflict,
            "job " + request.job.text() + " is kept: another job waits to hear how it ended",
            "try again in a moment"});
  } else if (const auto* order = std::get_if<OrderJob>(&request.what)) {
    settle_order(turn, handle, *job, *order);
  } else {
    reply(turn, handle, Cancelled{summary(request.group, *job)});
  }
}

// Other entries may have come between: the job is deleted, or as many wait for it as may.
void LeaderDesk::settle_await(Turn& turn, std::uint64_t handle, const AwaitJob& what) {
  const Job* job = machine_.find(requests_.at(handle).group, what.id);
  if (job == nullptr) {
    refuse(turn, handle, {Code::kNotFound, "job " + what.id.text() + " was deleted", {}});
  } else if (is_watched_by(*job, what.watcher)) {
    reply(turn, handle, Awaited{});
  } else {
    refuse(turn, handle, too_many_watchers(what.id));
  }
}

// What came between may have left the order without effect. A job that ended meanwhile has nothing
// to be held.
void LeaderDesk::settle_order(Turn& turn, std::uint64_t handle, const Job& job,
                              const OrderJob& what) {
  const bool is_hold = std::holds_alternative<PauseTasks>(what.order) ||
                       std::holds_alternative<ResumeTasks>(what.order);
  const bool is_done =
      what.number == 0 || job.has_obeyed(what.number) || (is_hold && job.is_final());
  if (is_done) {
    reply(turn, handle, Ordered{summary(requests_.at(handle).group, job)});
    return;
  }
  refuse(turn, handle,
         {Code::kConflict, "job " + job.id.text() + " was changed by another order meanwhile",
          "look at it, and try again"});
}

bool LeaderDesk::may_order(Turn& turn, std::uint64_t handle, const Job& job,
                           const std::string& user, bool is_admin) {
  if (is_admin || user == job.head.user) return true;
  refuse(turn, handle,
         {Code::kRefused, "job " + job.id.text() + " belongs to " + job.head.user,
          "its owner or an admin may do that"});
  return false;
}

std::optional<std::vector<IndexRun>> LeaderDesk::tasks_meant(Turn& turn, std::uint64_t handle,
                                                             const Job& job,
                                                             const std::vector<TaskRange>& tasks) {
  std::vector<IndexRun> runs = job.numbers()->indices_of(tasks);
  if (!tasks.empty() && runs.empty()) {
    refuse(turn, handle,
           {Code::kNotFound, "job " + job.id.text() + " has no such task",
            "see: dunlin tasks " + job.id.text()});
    return std::nullopt;
  }
  if (runs.size() > kMaxCancelRuns) {
    refuse(turn, handle,
           {Code::kLimit,
            "more than " + std::to_string(kMaxCancelRuns) + " separate ranges of tasks at once",
            {}});
    return std::nullopt;
  }
  return runs;
}

// ---- orders of clients --------------------------------------------------------------------------

namespace {

Result<Command> ordered(const Job& job, const std::vector<IndexRun>& tasks, Hold hold) {
  if (!tasks.empty() && job.head.hold != Hold::kNone) {
    return fail(Code::kConflict, "job " + job.id.text() + " is paused as a whole",
                "resume or pause the job");
  }
  if (held_after(job.head.held, tasks, hold).size() > kMaxHeldRuns) {
    return fail(Code::kLimit,
                "more than " + std::to_string(kMaxHeldRuns) + " separate ranges are paused",
                "pause the job as a whole");
  }
  return HoldCommand{job.id, tasks, hold};
}

Result<Command> ordered(const Job& job, const DeleteJob&, const std::vector<IndexRun>& tasks) {
  if (!tasks.empty()) {
    return fail(Code::kUsage, "a job is deleted as a whole", "name it without tasks");
  }
  if (!job.is_final()) {
    return fail(Code::kConflict, "job " + job.id.text() + " is not over", "cancel it first");
  }
  return DeleteCommand{job.id};
}

Result<Command> ordered(const Job& job, const ChangeJob& change,
                        const std::vector<IndexRun>& tasks) {
  if (!tasks.empty()) {
    return fail(Code::kUsage, "a job is changed as a whole", "name it without tasks");
  }
  if (const Result<void> valid = validate(change); !valid) return tl::unexpected(valid.error());
  return ChangeCommand{job.id, change};
}

}  // namespace

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const OrderJob& what) {
  if (!may_order(turn, handle, job, what.user, what.is_admin)) return;
  const auto tasks = tasks_meant(turn, handle, job, what.tasks);
  if (!tasks) return;
  const GroupId group = requests_.at(handle).group;
  if (what.number != 0 && job.has_obeyed(what.number)) {
    reply(turn, handle, Ordered{summary(group, job)});
    return;
  }
  const auto make = [&](const auto& order) -> Result<Command> {
    using T = std::decay_t<decltype(order)>;
    if constexpr (std::is_same_v<T, PauseTasks>) {
      return ordered(job, *tasks, order.freezes ? Hold::kFrozen : Hold::kPaused);
    } else if constexpr (std::is_same_v<T, ResumeTasks>) {
      return ordered(job, *tasks, Hold::kNone);
    } else if constexpr (std::is_same_v<T, RetryTasks>) {
      return coordinator_.retry(group, job, *tasks, order.all);
    } else {
      return ordered(job, order, *tasks);
    }
  };
  Result<Command> command = std::visit(make, what.order);
  if (!command) {
    refuse(turn, handle, command.error());
    return;
  }
  // A job that is over has nothing to be held.
  if (job.is_final() && std::holds_alternative<HoldCommand>(*command)) {
    reply(turn, handle, Ordered{summary(group, job)});
    return;
  }
  std::visit(
      [&](auto& entry) {
        if constexpr (requires { entry.order; }) entry.order = what.number;
        if constexpr (requires { entry.at; }) entry.at = turn.wall;
      },
      *command);
  commit(turn, handle, *command);
}

// ---- other jobs ---------------------------------------------------------------------------------

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const AwaitJob& what) {
  const bool is_watched = is_watched_by(job, what.watcher);
  if (is_watched && !job.is_final()) {
    reply(turn, handle, Awaited{});
    return;
  }
  // Of a job that is over the watcher may be about to be taken out, since it has heard: before it
  // was run again, it seems. That comes before this entry in the log, or not at all.
  coordinator_.tell_again(turn.now, requests_.at(handle).group, job.id, what.watcher);
  if (!is_watched && job.head.watchers.size() >= kMaxWatchers) {
    refuse(turn, handle, too_many_watchers(job.id));
    return;
  }
  commit(turn, handle, WatcherCommand{job.id, what.watcher, false});
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const TellOutcome& what) {
  const auto& met = job.head.met;
  const std::shared_ptr<const JobSpec> spec = job.spec();
  const auto wanted =
      std::find_if(spec->after.begin(), spec->after.end(),
                   [&](const Dependency& one) { return one.job == what.dependency; });
  const bool is_known = std::find(met.begin(), met.end(), what.dependency) != met.end();
  if (job.is_final() || is_known || wanted == spec->after.end()) {
    reply(turn, handle, OutcomeTaken{});
    return;
  }
  const bool is_met = what.is_done || wanted->any;
  commit(turn, handle, OutcomeCommand{job.id, what.dependency, is_met, turn.wall});
}

}  // namespace dunlin::sched
