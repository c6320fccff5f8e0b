// Who is asked to run a job's tasks, and how often. A node is named in the log before it is probed
// for the first time, so that a successor knows whom to ask.
#include <algorithm>

#include "sched/coordinator.h"
#include "sched/task_command.h"

namespace dunlin::sched {

// Valid as long as the job is.
Wanted Coordinator::wanted_by(const Job& job) {
  return {job.head.user, job.spec(), nullptr};
}

Wanted Coordinator::wanted_by(const Led& at) {
  return {at.job.head.user, at.job.spec(), &at.led.hosts.avoided()};
}

Wanted Coordinator::wanted_by(GroupId group, const Job& job) const {
  const LedJob* const led = led_job(group, job.id);
  return {job.head.user, job.spec(), led == nullptr ? nullptr : &led->hosts.avoided()};
}

void Coordinator::offer(Turn& turn, Led& at, NodeId node, std::uint32_t allowed) {
  const std::shared_ptr<const JobSpec> spec = at.job.spec();
  const bool needs_room = !is_no_op(*spec);
  at.led.nodes[node].offered = allowed;
  turn.send(node, Probe{at.id, at.group.term, at.job.id, at.job.head.user, spec->priority,
                        needs_room ? spec->cpus : 0, needs_room ? spec->memory : 0, allowed,
                        at.job.head.accepted, needs_room ? spec->devices : Devices{}});
}

void Coordinator::send_probes(Turn& turn, Led& at, const std::vector<NodeId>& nodes) {
  const std::uint32_t bindable = at.led.bindable();
  if (bindable == 0) return;
  std::vector<NodeId> usable;
  const Wanted wanted = wanted_by(at);
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(usable),
               [&](const NodeId& node) { return members_.fits(node, wanted); });
  // Twice as many reservations as tasks: the first node that has room takes the task.
  const std::uint64_t places = std::max<std::uint64_t>(1, usable.size());
  const std::uint64_t share = (2ULL * bindable + places - 1) / places;
  for (const NodeId& node : usable) {
    offer(turn, at, node, static_cast<std::uint32_t>(std::min<std::uint64_t>(bindable, share)));
  }
}

void Coordinator::withdraw_offers(Turn& turn, Led& at) {
  for (auto& [node, holding] : at.led.nodes) {
    if (holding.offered > 0) offer(turn, at, node, 0);
  }
}

// A node on which tasks fail that succeed elsewhere is offered no more of the job, unless there is
// no other.
void Coordinator::judge_host(Turn& turn, Led& at, const NodeResults& results) {
  BadHosts& hosts = at.led.hosts;
  for (const TaskResult& result : results.batch.others) {
    if (!result.is_success()) {
      hosts.failed(results.node, result.index,
                   milliseconds(static_cast<std::int64_t>(result.duration_ms)));
    }
  }
  if (!hosts.has_suspects()) return;
  const std::set<NodeId> before = hosts.avoided();
  for (const TaskRun& run : attempts_of(results.batch)) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (at.job.columns.state(index) == Closed::kDone) hosts.succeeded(results.node, index);
    }
  }
  if (hosts.avoided() == before) return;
  if (members_.feasible(wanted_by(at)) == 0) return hosts.forgive();
  for (const NodeId& node : hosts.avoided()) {
    const auto held = at.led.nodes.find(node);
    if (held != at.led.nodes.end() && held->second.offered > 0) offer(turn, at, node, 0);
  }
}

// Nodes that were told to pull nothing may again, twice as many as there are tasks for them.
void Coordinator::offer_to_hungry(Turn& turn, Led& at) {
  if (!at.led.has_hungry) return;
  const std::uint32_t bindable = at.led.bindable();
  const Wanted wanted = wanted_by(at);
  std::uint64_t left = 2ULL * bindable;
  for (const auto& [node, holding] : at.led.nodes) {
    if (holding.offered > 0 || !members_.fits(node, wanted)) continue;
    if (left-- == 0) return;
    offer(turn, at, node, bindable);
  }
  at.led.has_hungry = false;
}

// What still waits is probed again, twice as wide each time.
void Coordinator::probe_round(Turn& turn, Led& at) {
  LedJob& led = at.led;
  led.next_probe = Instant::never();
  if (at.job.is_final() || led.count(Soft::kFree) == 0) return;
  if (!led.hosts.avoided().empty() && members_.feasible(wanted_by(at)) == 0) led.hosts.forgive();
  if (led.probe_interval.us == 0) led.probe_interval = kFirstProbeInterval;
  led.next_probe = turn.now + led.probe_interval;
  led.probe_interval = std::min(led.probe_interval * 2, kLastProbeInterval);
  ask_for_bound(turn, at);
  if (led.bindable() == 0 || led.probe_token != 0) return;

  led.breadth = std::max({led.breadth, kLeastBreadth,
                          std::min<std::size_t>(2 * std::size_t{led.bindable()}, kMaxProbed)});
  const std::size_t width =
      std::min(led.breadth, std::max<std::size_t>(kMaxRound, 2 * std::size_t{led.bindable()}));
  std::vector<NodeId> nodes =
      members_.candidates(at.job.id, wanted_by(at), std::min(led.probed_up_to + width, kMaxProbed));
  const bool is_last = nodes.size() < led.probed_up_to + width || width < kMaxRound;
  const std::size_t skipped = std::min(nodes.size(), led.probed_up_to);
  nodes.erase(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(skipped));
  led.probed_up_to = is_last ? 0 : led.probed_up_to + width;
  led.breadth = std::min(2 * led.breadth, kMaxProbed);
  probe(turn, at, nodes);
}

// Those whom the log does not name yet are named first.
void Coordinator::probe(Turn& turn, Led& at, const std::vector<NodeId>& nodes) {
  const std::set<NodeId> probed(at.job.head.probed.begin(), at.job.head.probed.end());
  const Wanted wanted = wanted_by(at);
  std::vector<NodeId> unnamed;
  std::vector<NodeId> named;
  for (const NodeId& node : nodes) {
    if (!members_.fits(node, wanted)) continue;
    (probed.contains(node) ? named : unnamed).push_back(node);
  }
  send_probes(turn, at, named);
  if (unnamed.empty() || at.job.head.probed.size() >= kMaxProbed) return;
  at.led.probe_token = propose(turn, at.id, at.group, ProbeCommand{at.job.id, unnamed, 0});
}

// Most often the bound rises with a batch of results; this is for when none is on its way.
void Coordinator::ask_for_bound(Turn& turn, Led& at) {
  if (at.led.bound_asked || at.led.probe_token != 0) return;
  const auto bound = at.led.wanted_bound(members_.cpus());
  if (!bound) return;
  at.led.bound_asked = true;
  at.led.probe_token = propose(turn, at.id, at.group, ProbeCommand{at.job.id, {}, *bound});
}

}  // namespace dunlin::sched
