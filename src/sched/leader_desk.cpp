#include "sched/leader_desk.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/job_views.h"
#include "sched/validate.h"

namespace dunlin::sched {

namespace {

JobId job_of(const GroupRequest& request) {
  return std::visit(
      [](const auto& what) {
        if constexpr (std::is_same_v<std::decay_t<decltype(what)>, LocateLog>) {
          return what.read.id;
        } else {
          return what.id;
        }
      },
      request);
}

Error moved() {
  return {Code::kUnreachable, "this node does not lead the job's group", {}};
}

Error unknown(const JobId& job) {
  return {Code::kNotFound, "there is no job " + job.text(), "see: dunlin jobs --all"};
}

// A job that was changed since is still the one that was submitted: what may change tells no
// difference any more. Nor does when it is to begin: said again, "in an hour" is another time.
JobSpec as_changed(const Job& job, JobSpec spec) {
  const std::shared_ptr<const JobSpec> now = job.spec();
  if (spec.begin.ms != 0 && now->begin.ms != 0) spec.begin = now->begin;
  if (job.head.revised == job.head.accepted) return spec;
  spec.priority = now->priority;
  spec.limit = now->limit;
  spec.time_limit = now->time_limit;
  spec.keep = now->keep;
  return spec;
}

// An attended job ends when those it runs for are gone, whoever else may look at it.
bool is_attendance(const GroupRequest& request) {
  const auto* watch = std::get_if<WatchJob>(&request);
  return watch != nullptr ? watch->attends : std::holds_alternative<SubmitJob>(request);
}

}  // namespace

LeaderDesk::LeaderDesk(const JobMachine& machine, Coordinator& coordinator, FitSurveys& surveys,
                       std::uint16_t group_count, std::uint64_t first_token)
    : machine_(machine),
      coordinator_(coordinator),
      surveys_(surveys),
      group_count_(group_count),
      next_token_(first_token) {}

void LeaderDesk::ask(Turn& turn, std::uint64_t handle, GroupId group, ByteView body) {
  Result<GroupRequest> what = decode<GroupRequest>(body);
  if (!what) {
    turn.raise(ReplyGroup{handle, fail(Code::kUsage, "a request that makes no sense")});
    return;
  }
  const JobId job = job_of(*what);
  if (job.is_none() || job.group(group_count_) != group) {
    turn.raise(ReplyGroup{handle, fail(Code::kUsage, "the job belongs to another group")});
    return;
  }
  if (!coordinator_.leads(group)) {
    turn.raise(ReplyGroup{handle, tl::unexpected(moved())});
    return;
  }
  if (requests_.size() >= kMaxDeskRequests) {
    turn.raise(ReplyGroup{handle, fail(Code::kLimit, "too many requests at this node")});
    return;
  }
  if (is_attendance(*what)) coordinator_.attend(group, job, turn.now, turn.now);
  Request& request = requests_[handle];
  request.group = group;
  request.job = job;
  request.what = std::move(*what);
  by_job_[job].insert(handle);
  if (const auto* submission = std::get_if<SubmitJob>(&request.what)) {
    submit(turn, handle, request, *submission);
    return;
  }
  request.token = next_token_++;
  tokens_[request.token] = handle;
  turn.raise(ReadGroup{group, request.token});
}

void LeaderDesk::reply(Turn& turn, std::uint64_t handle, const GroupAnswer& answer) {
  turn.raise(ReplyGroup{handle, encode(answer)});
  forget(handle);
}

void LeaderDesk::refuse(Turn& turn, std::uint64_t handle, Error error) {
  turn.raise(ReplyGroup{handle, tl::unexpected(std::move(error))});
  forget(handle);
}

void LeaderDesk::forget(std::uint64_t handle) {
  const auto at = requests_.find(handle);
  ASSERT(at != requests_.end());
  deadlines_.erase({at->second.until, handle});
  tokens_.erase(at->second.token);
  const auto of_job = by_job_.find(at->second.job);
  of_job->second.erase(handle);
  if (of_job->second.empty()) by_job_.erase(of_job);
  requests_.erase(at);
}

JobSummary LeaderDesk::summary(GroupId group, const Job& job) const {
  JobSummary summary = summary_of(job);
  coordinator_.complete(job, group, summary);
  return summary;
}

// ---- submissions --------------------------------------------------------------------------------

void LeaderDesk::submit(Turn& turn, std::uint64_t handle, Request& request, const SubmitJob& what) {
  if (machine_.find(request.group, request.job) != nullptr) {
    settle_submit(turn, handle, request, what);
    return;
  }
  if (const Result<void> valid = validate(what); !valid) {
    refuse(turn, handle, valid.error());
    return;
  }
  const JobMachine::Jobs* jobs = machine_.jobs(request.group);
  if (jobs != nullptr && jobs->size() >= kMaxJobsOfGroup) {
    refuse(turn, handle,
           {Code::kLimit, "the group keeps " + std::to_string(kMaxJobsOfGroup) + " jobs already",
            "delete finished jobs, or submit again: another group may have room"});
    return;
  }
  if (!coordinator_.may_accept(request.group)) {
    refuse(turn, handle,
           {Code::kLimit, "the records of the group's jobs are as long as they may be",
            "delete finished jobs, or submit again: another group may have room"});
    return;
  }
  commit(turn, handle, coordinator_.submission(what, what.spec, turn.wall));
}

// The job exists now: as this client described it, or as another one did.
void LeaderDesk::settle_submit(Turn& turn, std::uint64_t handle, const Request& request,
                               const SubmitJob& what) {
  const Job* job = machine_.find(request.group, request.job);
  if (job == nullptr) {
    refuse(turn, handle, {Code::kFailed, "the job was not accepted", {}});
    return;
  }
  const bool is_same = job->head.user == what.user && job->head.key == what.key &&
                       job->spec_bytes == encode(as_changed(*job, what.spec));
  if (is_same) {
    reply(turn, handle, Submitted{summary(request.group, *job)});
    return;
  }
  const std::string name = what.key.empty() ? "job " + job->id.text() : "key '" + what.key + "'";
  refuse(turn, handle,
         {Code::kConflict, name + " exists already with another description",
          "it is job " + job->id.text()});
}

// ---- what comes back ----------------------------------------------------------------------------

bool LeaderDesk::on_read_ready(Turn& turn, std::uint64_t token, bool ok) {
  const auto at = tokens_.find(token);
  if (at == tokens_.end()) return false;
  const std::uint64_t handle = at->second;
  tokens_.erase(at);
  if (ok) {
    serve(turn, handle, false);
  } else {
    refuse(turn, handle, moved());
  }
  return true;
}

bool LeaderDesk::on_refused(Turn& turn, std::uint64_t token) {
  const auto at = tokens_.find(token);
  if (at == tokens_.end()) return false;
  refuse(turn, at->second, moved());
  return true;
}

void LeaderDesk::applied(Turn& turn, GroupId group, const Command& command, ByteView payload) {
  const JobId job = std::visit(
      [](const auto& held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, CompleteCommand>) {
          return JobId{};
        } else {
          return held.job;
        }
      },
      command);
  const auto at = by_job_.find(job);
  if (at == by_job_.end()) return;
  const std::set<std::uint64_t> handles = at->second;
  for (const std::uint64_t handle : handles) {
    const Request& request = requests_.at(handle);
    if (request.group != group || request.stage != Stage::kCommitting) continue;
    // Two clients may submit one job at once: whichever entry comes first, the job exists then.
    const bool is_its_own = std::ranges::equal(request.proposed, payload);
    const bool is_submission = std::holds_alternative<SubmitCommand>(command) &&
                               std::holds_alternative<SubmitJob>(request.what);
    if (is_its_own || is_submission) committed(turn, handle);
  }
}

void LeaderDesk::touched(Turn& turn, const std::set<JobId>& jobs) {
  if (by_job_.empty()) return;
  for (const JobId& job : jobs) {
    const auto at = by_job_.find(job);
    if (at == by_job_.end()) continue;
    const std::set<std::uint64_t> handles = at->second;
    for (const std::uint64_t handle : handles) {
      if (requests_.at(handle).stage == Stage::kWaiting) serve(turn, handle, false);
    }
  }
}

void LeaderDesk::follow(Turn& turn, GroupId group) {
  std::vector<std::uint64_t> handles;
  for (const auto& [handle, request] : requests_) {
    if (request.group == group) handles.push_back(handle);
  }
  for (const std::uint64_t handle : handles) refuse(turn, handle, moved());
}

void LeaderDesk::tick(Turn& turn) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= turn.now) {
    const std::uint64_t handle = deadlines_.begin()->second;
    serve(turn, handle, true);
  }
}

Instant LeaderDesk::next_deadline() const {
  return deadlines_.empty() ? Instant::never() : deadlines_.begin()->first;
}

// ---- answers ------------------------------------------------------------------------------------

void LeaderDesk::wait(Turn& turn, std::uint64_t handle, Duration hold) {
  Request& request = requests_.at(handle);
  if (request.stage == Stage::kWaiting) return;
  request.stage = Stage::kWaiting;
  request.until = turn.now + std::clamp(hold, Duration{}, kLongestHold);
  deadlines_.insert({request.until, handle});
  if (is_attendance(request.what)) {
    coordinator_.attend(request.group, request.job, turn.now, request.until);
  }
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, bool is_last) {
  const Request request = requests_.at(handle);
  const Job* job = machine_.find(request.group, request.job);
  if (job == nullptr) {
    refuse(turn, handle, unknown(request.job));
    return;
  }
  std::visit(
      [&](const auto& what) {
        using T = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<T, WatchJob> || std::is_same_v<T, LocateLog>) {
          serve(turn, handle, *job, what, is_last);
        } else if constexpr (!std::is_same_v<T, SubmitJob>) {
          serve(turn, handle, *job, what);
        }
      },
      request.what);
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const ShowJob&) {
  reply(turn, handle, JobView{summary(requests_.at(handle).group, job), *job.spec()});
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const WatchJob& what,
                       bool is_last) {
  const JobSummary now = summary(requests_.at(handle).group, job);
  if (now.version > what.seen || is_last) {
    reply(turn, handle, JobChanged{now});
  } else {
    wait(turn, handle, what.hold);
  }
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const ListTasks& what) {
  const std::shared_ptr<const TaskNumbers> numbers = job.numbers();
  std::vector<IndexRun> runs = numbers->indices_of(what.tasks);
  if (what.tasks.empty()) runs = {{0, numbers->count()}};
  const std::uint32_t limit = std::clamp(what.limit, 1U, kMaxTaskList);
  const std::uint32_t first = numbers->first_from(what.from);
  const GroupId group = requests_.at(handle).group;
  const std::shared_ptr<const JobSpec> spec = job.spec();  // held: each view asks for it
  TaskList list;
  Coordinator::Found found;
  std::size_t bytes = 0;
  std::uint32_t scanned = 0;
  const auto next_page_from = [&](std::uint32_t index) {
    list.next = numbers->number_of(index);
    reply(turn, handle, list);
  };
  for (const IndexRun& run : runs) {
    for (std::uint32_t i = std::max(run.first, first); i < run.end(); ++i) {
      if (++scanned > kMaxTasksScanned) return next_page_from(i);
      // Of millions of tasks few may be meant: a view is made of those alone.
      if (what.state && coordinator_.state(job, group, i, found) != *what.state) continue;
      TaskView view = view_of(job, i);
      coordinator_.complete(job, group, i, view, found);
      bytes += 300 + view.entry.size() + view.detail.size();
      for (const OutputFile& output : view.outputs) bytes += encoded_size(output);
      std::optional<TaskLogs> logs;
      const bool wants_logs = what.logs_from && view.task >= *what.logs_from;
      if (wants_logs && is_final(view.state)) logs = logs_of(job, i);
      if (logs) bytes += 50 + logs->out.size() + logs->err.size();
      const bool is_full = list.tasks.size() == limit || bytes > kMaxTaskListBytes;
      if (is_full && !list.tasks.empty()) return next_page_from(i);
      list.tasks.push_back(std::move(view));
      if (logs) list.logs.push_back(std::move(*logs));
    }
  }
  reply(turn, handle, list);
}

// Of many tasks the one that a person who asks about the job most likely means.
std::uint32_t LeaderDesk::telling_task(GroupId group, const Job& job) const {
  std::map<TaskState, std::uint32_t> first;
  const std::uint32_t most = std::min(job.head.total, kMaxTasksScanned);
  Coordinator::Found found;
  for (std::uint32_t index = 0; index < most; ++index) {
    const TaskState state = coordinator_.state(job, group, index, found);
    first.emplace(state, index);
    if (state == TaskState::kQueued) break;
  }
  for (const TaskState state : {TaskState::kQueued, TaskState::kWaiting, TaskState::kPaused,
                                TaskState::kRunning, TaskState::kFailed}) {
    const auto at = first.find(state);
    if (at != first.end()) return at->second;
  }
  return 0;
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const ExplainTask& what) {
  const GroupId group = requests_.at(handle).group;
  const std::optional<std::uint32_t> index =
      what.task ? job.numbers()->index_of(*what.task) : telling_task(group, job);
  if (!index) {
    refuse(turn, handle,
           {Code::kNotFound,
            "job " + job.id.text() + " has no task " + std::to_string(*what.task),
            {}});
    return;
  }
  Explained explained;
  explained.task = view_of(job, *index);
  Coordinator::Found found;
  coordinator_.complete(job, group, *index, explained.task, found);
  explained.needs = needs_of(*job.spec());
  explained.attempts = attempts_of(job, *index, explained.task);
  const TaskState state = explained.task.state;
  if (state != TaskState::kQueued && state != TaskState::kWaiting) {
    reply(turn, handle, std::move(explained));
    return;
  }
  // The request lives on as a survey: that is answered whoever leads by then.
  surveys_.begin(turn, handle, job.id, coordinator_.wanted_by(group, job), std::move(explained));
  forget(handle);
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const CancelTasks& what) {
  if (!may_order(turn, handle, job, what.user, what.is_admin)) return;
  const auto tasks = tasks_meant(turn, handle, job, what.tasks);
  if (!tasks) return;
  const GroupId group = requests_.at(handle).group;
  if (job.is_final()) {
    reply(turn, handle, Cancelled{summary(group, job)});
    return;
  }
  if (what.number != 0 && job.has_obeyed(what.number)) {
    reply(turn, handle, Cancelled{summary(group, job)});
    return;
  }
  CancelCommand command = coordinator_.cancellation(group, job, *tasks, turn.wall, what.user);
  command.order = what.number;
  commit(turn, handle, command);
}

void LeaderDesk::serve(Turn& turn, std::uint64_t handle, const Job& job, const LocateLog& what,
                       bool is_last) {
  const GroupId group = requests_.at(handle).group;
  const std::optional<std::uint32_t> index = job.numbers()->index_of(what.read.task);
  if (!index) {
    refuse(turn, handle,
           {Code::kNotFound,
            "job " + job.id.text() + " has no task " + std::to_string(what.read.task),
            {}});
    return;
  }
  const auto running = coordinator_.holder(group, job.id, *index);
  const LogPlace place = place_of(job, *index, what.read, running);
  // The result of an attempt that is over on its node is on its way; so is the first attempt.
  const bool is_between = place.exists && !place.is_over && place.attempt == what.ended;
  const bool may_wait = !is_last && (what.read.follow || is_between);
  if (may_wait && (!place.exists || is_between)) {
    wait(turn, handle, seconds(20));
    return;
  }
  reply(turn, handle, place);
}

}  // namespace dunlin::sched
