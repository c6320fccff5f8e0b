#include "node/status.h"

#include <algorithm>
#include <set>

namespace dunlin {

namespace {

constexpr Duration kPatience = seconds(2);
constexpr Duration kAskAgain = milliseconds(250);
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
    : self_(self),
      cluster_(cluster),
      group_count_(group_count),
      inquiries_(kMaxStatusQueries, kPatience) {}

bool StatusGatherer::begin(Instant now, client::RequestId request,
                           const std::map<NodeId, Member>& members, Effects& out) {
  const std::uint64_t number = inquiries_.begin(now, request, {});
  if (number == 0) return false;
  ask(number, inquiries_.open().at(number), members, out);
  ask_at_ = std::min(ask_at_, now + kAskAgain);
  return true;
}

// Who has come since the last time is asked as well.
void StatusGatherer::ask(std::uint64_t number, Inquiry<StatusShare>& inquiry,
                         const std::map<NodeId, Member>& members, Effects& out) {
  for (const NodeId& id : self_and_present(self_, members)) {
    inquiry.asked.insert(id);
    out.send(id, Channel::kStream, node_frame(StatusQuery{number}));
  }
}

bool StatusGatherer::are_all_groups_led(const Inquiry<StatusShare>& inquiry) const {
  std::set<GroupId> led;
  for (const auto& [node, share] : inquiry.shares) {
    for (const GroupStatus& group : share.led) led.insert(group.group);
  }
  return led.size() >= group_count_;
}

void StatusGatherer::on_share(NodeId from, const StatusShare& share,
                              const std::map<NodeId, Member>& members) {
  const auto* inquiry = inquiries_.hear(from, share.query, share);
  if (inquiry == nullptr || !inquiry->is_complete() || !are_all_groups_led(*inquiry)) return;
  finish(inquiries_.end(share.query), members);
}

void StatusGatherer::tick(Instant now, const std::map<NodeId, Member>& members, Effects& out) {
  for (const auto& inquiry : inquiries_.end_due(now)) finish(inquiry, members);
  if (ask_at_ > now) return;
  for (auto& [number, inquiry] : inquiries_.open()) {
    if (!are_all_groups_led(inquiry)) ask(number, inquiry, members, out);
  }
  ask_at_ = inquiries_.open().empty() ? Instant::never() : now + kAskAgain;
}

void StatusGatherer::finish(const Inquiry<StatusShare>& inquiry,
                            const std::map<NodeId, Member>& members) {
  ended_.push_back(
      {inquiry.request, sum_of_shares(cluster_, group_count_, inquiry.shares, members)});
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
