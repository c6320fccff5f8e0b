// What the log says when people, or other jobs, have a say in a job.
#include <algorithm>

#include "base/assert.h"
#include "sched/job_changes.h"
#include "sched/job_machine.h"

namespace dunlin::sched {

namespace {

// What is written of a run of tasks that are held, and of a later round, at most.
constexpr std::uint64_t kHeldBytes = 12;
constexpr std::uint64_t kRoundBytes = 9;

// Every index of these runs that the job has; all of them where none is listed.
template <class Each>
void for_each_task(const Job& job, const std::vector<IndexRun>& runs, const Each& each) {
  const std::uint32_t total = job.head.total;
  if (runs.empty()) {
    for (std::uint32_t i = 0; i < total; ++i) each(i);
    return;
  }
  for (const IndexRun& run : runs) {
    for (std::uint32_t i = run.first; i < total && i - run.first < run.count; ++i) each(i);
  }
}

// Why the first task failed that is still closed as failed.
Reason reason_of_failed(const Job& job) {
  if (job.head.failed == 0) return Reason::kNone;
  for (const auto& [index, detail] : job.details) {
    if (job.columns.state(index) != Closed::kFailed) continue;
    for (const AttemptRecord& record : detail.attempts) {
      if (record.attempt == detail.superseded) return record.reason;
    }
  }
  return Reason::kNone;
}

// A job that was over, and of which tasks are open again since this entry.
void start_over(Job& job, LogIndex index) {
  JobHead& head = job.head;
  head.reopened = index;
  head.later_rounds.clear();
  head.hold = Hold::kNone;
  head.held.clear();
  head.held_at = index;
  head.state = head.done > 0 ? JobState::kRunning : JobState::kWaiting;
  if (head.done == 0) head.started = {};
  head.finished = {};
}

std::uint64_t list_bytes(const JobHead& head) {
  return kHeldBytes * head.held.size() + kRoundBytes * head.later_rounds.size();
}

std::string tasks_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " task" : " tasks");
}

EventRun event_of_hold(const Job& job, const HoldCommand& command) {
  const EventType type =
      command.hold == Hold::kNone ? EventType::kJobResumed : EventType::kJobPaused;
  EventRun event = event_of_job(type, job, command.at);
  if (command.hold == Hold::kFrozen) event.detail = "frozen";
  if (command.tasks.empty()) return event;
  std::uint64_t count = 0;
  for (const IndexRun& run : command.tasks) count += run.count;
  event.detail += (event.detail.empty() ? "" : ", ") + tasks_text(count);
  return event;
}

std::string change_text(const ChangeJob& change) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : ", ") + what; };
  const auto time = [](Duration length) { return std::to_string(length.us / 1'000'000) + "s"; };
  if (change.priority) add("priority " + std::to_string(*change.priority));
  if (change.limit) add("limit " + std::to_string(*change.limit));
  if (change.time_limit) add("time " + time(*change.time_limit));
  if (change.keep) add("keep " + time(*change.keep));
  return text;
}

bool is_waited_for(const Job& job, const JobId& dependency) {
  const auto& met = job.head.met;
  if (std::find(met.begin(), met.end(), dependency) != met.end()) return false;
  const std::shared_ptr<const JobSpec> spec = job.spec();
  return std::any_of(spec->after.begin(), spec->after.end(),
                     [&](const Dependency& one) { return one.job == dependency; });
}

}  // namespace

void JobMachine::apply(GroupId group, LogIndex index, const HoldCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr || job->is_final() || job->has_obeyed(command.order)) return;
  JobHead& head = job->head;
  std::vector<HeldRun> held;
  if (!command.tasks.empty()) {
    std::vector<IndexRun> tasks = command.tasks;
    std::erase_if(tasks, [&](const IndexRun& run) {
      return !is_within({run.first, run.count, {}}, head.total);
    });
    held = held_after(head.held, std::move(tasks), command.hold);
    if (head.hold != Hold::kNone || held.size() > kMaxHeldRuns) return;  // it is not obeyed
  }
  take_order(*job, command.order);
  const bool is_news =
      command.tasks.empty() ? head.hold != command.hold || !head.held.empty() : head.held != held;
  if (is_news) events_.add(event_of_hold(*job, command));
  if (command.tasks.empty()) head.hold = command.hold;
  const std::uint64_t before = list_bytes(head);
  head.held = std::move(held);
  resize(group, *job, before, list_bytes(head));
  head.held_at = index;
  note_change(group, index, *job);
}

void JobMachine::apply(GroupId group, LogIndex index, const RetryCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr) return;
  JobHead& head = job->head;
  const bool was_final = job->is_final();
  if (!was_final && (command.all || head.later_rounds.size() >= kMaxLaterRounds)) return;
  if (!take_order(*job, command.order)) return;
  // Of an open job other tasks may be under way, whose attempts go on to count.
  const auto round = static_cast<std::uint32_t>(was_final ? 0 : head.later_rounds.size() + 1);
  std::uint64_t opened = 0;
  for_each_task(*job, command.tasks, [&](std::uint32_t i) {
    const Closed state = job->columns.state(i);
    if (state == Closed::kOpen || (state == Closed::kDone && !command.all)) return;
    reopen(*job, i, round);
    ++opened;
  });
  if (opened == 0) return;
  EventRun event = event_of_job(EventType::kJobRetried, *job, command.at);
  event.detail = tasks_text(opened);
  events_.add(std::move(event));
  head.round = index;
  const std::uint64_t before = list_bytes(head);
  if (was_final) {
    start_over(*job, index);
    name_nodes(*job, command.probed);
    open_[group].insert(command.job);
  } else {
    head.later_rounds.push_back(index);
  }
  resize(group, *job, before, list_bytes(head));
  if (command.all && command.tasks.empty()) ++head.whole_rounds;
  head.is_cancelled = false;
  head.cancelled_by.clear();
  head.reason = reason_of_failed(*job);
  head.exit_code.reset();
  raise_bound(*job, command.bound_below);
  note_change(group, index, *job);
}

void JobMachine::apply(GroupId group, LogIndex index, const ChangeCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr || !take_order(*job, command.order)) return;
  JobSpec spec = *job->spec();
  const ChangeJob& change = command.change;
  if (change.priority) spec.priority = *change.priority;
  if (change.limit) spec.limit = *change.limit;
  if (change.time_limit) spec.time_limit = *change.time_limit;
  if (change.keep) spec.keep = *change.keep;
  EventRun event = event_of_job(EventType::kJobChanged, *job, command.at);
  event.detail = change_text(change);
  events_.add(std::move(event));
  job->change_spec(spec, index);
  note_change(group, index, *job);
}

void JobMachine::apply(GroupId group, LogIndex index, const WatcherCommand& command) {
  Job* job = changeable(group, command.job);
  // What was heard of a job that runs again was its former end.
  if (job == nullptr || (command.has_heard && !job->is_final())) return;
  auto& watchers = job->head.watchers;
  const auto known = std::find(watchers.begin(), watchers.end(), command.watcher);
  if (command.has_heard && known != watchers.end()) watchers.erase(known);
  const bool is_new = !command.has_heard && known == watchers.end();
  if (is_new && watchers.size() < kMaxWatchers) watchers.push_back(command.watcher);
  job->head.changed = index;
  job->head_dirty = true;
}

void JobMachine::apply(GroupId group, LogIndex index, const OutcomeCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr || job->is_final() || !is_waited_for(*job, command.dependency)) return;
  if (command.is_met) {
    job->head.met.push_back(command.dependency);
  } else {
    job->head.is_cancelled = true;
    job->head.reason = Reason::kDependencyFailed;
    for (std::uint32_t i = 0; i < job->head.total; ++i) cancel_open(*job, i, command.at);
  }
  note_change(group, index, *job);
}

}  // namespace dunlin::sched
