#include "node/status.h"

#include <algorithm>
#include <set>

namespace dunlin {

namespace {

constexpr Duration kPatience = seconds(2);
constexpr Duration kAskAgain = milliseconds(250);  // for groups that nobody leads yet
constexpr std::size_t kFullReplication = 3;

bool is_alive(const std::map<NodeId, Member>& members, const NodeId& id) {
  const auto found = members.find(id);
  return found != members.end() && found->second.state == MemberState::kAlive;
}

void count_members(const std::map<NodeId, Member>& members, client::Status& status) {
  for (const auto& [id, member] : members) {
    ++status.total;
    switch (member.state) {
      case MemberState::kAlive: ++status.alive; break;
      case MemberState::kSuspect: ++status.suspect; break;
      case MemberState::kDead: ++status.dead; break;
      case MemberState::kLeft: ++status.left; break;
    }
    if (is_present(member) && member.load.draining) ++status.draining;
  }
}

void add_share(const StatusShare& share, client::Status& status) {
  status.blocks += share.blobs;
  status.blocks_under_replicated += share.blobs_under_replicated;
  status.blocks_missing += share.blobs_missing;
}

}  // namespace

StatusGatherer::StatusGatherer(NodeId self, ClusterId cluster, std::uint16_t group_count)
    : self_(self), cluster_(cluster), group_count_(group_count) {}

bool StatusGatherer::begin(Instant now, client::RequestId request,
                           const std::map<NodeId, Member>& members, Effects& out) {
  if (queries_.size() >= kMaxStatusQueries) return false;
  const std::uint64_t number = next_query_++;
  Query& query = queries_[number];
  query.request = request;
  query.deadline = now + kPatience;
  query.silent.insert(self_);
  for (const auto& [id, member] : members) {
    if (is_present(member)) query.silent.insert(id);
  }
  ask(now, number, query, members, out);
  return true;
}

void StatusGatherer::ask(Instant now, std::uint64_t number, Query& query,
                         const std::map<NodeId, Member>& members, Effects& out) {
  query.ask_at = now + kAskAgain;
  out.send(self_, Channel::kStream, node_frame(StatusQuery{number}));
  for (const auto& [id, member] : members) {
    if (is_present(member) && id != self_) {
      out.send(id, Channel::kStream, node_frame(StatusQuery{number}));
    }
  }
}

bool StatusGatherer::are_all_groups_led(const Query& query) const {
  std::set<GroupId> led;
  for (const auto& [node, share] : query.shares) {
    for (const GroupStatus& group : share.led) led.insert(group.group);
  }
  return led.size() >= group_count_;
}

void StatusGatherer::on_share(NodeId from, const StatusShare& share,
                              const std::map<NodeId, Member>& members) {
  const auto query = queries_.find(share.query);
  if (query == queries_.end() || (from != self_ && !members.contains(from))) return;
  query->second.silent.erase(from);
  query->second.shares[from] = share;
  if (query->second.silent.empty() && are_all_groups_led(query->second)) finish(query, members);
}

void StatusGatherer::tick(Instant now, const std::map<NodeId, Member>& members, Effects& out) {
  for (auto at = queries_.begin(); at != queries_.end();) {
    const auto due = at++;
    Query& query = due->second;
    if (query.deadline <= now) {
      finish(due, members);
    } else if (query.ask_at <= now) {
      const bool is_of_use = !are_all_groups_led(query);
      query.ask_at = now + kAskAgain;
      if (is_of_use) ask(now, due->first, query, members, out);
    }
  }
}

Instant StatusGatherer::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [number, query] : queries_) {
    next = std::min({next, query.deadline, query.ask_at});
  }
  return next;
}

void StatusGatherer::finish(std::map<std::uint64_t, Query>::iterator query,
                            const std::map<NodeId, Member>& members) {
  ended_.push_back({query->second.request,
                    sum_of_shares(cluster_, group_count_, query->second.shares, members)});
  queries_.erase(query);
}

client::Status sum_of_shares(ClusterId cluster, std::uint16_t group_count,
                             const std::map<NodeId, StatusShare>& shares,
                             const std::map<NodeId, Member>& members) {
  client::Status status;
  status.cluster = cluster;
  status.groups = group_count;
  count_members(members, status);

  std::set<GroupId> groups;
  std::set<GroupId> thin;  // with less than full replication
  for (const auto& [node, share] : shares) {
    add_share(share, status);
    for (const GroupStatus& group : share.led) groups.insert(group.group);
  }

  // A blob that several owners lack is counted by each of their heirs.
  status.blocks_under_replicated = std::min(status.blocks_under_replicated, status.blocks);

  // A leader that answers has a quorum; how many more voters may go says what can be lost.
  std::size_t spare = shares.empty() ? 0 : kFullReplication;
  // Two hosts cannot outvote each other's loss: until the third comes one voter is all there is.
  const bool three_hosts = status.alive + status.suspect >= kFullReplication;
  const std::size_t full = three_hosts ? kFullReplication : 1;
  for (const auto& [node, share] : shares) {
    for (const GroupStatus& group : share.led) {
      const auto alive = static_cast<std::size_t>(
          std::count_if(group.voters.begin(), group.voters.end(),
                        [&](const NodeId& voter) { return is_alive(members, voter); }));
      const std::size_t majority = group.voters.size() / 2 + 1;
      spare = std::min(spare, alive > majority ? alive - majority : 0);
      if (alive < full) thin.insert(group.group);
    }
  }
  status.groups_fully_replicated = static_cast<std::uint32_t>(groups.size() - thin.size());
  status.groups_with_quorum = static_cast<std::uint32_t>(groups.size());
  status.silent_groups = group_count - status.groups_with_quorum;
  const bool all_there = status.silent_groups == 0 && status.blocks_missing == 0 &&
                         status.blocks_under_replicated == 0;
  status.can_lose = all_there ? static_cast<std::uint32_t>(spare) : 0;
  return status;
}

}  // namespace dunlin
