// What a coordinator repeats, and what it alone can tell of its jobs.
#include <algorithm>

#include "sched/coordinator.h"

namespace dunlin::sched {

namespace {

constexpr Duration kLongestAskInterval = seconds(2);
constexpr Duration kRepeatInterval = seconds(1);
constexpr Duration kCheckInterval = seconds(2);
constexpr Duration kSilence = seconds(3);  // executors with work say something each second

// Of a task that is not closed.
TaskState state_of_open(const Job& job, const LedJob& led, std::uint32_t index) {
  switch (led.soft(index)) {
    case Soft::kBound:
      return job.hold_of(index) == Hold::kFrozen ? TaskState::kPaused : TaskState::kRunning;
    case Soft::kCommitting: return TaskState::kRunning;
    case Soft::kHeld:
    case Soft::kBackoff: return TaskState::kWaiting;
    default: return led.is_limited() ? TaskState::kWaiting : TaskState::kQueued;
  }
}

// Tasks that were started and stand still.
std::uint32_t frozen_of(const Job& job, const LedJob& led) {
  if (job.head.hold == Hold::kFrozen) return led.count(Soft::kBound);
  std::uint32_t frozen = 0;
  for (const HeldRun& run : job.head.held) {
    if (run.hold != Hold::kFrozen) continue;
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      frozen += led.soft(index) == Soft::kBound ? 1 : 0;
    }
  }
  return frozen;
}

}  // namespace

Instant Coordinator::next_deadline() const {
  const Instant job = timers_.empty() ? Instant::never() : std::get<0>(*timers_.begin());
  return std::min(job, groups_due_);
}

void Coordinator::tick(Turn& turn) {
  while (!timers_.empty() && std::get<0>(*timers_.begin()) <= turn.now) {
    const auto [deadline, id, job] = *timers_.begin();
    timers_.erase(timers_.begin());
    std::optional<Led> at = find(id, job);
    if (!at) continue;
    at->led.deadline = Instant::never();
    tick_job(turn, *at);
  }
  if (groups_due_ > turn.now) return;
  groups_due_ = Instant::never();
  for (auto& [id, group] : groups_) {
    if (group.read_at <= turn.now) begin_reading(turn, id, group);
    if (group.established) tick_group(turn, id, group);
    due(group.read_at);
    if (!group.established) continue;
    due(std::min(group.check_at, group.sweep_at));
    for (const auto& [jobs, telling] : group.untold) due(telling.next);
    for (const auto& [node, ask] : group.asks) due(ask.next);
  }
}

void Coordinator::tick_job(Turn& turn, Led& at) {
  LedJob& led = at.led;
  review_hold(turn, at);
  ask_others(turn, at);
  if (led.end_backoffs(at.job, turn.now)) {
    led.probe_interval = kFirstProbeInterval;
    led.next_probe = turn.now;
  }
  if (led.repeat_at <= turn.now) {
    led.repeat_at = Instant::never();
    for (auto& [node, holding] : led.nodes) {
      propose_loss(turn, at, node, holding);
      if (holding.dropping.is_empty()) continue;
      std::vector<TaskRun> runs = holding.dropping.runs();
      if (runs.size() > kMaxDropRuns) runs.resize(kMaxDropRuns);
      turn.send(node, Drop{at.id, at.group.term, at.job.id, std::move(runs)});
      ask(at.group, node, turn.now + kRepeatInterval);
      led.repeat_at = turn.now + kRepeatInterval;
    }
  }
  if (led.next_probe <= turn.now) probe_round(turn, at);
  const bool is_attended = !at.job.is_final() && at.job.spec()->attended;
  if (is_attended && attended_until(led) <= turn.now) {
    led.asked_at = turn.now;
    propose(turn, at.id, at.group,
            cancellation(at.id, at.job, {}, turn.wall, "nobody waits for it"));
  }
  changed(turn, at);
}

void Coordinator::tick_group(Turn& turn, GroupId id, LedGroup& group) {
  // What a dead node held is lost without its answer; once it is asked, though, since one that is
  // taken for dead by mistake and has just spoken may live.
  std::erase_if(group.asks, [&](const auto& entry) {
    const auto& [node, ask] = entry;
    return ask.next <= turn.now && ask.interval > kFirstAskInterval && members_.is_gone(node);
  });
  std::vector<NodeId> forgotten;
  for (auto& [node, ask] : group.asks) {
    if (ask.next > turn.now) continue;
    if (!members_.is_known(node) && ask.since + kUnknownPatience <= turn.now) {
      forgotten.push_back(node);
      continue;
    }
    turn.send(node, AskHeld{id, group.term, ask.after});
    ask.next = turn.now + ask.interval;
    ask.interval = std::min(ask.interval * 2, kLongestAskInterval);
  }
  for (const NodeId& node : forgotten) node_gone(turn, node, true);
  tell_watchers(turn, id, group);
  if (group.check_at <= turn.now) check_holders(turn, group);
  if (group.sweep_at <= turn.now) sweep(turn, id, group);
}

// A node that holds tasks and says nothing is asked; so is one whose silence nobody explains.
void Coordinator::check_holders(Turn& turn, LedGroup& group) {
  std::set<NodeId> holders;
  for (const auto& [job, led] : group.jobs) {
    for (const auto& [node, holding] : led->nodes) {
      if (!holding.bound.is_empty()) holders.insert(node);
    }
  }
  for (const NodeId& node : holders) {
    if (group.heard[node] + kSilence <= turn.now) ask(group, node, turn.now);
  }
  std::erase_if(group.heard, [&](const auto& entry) { return !holders.contains(entry.first); });
  group.check_at = holders.empty() ? Instant::never() : turn.now + kCheckInterval;
}

// Finished jobs go when their time to be kept is over.
void Coordinator::sweep(Turn& turn, GroupId id, LedGroup& group) {
  constexpr std::size_t kMaxDeletions = 100;  // at a time
  group.sweep_at = Instant::never();
  const JobMachine::Jobs* jobs = machine_.jobs(id);
  if (jobs == nullptr) return;
  std::size_t deletions = 0;
  Duration next = seconds(7 * 24 * 3600);
  for (const auto& [job_id, job] : *jobs) {
    if (!job->is_final() || !job->head.watchers.empty()) continue;
    // An id that is free at once could be given again while others remember its former job.
    const Duration keep = std::max(job->head.keep, kLeastKeep);
    const Duration left = milliseconds(job->head.finished.ms - turn.wall.ms) + keep;
    if (left.us > 0) {
      next = std::min(next, left);
      continue;
    }
    if (++deletions > kMaxDeletions) break;
    propose(turn, id, group, DeleteCommand{job_id, turn.wall});
  }
  if (deletions > 0) next = std::min(next, seconds(10));
  if (!jobs->empty()) group.sweep_at = turn.now + std::max(next, seconds(1));
}

void Coordinator::on(Turn& turn, NodeId from, const Status& message) {
  LedGroup* group = led_group(message.group);
  if (group == nullptr || message.boot < members_.boot(from)) return;
  group->heard[from] = turn.now;
  std::set<JobId> named;
  for (const JobStatus& status : message.jobs) {
    named.insert(status.job);
    std::optional<Led> at = find(message.group, status.job);
    if (!at) {
      ask(*group, from, turn.now);
      continue;
    }
    const auto holding = at->led.nodes.find(from);
    if (holding != at->led.nodes.end()) note_begun(*at, holding->second, status);
    const bool agrees = holding != at->led.nodes.end() &&
                        holding->second.bound.digest() == status.digest &&
                        holding->second.boot == message.boot && !status.needs_spec;
    // An answer on its way makes the two differ for a moment; only what stays is asked about.
    if (!agrees) ask(*group, from, turn.now + kRepeatInterval / 4);
    if (status.held_at != at->job.head.held_at) freeze(turn, *at, from);
    if (!status.needs_spec && status.revised != at->job.head.revised) describe(turn, *at, from);
  }
  for (const auto& [job, led] : group->jobs) {
    const auto holding = led->nodes.find(from);
    if (holding == led->nodes.end() || named.contains(job) || !message.span.covers(job)) continue;
    if (!holding->second.bound.is_empty()) ask(*group, from, turn.now + kRepeatInterval / 4);
  }
}

void Coordinator::note_begun(const Led& at, Holding& holding, const JobStatus& status) {
  holding.waiting.clear();
  for (const TaskRun& run : status.waiting) {
    if (is_within(run, at.job.head.total)) holding.waiting.add(run);
  }
  const std::size_t told = std::min(status.starts.size(), kMaxToldStarts);
  holding.starts.assign(status.starts.begin(), status.starts.begin() + static_cast<long>(told));
  WallTime& first = at.led.first_start;
  for (const TaskStart& start : holding.starts) {
    const bool is_earlier = first.ms == 0 || start.at < first;
    const bool is_known = start.index < at.job.head.total;
    if (is_earlier && is_known && at.job.counts(start.index, start.attempt)) first = start.at;
  }
}

// ---- what only the leader knows -----------------------------------------------------------------

// A cancelled job is over for people when its processes are: tasks that have their grace still run.
std::uint32_t Coordinator::ending_of(const Job& job, const LedJob& led) {
  if (job.head.state != JobState::kCancelled) return 0;
  std::uint32_t ending = 0;
  for (const auto& [node, holding] : led.nodes) {
    ending += holding.bound.size() + holding.dropping.size();
  }
  return std::min(ending, job.head.cancelled);
}

void Coordinator::complete(const Job& job, GroupId id, JobSummary& summary) const {
  const auto group = groups_.find(id);
  if (group == groups_.end() || !group->second.established) return;
  summary.coordinator = self_;
  summary.epoch = group->second.term;
  const auto at = group->second.jobs.find(job.id);
  const bool is_led = at != group->second.jobs.end();
  const std::uint32_t ending = is_led ? ending_of(job, *at->second) : 0;
  const bool is_over = !is_led || (job.is_final() && ending == 0);
  const std::uint32_t soft = is_over ? UINT32_MAX : at->second->version;
  summary.version = (group->second.term << 32) | soft;
  if (is_over) return;
  const LedJob& led = *at->second;
  TaskCounts& counts = summary.tasks;
  if (job.is_final()) {
    summary.state = JobState::kRunning;
    summary.finished_at = summary.expires_at = {};
    summary.exit_code.reset();
    counts.running = ending;
    counts.cancelled -= ending;
    return;
  }
  counts.paused = frozen_of(job, led);
  counts.running = led.count(Soft::kBound) + led.count(Soft::kCommitting) - counts.paused;
  counts.waiting = led.count(Soft::kBackoff) + led.count(Soft::kHeld) +
                   (led.is_limited() ? led.count(Soft::kFree) : 0);
  counts.queued = job.head.open() - counts.running - counts.paused - counts.waiting;
  const bool has_begun = counts.running + counts.paused > 0;
  for (const WallTime known : {led.first_start, led.first_bound, job.head.submitted}) {
    if (has_begun && summary.started_at.ms == 0) summary.started_at = known;
  }
  if (job.head.hold != Hold::kNone) {
    summary.reason = Reason::kPaused;
    return;
  }
  if (has_begun) {
    summary.state = JobState::kRunning;
    return;
  }
  // Some may well run, on nodes that have not answered since the takeover.
  if (led.count(Soft::kUnknown) > 0) return;
  summary.reason = members_.feasible(wanted_by(job)) == 0 ? Reason::kImpossible
                   : led.hold != Reason::kNone            ? led.hold
                   : led.is_limited()                     ? Reason::kLimit
                   : counts.waiting > 0 && led.count(Soft::kHeld) == counts.waiting
                       ? Reason::kPaused
                   : counts.queued == 0 ? Reason::kBackoff
                                        : Reason::kResources;
}

const LedJob* Coordinator::led_job(GroupId id, const JobId& job) const {
  const auto group = groups_.find(id);
  if (group == groups_.end()) return nullptr;
  const auto at = group->second.jobs.find(job);
  return at == group->second.jobs.end() ? nullptr : at->second.get();
}

Coordinator::Waiting Coordinator::why_queued(const Job& job, const LedJob& led) const {
  if (led.hold == Reason::kLimit) {
    return {Reason::kLimit,
            "the records of its group's jobs are as long as they may be: delete finished jobs"};
  }
  if (led.hold != Reason::kNone) return {led.hold, {}};
  if (led.is_limited()) return {Reason::kLimit, {}};
  const Wanted wanted = wanted_by(job);
  if (members_.feasible(wanted) > 0) return {Reason::kResources, {}};
  return {Reason::kImpossible, members_.why_impossible(wanted)};
}

const LedJob::Holders& Coordinator::holders_of(const LedJob& led, Found& found) {
  if (!found.holders) found.holders.emplace(led);
  return *found.holders;
}

void Coordinator::complete(const Job& job, GroupId id, std::uint32_t index, TaskView& view,
                           Found& found) const {
  const LedJob* const led = led_job(id, job.id);
  if (led == nullptr) return;
  if (view.state == TaskState::kCancelled && holders_of(*led, found).is_dropping(index)) {
    view.state = TaskState::kRunning;
    view.finished_at = {};
    view.duration_ms = {};
  }
  if (is_final(view.state) || job.columns.state(index) != Closed::kOpen) return;
  view.state = state_of_open(job, *led, index);
  if (view.state == TaskState::kRunning || view.state == TaskState::kPaused) {
    view.reason = Reason::kNone;
    if (const auto holder = holders_of(*led, found).find(index)) {
      view.node = holder->first;
      view.attempt = holder->second.number;
      view.started_at = led->nodes.at(holder->first).started_at(index, holder->second);
    }
  } else if (led->soft(index) == Soft::kHeld) {
    view.reason = Reason::kPaused;
  } else if (led->soft(index) == Soft::kBackoff) {
    view.reason = Reason::kBackoff;
  } else if (led->soft(index) == Soft::kUnknown) {
    view.detail = "it may run on a node that has not answered its new coordinator yet";
  } else {
    if (!found.why) found.why = why_queued(job, *led);
    view.reason = found.why->reason;
    if (view.reason == Reason::kImpossible) view.detail = found.why->detail;
  }
}

TaskState Coordinator::state(const Job& job, GroupId id, std::uint32_t index, Found& found) const {
  const LedJob* const led = led_job(id, job.id);
  switch (job.columns.state(index)) {
    case Closed::kDone: return TaskState::kDone;
    case Closed::kFailed: return TaskState::kFailed;
    case Closed::kCancelled:
      return led != nullptr && holders_of(*led, found).is_dropping(index) ? TaskState::kRunning
                                                                          : TaskState::kCancelled;
    case Closed::kOpen: break;
  }
  return led == nullptr ? TaskState::kQueued : state_of_open(job, *led, index);
}

std::optional<std::pair<NodeId, Attempt>> Coordinator::holder(GroupId id, const JobId& job,
                                                              std::uint32_t index) const {
  const LedJob* const led = led_job(id, job);
  return led == nullptr ? std::nullopt : led->holder(index);
}

}  // namespace dunlin::sched
