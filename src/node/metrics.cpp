#include "node/metrics.h"

#include "node/parts.h"

namespace dunlin {

namespace {

void count_members(const std::map<NodeId, Member>& members, client::Metrics& metrics) {
  for (const auto& [id, member] : members) {
    ++metrics.members[static_cast<std::size_t>(member.state)];
    if (is_present(member) && member.load.draining) ++metrics.members_draining;
  }
}

}  // namespace

void Node::Parts::count_groups(client::Metrics& metrics) const {
  metrics.groups = start.membership.group_count;
  const bool whole = is_whole();
  for (std::uint16_t group = 0; group < start.membership.group_count; ++group) {
    if (groups.config({group})) ++metrics.groups_held;
    if (groups.is_leading({group})) ++metrics.groups_led;
    if (is_served({group}, whole)) ++metrics.groups_with_quorum;
  }
}

void Node::Parts::serve(client::RequestId request, const client::GetMetrics&) {
  client::Metrics metrics;
  metrics.node = self;
  metrics.name = config.facts.name;
  metrics.version = config.facts.version;
  metrics.cluster = start.membership.cluster;
  count_members(gossip.members(), metrics);
  count_groups(metrics);
  metrics.entries_committed = entries_committed;
  metrics.tasks_running = load.running;
  metrics.tasks_queued = load.queued;
  metrics.attempts = sched.attempt_counts();
  metrics.cpus = config.facts.cpus;
  metrics.cpus_free = load.cpus_free;
  metrics.memory = config.facts.memory;
  metrics.memory_free = load.memory_free;
  metrics.disk = config.facts.disk_total;
  metrics.disk_free = load.disk_free;
  metrics.blobs = blobs.stats();
  metrics.sent = sent;
  metrics.received = received;
  metrics.gossip_health = gossip.local_health();
  answer(request, client::Answer(std::move(metrics)));
}

}  // namespace dunlin
