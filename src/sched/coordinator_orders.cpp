// What a coordinator does when people change their minds about a job: pause and resume, retry, set.
#include <algorithm>

#include "sched/coordinator.h"

namespace dunlin::sched {

namespace {

// A clock that is set while a job waits for its time is noticed this late.
constexpr Duration kLongestNap = seconds(60);

}  // namespace

// Why nothing of the job may be bound now.
Reason Coordinator::hold_of(const Turn& turn, const Led& at) const {
  if (at.job.head.hold != Hold::kNone) return Reason::kPaused;
  const std::shared_ptr<const JobSpec> spec = at.job.spec();
  if (spec->after.size() > at.job.head.met.size()) return Reason::kDependency;
  if (spec->begin > turn.wall) return Reason::kBegin;
  return machine_.bytes(at.id) > config_.most_group_bytes / 4 * 3 ? Reason::kLimit : Reason::kNone;
}

void Coordinator::review_hold(Turn& turn, Led& at) {
  if (at.job.is_final()) return;
  const Reason before = std::exchange(at.led.hold, hold_of(turn, at));
  at.led.begin_at = Instant::never();
  if (at.led.hold == Reason::kBegin) {
    const Duration left = milliseconds(at.job.spec()->begin.ms - turn.wall.ms);
    at.led.begin_at = turn.now + std::min(left, kLongestNap);
  }
  if (at.led.hold == before) return;
  if (at.led.hold == Reason::kNone) {
    start_again(turn, at);
  } else {
    withdraw_offers(turn, at);
  }
}

// There is something to be bound again: nodes hear of it at once.
void Coordinator::start_again(Turn& turn, Led& at) {
  at.led.probe_interval = kFirstProbeInterval;
  at.led.next_probe = turn.now;
}

void Coordinator::describe(Turn& turn, const Led& at, NodeId node) const {
  const JobHead& head = at.job.head;
  turn.send(node, Describe{at.id, at.group.term, at.job.id, head.user, head.priority,
                           at.job.spec_bytes, head.accepted, head.revised});
}

void Coordinator::freeze(Turn& turn, const Led& at, NodeId node) const {
  const JobHead& head = at.job.head;
  Freeze order{at.id,
               at.group.term,
               at.job.id,
               head.held_at,
               head.hold == Hold::kFrozen,
               {},
               head.hold != Hold::kNone,
               {}};
  for (const HeldRun& run : head.held) {
    if (run.hold == Hold::kFrozen) order.tasks.push_back({run.first, run.count});
    order.paused.push_back({run.first, run.count});
  }
  turn.send(node, order);
}

void Coordinator::applied_hold(Turn& turn, GroupId group, const HoldCommand& command) {
  touched_.insert(command.job);
  std::optional<Led> at = find(group, command.job);
  if (!at || at->job.is_final()) return;
  at->led.hold_tasks(at->job, turn.now);
  review_hold(turn, *at);
  if (at->led.bindable() > 0) start_again(turn, *at);
  if (at->led.bindable() == 0) withdraw_offers(turn, *at);
  ask_for_bound(turn, *at);
  for (const auto& [node, holding] : at->led.nodes) {
    if (!holding.bound.is_empty()) freeze(turn, *at, node);
  }
  changed(turn, *at);
}

Result<Command> Coordinator::retry(GroupId, const Job& job, std::vector<IndexRun> tasks,
                                   bool all) const {
  if (all && !job.is_final()) {
    return fail(Code::kConflict, "job " + job.id.text() + " is not over",
                "wait for it, or cancel it first; without --all what failed is run again now");
  }
  if (!job.is_final() && job.head.later_rounds.size() >= kMaxLaterRounds) {
    return fail(Code::kLimit,
                "tasks of job " + job.id.text() + " were retried " +
                    std::to_string(kMaxLaterRounds) + " times while others went on",
                "wait until the job is over");
  }
  const std::shared_ptr<const JobSpec> spec = job.spec();
  const std::size_t breadth = std::min<std::size_t>(2 * std::size_t{job.head.total}, kMaxProbed);
  return RetryCommand{job.id, std::move(tasks), all,
                      members_.candidates(job.id, wanted_by(job), std::max(kLeastBreadth, breadth)),
                      first_bound(*spec, members_.cpus())};
}

void Coordinator::applied_retry(Turn& turn, GroupId id, const RetryCommand& command) {
  touched_.insert(command.job);
  LedGroup& group = groups_.at(id);
  const Job* job = machine_.find(id, command.job);
  if (job == nullptr || job->is_final()) return;
  // It will end once more: what its watchers say of the former end does not count for that one.
  std::erase_if(group.untold, [&](const auto& item) { return item.first.first == job->id; });
  std::unique_ptr<LedJob>& led = group.jobs[command.job];
  if (led == nullptr) {
    led = std::make_unique<LedJob>(*job, id, false);
  } else {
    led->reopen(*job);
    led->revise(*job->spec());
  }
  if (job->head.started.ms == 0) led->first_start = led->first_bound = {};
  Led at{group, id, *job, *led};
  led->asked_at = turn.now;
  led->breadth = std::max<std::size_t>(kLeastBreadth, job->head.probed.size());
  await_others(turn, at);
  review_hold(turn, at);
  start_again(turn, at);
  changed(turn, at);
}

void Coordinator::applied_change(Turn& turn, GroupId id, const ChangeCommand& command) {
  touched_.insert(command.job);
  LedGroup& group = groups_.at(id);
  group.sweep_at = std::min(group.sweep_at, turn.now);  // it may be kept no longer
  due(group.sweep_at);
  std::optional<Led> at = find(id, command.job);
  if (!at || at->job.is_final()) return;
  at->led.revise(*at->job.spec());
  for (auto& [node, holding] : at->led.nodes) {
    if (!holding.bound.is_empty()) describe(turn, *at, node);
    if (holding.offered > 0) offer(turn, *at, node, holding.offered);
  }
  start_again(turn, *at);
  changed(turn, *at);
}

}  // namespace dunlin::sched
