#include "sched/coordinator.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sched/task_command.h"

namespace dunlin::sched {

namespace {

bool tells_wanted_usage(const Job& job, const ResultBatch& batch) {
  if (job.head.cancelled == 0) return false;
  const std::vector<DroppedUsage> usages = usages_of(batch);
  return std::any_of(usages.begin(), usages.end(),
                     [&](const DroppedUsage& usage) { return job.wants_usage(usage); });
}

}  // namespace

Coordinator::Coordinator(NodeId self, const SchedConfig& config, const JobMachine& machine,
                         const Members& members, std::uint64_t first_token)
    : self_(self),
      config_(config),
      machine_(machine),
      members_(members),
      next_token_(first_token) {}

Coordinator::LedGroup* Coordinator::led_group(GroupId group) {
  const auto at = groups_.find(group);
  return at == groups_.end() || !at->second.established ? nullptr : &at->second;
}

bool Coordinator::leads(GroupId group) const {
  const auto at = groups_.find(group);
  return at != groups_.end() && at->second.established;
}

Term Coordinator::term(GroupId group) const {
  const auto at = groups_.find(group);
  return at == groups_.end() ? 0 : at->second.term;
}

std::optional<Coordinator::Led> Coordinator::find(GroupId group, const JobId& id) {
  LedGroup* led = led_group(group);
  const Job* job = machine_.find(group, id);
  if (led == nullptr || job == nullptr) return std::nullopt;
  const auto at = led->jobs.find(id);
  if (at == led->jobs.end()) return std::nullopt;
  return Led{*led, group, *job, *at->second};
}

std::uint64_t Coordinator::propose(Turn& turn, GroupId group, const LedGroup& led,
                                   const Command& command) {
  const std::uint64_t token = next_token_++;
  turn.raise(Propose{group, led.term, token, encode_command(command)});
  return token;
}

void Coordinator::changed(Turn& turn, Led& at) {
  ++at.led.version;
  touched_.insert(at.job.id);
  Instant deadline =
      std::min({at.led.next_probe, at.led.next_backoff(), at.led.repeat_at, at.led.begin_at});
  for (const auto& [job, when] : at.led.unasked) deadline = std::min(deadline, when);
  if (!at.job.is_final() && at.job.spec()->attended) {
    deadline = std::min(deadline, attended_until(at.led));
  }
  deadline = std::max(deadline, turn.now);
  if (deadline == at.led.deadline) return;
  timers_.erase({at.led.deadline, at.id, at.job.id});
  at.led.deadline = deadline;
  if (deadline != Instant::never()) timers_.insert({deadline, at.id, at.job.id});
}

std::set<JobId> Coordinator::take_touched() {
  return std::exchange(touched_, {});
}

// ---- what clients order -------------------------------------------------------------------------

SubmitCommand Coordinator::submission(const SubmitJob& request, const JobSpec& spec,
                                      WallTime at) const {
  SubmitCommand command{request.id, request.user, request.key, encode(spec), at, {}, 0};
  Job job;
  job.id = request.id;
  job.head.user = request.user;
  job.spec_bytes = command.spec;
  const std::uint32_t tasks = spec.task_count();
  const std::size_t breadth = std::min<std::size_t>(2 * std::size_t{tasks}, kMaxProbed);
  command.probed = members_.candidates(job.id, wanted_by(job), std::max(kLeastBreadth, breadth));
  command.bound_below = first_bound(spec, members_.cpus());
  return command;
}

// Names what runs of the tasks: for the record, nothing is decided by it.
CancelCommand Coordinator::cancellation(GroupId id, const Job& job, std::vector<IndexRun> tasks,
                                        WallTime at, std::string by) const {
  CancelCommand command{job.id, std::move(tasks), at, std::move(by), {}, 0};
  const LedJob* const led = led_job(id, job.id);
  if (led == nullptr || is_no_op(*job.spec())) return command;
  std::size_t left = kMaxCancelledRuns;
  for (const auto& [node, holding] : led->nodes) {
    CancelledOn on{node, holding.bound_at, {}};
    AttemptRuns running = holding.bound;
    for (const TaskRun& run : holding.waiting.runs()) running.remove(run);
    for (const TaskRun& run : running.runs()) {
      // The first range that does not end before the run; they ascend.
      const auto task =
          std::partition_point(command.tasks.begin(), command.tasks.end(),
                               [&](const IndexRun& t) { return t.first + t.count <= run.first; });
      const bool is_meant =
          command.tasks.empty() || (task != command.tasks.end() && task->first < run.end());
      if (!is_meant || left == 0) continue;
      --left;
      on.attempts.push_back(run);
    }
    if (!on.attempts.empty()) command.running.push_back(std::move(on));
  }
  return command;
}

void Coordinator::attend(GroupId group, const JobId& job, Instant from, Instant until) {
  std::optional<Led> at = find(group, job);
  if (!at) return;
  at->led.asked_at = std::max(at->led.asked_at, from);
  at->led.watched_until = std::max(at->led.watched_until, until);
}

Instant Coordinator::attended_until(const LedJob& led) {
  return std::max(led.asked_at + kAttendance, led.watched_until + kNextQuestion);
}

// ---- pulls --------------------------------------------------------------------------------------

void Coordinator::on(Turn& turn, NodeId from, const Pull& message) {
  LedGroup* group = led_group(message.group);
  if (group == nullptr) return;
  Bind answer{message.group, group->term, message.job, message.pull, {}, 0, {}};
  std::optional<Led> at = find(message.group, message.job);
  const bool is_avoided = at && at->led.hosts.avoided().contains(from);
  if (!at || at->job.is_final() || is_avoided || message.boot < members_.boot(from)) {
    turn.send(from, answer);
    return;
  }
  Holding& holding = at->led.nodes[from];
  if (message.pull < holding.last_pull) return;
  if (message.pull > holding.last_pull) {
    holding.pull_before = std::exchange(holding.last_pull, message.pull);
    holding.boot = std::max(holding.boot, message.boot);
    review_hold(turn, *at);
    const std::uint32_t want = std::min(message.want, kMaxBind);
    at->led.note_want(want);
    holding.last_tasks = at->led.bind(at->job, from, group->term, want);
    holding.bound_at = turn.wall;
    const bool is_first = at->led.first_bound.ms == 0 && !holding.last_tasks.empty();
    if (is_first) at->led.first_bound = turn.wall;
    holding.last_held_at = at->job.head.held_at;
    holding.offered = at->led.bindable();
    if (group->check_at == Instant::never()) group->check_at = turn.now + seconds(2);
    due(group->check_at);
    group->heard[from] = turn.now;
  }
  answer.accepted = at->job.head.accepted;
  if (at->job.bytes > kMostInlineOfJob) answer.most_inline = kLeastInline;
  answer.tasks = holding.last_tasks;
  answer.allowed = holding.offered;
  answer.held_at = holding.last_held_at;
  answer.revised = at->job.head.revised;
  if (message.revised != answer.revised && !answer.tasks.empty()) answer.spec = at->job.spec_bytes;
  turn.send(from, answer);
  if (answer.allowed == 0) at->led.has_hungry = true;
  // Those who may pull though nothing is bindable right now are told so when they do.
  if (at->led.count(Soft::kFree) == 0) withdraw_offers(turn, *at);
  ask_for_bound(turn, *at);
  changed(turn, *at);
}

// ---- results ------------------------------------------------------------------------------------

void Coordinator::mark_committing(Led& at, NodeId from, ResultBatch& batch) {
  const Holding& holding = at.led.nodes[from];
  // The failure of an attempt that was given up, and whose task another node holds by now, must not
  // count against the newer attempt.
  std::erase_if(batch.others, [&](const TaskResult& result) {
    return !result.is_success() && at.led.soft(result.index) == Soft::kBound &&
           !holding.bound.contains(result.index, result.attempt);
  });
  for (const TaskRun& run : attempts_of(batch)) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (at.led.soft(index) != Soft::kFinal) at.led.set_soft(index, Soft::kCommitting);
    }
  }
}

// The batch did not get into the log; its node may be gone by now.
void Coordinator::unmark_committing(Turn& turn, Led& at, const std::vector<IndexRun>& tasks) {
  for (const IndexRun& run : tasks) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (at.led.soft(index) == Soft::kCommitting) at.led.set_soft(index, Soft::kBound);
    }
  }
  restore(turn, at, tasks);
}

void Coordinator::on(Turn& turn, NodeId from, Results message, std::size_t bytes) {
  LedGroup* group = led_group(message.group);
  if (group == nullptr) return;
  const std::uint64_t sequence = message.sequence;
  const Job* job = machine_.find(message.group, message.job);
  if (job != nullptr && !is_well_formed(message.batch, job->head.total)) return;
  std::optional<Led> at = find(message.group, message.job);
  const bool may_count = at && !job->is_final() && message.batch.has_results();
  if (!may_count && (job == nullptr || !tells_wanted_usage(*job, message.batch))) {
    turn.send(from, Committed{message.group, group->term, message.job, sequence});
    return;
  }
  const BatchKey key{message.job, from, sequence};
  if (group->pipeline.contains(key)) return;
  if (group->queue.size() >= kMaxQueuedResults || bytes > kMaxCommandBytes) return;
  if (group->queue_bytes + bytes > kMaxQueuedBytes) return;
  if (may_count) mark_committing(*at, from, message.batch);
  group->heard[from] = turn.now;
  group->pipeline.insert(key);
  // The entry names the node and a bound besides.
  bytes += 64;
  group->queue.push_back({{message.job, from, sequence, 0, std::move(message.batch)}, bytes});
  group->queue_bytes += bytes;
  flush_results(turn, message.group, *group);
}

void Coordinator::flush_results(Turn& turn, GroupId id, LedGroup& group) {
  while (!group.queue.empty() && group.flights.size() < kMaxFlights) {
    // While one batch is on its way, what comes waits and travels together: one commit for all.
    if (!group.flights.empty() && group.queue_bytes < kMaxCommandBytes) return;
    CompleteCommand command;
    Flight flight;
    std::size_t bytes = 0;
    while (!group.queue.empty()) {
      Queued& next = group.queue.front();
      if (bytes > 0 && bytes + next.bytes > kMaxCommandBytes) break;
      bytes += next.bytes;
      NodeResults& results = next.results;
      flight.batches.push_back({results.job, results.node, results.sequence});
      std::vector<IndexRun>& tasks = flight.tasks.emplace_back();
      for (const TaskRun& run : attempts_of(results.batch)) tasks.push_back({run.first, run.count});
      if (std::optional<Led> at = find(id, results.job)) {
        if (const auto bound = at->led.wanted_bound(members_.cpus())) {
          results.bound_below = *bound;
          at->led.bound_asked = true;
        }
      }
      command.results.push_back(std::move(results));
      group.queue.pop_front();
    }
    group.queue_bytes -= bytes;
    flight.token = propose(turn, id, group, std::move(command));
    group.flights.push_back(std::move(flight));
  }
}

void Coordinator::on(Turn& turn, NodeId from, Logs message, std::size_t bytes) {
  LedGroup* group = led_group(message.group);
  if (group == nullptr || bytes > kMaxCommandBytes) return;
  const Job* job = machine_.find(message.group, message.job);
  if (job == nullptr) {
    turn.send(from, LogsCommitted{message.group, group->term, message.job, message.sequence});
    return;
  }
  const BatchKey key{message.job, from, message.sequence};
  if (group->logs.contains(key)) return;
  if (group->logs.size() >= kMaxQueuedResults) return;
  group->logs[key] =
      propose(turn, message.group, *group,
              LogsCommand{message.job, from, message.sequence, std::move(message.logs)});
}

// ---- what the log says --------------------------------------------------------------------------

void Coordinator::applied(Turn& turn, GroupId group, Term term, const Command& command) {
  if (led_group(group) == nullptr) return;
  std::visit(
      [&](const auto& held) {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, SubmitCommand>) applied_submit(turn, group, held);
        if constexpr (std::is_same_v<T, ProbeCommand>) applied_probe(turn, group, held);
        if constexpr (std::is_same_v<T, CompleteCommand>) {
          applied_results(turn, group, term, held);
        }
        if constexpr (std::is_same_v<T, LostCommand>) applied_loss(turn, group, held);
        if constexpr (std::is_same_v<T, CancelCommand>) applied_cancel(turn, group, held);
        if constexpr (std::is_same_v<T, LogsCommand>) applied_logs(turn, group, held);
        if constexpr (std::is_same_v<T, DeleteCommand>) applied_deletion(group, held);
        if constexpr (std::is_same_v<T, HoldCommand>) applied_hold(turn, group, held);
        if constexpr (std::is_same_v<T, RetryCommand>) applied_retry(turn, group, held);
        if constexpr (std::is_same_v<T, ChangeCommand>) applied_change(turn, group, held);
        if constexpr (std::is_same_v<T, WatcherCommand>) applied_watcher(turn, group, held);
        if constexpr (std::is_same_v<T, OutcomeCommand>) applied_outcome(turn, group, held);
      },
      command);
}

void Coordinator::applied_submit(Turn& turn, GroupId id, const SubmitCommand& command) {
  LedGroup& group = groups_.at(id);
  const Job* job = machine_.find(id, command.job);
  touched_.insert(command.job);
  if (job == nullptr || job->is_final() || group.jobs.contains(command.job)) return;
  LedJob& led = *(group.jobs[command.job] = std::make_unique<LedJob>(*job, id, false));
  Led at{group, id, *job, led};
  led.asked_at = turn.now;
  led.breadth = std::max<std::size_t>(kLeastBreadth, job->head.probed.size());
  led.probe_interval = kFirstProbeInterval;
  led.next_probe = turn.now + led.probe_interval;
  await_others(turn, at);
  review_hold(turn, at);
  send_probes(turn, at, job->head.probed);
  changed(turn, at);
}

void Coordinator::applied_probe(Turn& turn, GroupId id, const ProbeCommand& command) {
  std::optional<Led> at = find(id, command.job);
  if (!at) return;
  at->led.probe_token = 0;
  at->led.raise_bound(at->job);
  // With more tasks to give, all named nodes are asked; else the new ones are. Beyond kMaxProbed
  // the log names nobody, and a successor would not wait for whom it does not name.
  std::vector<NodeId> nodes = at->job.head.probed;
  if (command.bound_below > 0) {
    at->led.has_hungry = false;
  } else {
    const std::set<NodeId> added(command.nodes.begin(), command.nodes.end());
    std::erase_if(nodes, [&](const NodeId& node) { return !added.contains(node); });
  }
  send_probes(turn, *at, nodes);
  changed(turn, *at);
}

void Coordinator::applied_results(Turn& turn, GroupId id, Term term,
                                  const CompleteCommand& command) {
  LedGroup& group = groups_.at(id);
  for (const NodeResults& results : command.results) {
    group.pipeline.erase({results.job, results.node, results.sequence});
    turn.send(results.node, Committed{id, group.term, results.job, results.sequence});
    if (std::optional<Led> at = find(id, results.job)) applied_batch(turn, *at, results);
  }
  if (term == group.term && !group.flights.empty()) group.flights.pop_front();
  flush_results(turn, id, group);
}

void Coordinator::applied_batch(Turn& turn, Led& at, const NodeResults& results) {
  if (!is_well_formed(results.batch, at.job.head.total)) return;
  Holding& holding = at.led.nodes[results.node];
  std::vector<IndexRun> unclear;
  for (const TaskRun& run : attempts_of(results.batch)) {
    const std::uint32_t removed = holding.bound.remove(run);
    holding.losing.remove(run);
    holding.dropping.remove(run);
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      const bool is_closed = at.job.columns.state(index) != Closed::kOpen;
      if (is_closed && removed == run.count) {
        at.led.finish(index);
      } else {
        unclear.push_back({index, 1});
      }
    }
  }
  unmark_committing(turn, at, unclear);
  judge_host(turn, at, results);
  at.led.raise_bound(at.job);
  if (at.job.is_final()) {
    finish_job(turn, at);
    return;
  }
  // The node that has just finished something has room now.
  if (holding.offered == 0 && at.led.bindable() > 0 &&
      !at.led.hosts.avoided().contains(results.node)) {
    offer(turn, at, results.node, at.led.bindable());
  }
  offer_to_hungry(turn, at);
  // Offers may be lost: while something can be bound, nodes are asked again some time.
  if (at.led.bindable() > 0 && (!unclear.empty() || at.led.next_probe == Instant::never())) {
    at.led.probe_interval = kFirstProbeInterval;
    at.led.next_probe = unclear.empty() ? turn.now + kFirstProbeInterval : turn.now;
  }
  changed(turn, at);
}

void Coordinator::applied_loss(Turn& turn, GroupId id, const LostCommand& command) {
  std::optional<Led> at = find(id, command.job);
  if (!at) return;
  Holding& holding = at->led.nodes[command.node];
  holding.losing_token = 0;
  std::vector<IndexRun> tasks;
  for (const TaskRun& run : command.attempts) {
    if (!is_within(run, at->job.head.total)) continue;
    holding.losing.remove(run);
    tasks.push_back({run.first, run.count});
  }
  restore(turn, *at, std::move(tasks));
  if (at->job.is_final()) {
    finish_job(turn, *at);
    return;
  }
  propose_loss(turn, *at, command.node, holding);
  at->led.probe_interval = kFirstProbeInterval;
  at->led.next_probe = turn.now;
  changed(turn, *at);
}

void Coordinator::applied_cancel(Turn& turn, GroupId id, const CancelCommand& command) {
  touched_.insert(command.job);
  std::optional<Led> at = find(id, command.job);
  if (!at) return;
  if (at->job.is_final()) {
    finish_job(turn, *at);
    return;
  }
  std::vector<IndexRun> tasks;
  for (const IndexRun& run : command.tasks) {
    const std::uint32_t total = at->job.head.total;
    if (run.first < total) tasks.push_back({run.first, std::min(run.count, total - run.first)});
  }
  restore(turn, *at, std::move(tasks));
  ask_for_bound(turn, *at);
  changed(turn, *at);
}

void Coordinator::applied_logs(Turn& turn, GroupId id, const LogsCommand& command) {
  LedGroup& group = groups_.at(id);
  group.logs.erase({command.job, command.node, command.sequence});
  turn.send(command.node, LogsCommitted{id, group.term, command.job, command.sequence});
  touched_.insert(command.job);
}

void Coordinator::applied_deletion(GroupId id, const DeleteCommand& command) {
  touched_.insert(command.job);
  LedGroup& group = groups_.at(id);
  const auto at = group.jobs.find(command.job);
  if (at == group.jobs.end() || machine_.find(id, command.job) != nullptr) return;
  timers_.erase({at->second->deadline, id, command.job});
  group.jobs.erase(at);
}

void Coordinator::on_refused(Turn& turn, GroupId id, std::uint64_t token) {
  LedGroup* group = led_group(id);
  if (group == nullptr) return;
  for (auto flight = group->flights.begin(); flight != group->flights.end(); ++flight) {
    if (flight->token != token) continue;
    const Flight refused = std::move(*flight);
    group->flights.erase(flight);
    // The executors send these batches again.
    for (std::size_t i = 0; i < refused.batches.size(); ++i) {
      group->pipeline.erase(refused.batches[i]);
      std::optional<Led> at = find(id, refused.batches[i].job);
      if (!at) continue;
      at->led.bound_asked = false;
      unmark_committing(turn, *at, refused.tasks[i]);
      if (at->led.bindable() > 0) at->led.next_probe = std::min(at->led.next_probe, turn.now);
      changed(turn, *at);
    }
    flush_results(turn, id, *group);
    return;
  }
  std::erase_if(group->logs, [&](const auto& entry) { return entry.second == token; });
  for (auto& [job, led] : group->jobs) {
    if (led->probe_token == token) {
      led->probe_token = 0;
      led->bound_asked = false;
    }
    for (auto& [node, holding] : led->nodes) {
      if (holding.losing_token != token) continue;
      holding.losing_token = 0;
      led->repeat_at = turn.now + seconds(1);
      if (std::optional<Led> at = find(id, job)) changed(turn, *at);
    }
  }
}

}  // namespace dunlin::sched
