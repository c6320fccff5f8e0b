#include "dht/groups.h"

#include <algorithm>

#include "dht/groups_parts.h"

namespace dunlin {

Groups::Groups(NodeId self, Boot boot, GroupsConfig config, Random random)
    : parts_(std::make_unique<Parts>(self, boot, config, random)) {}

Groups::~Groups() = default;

void Groups::found(Instant now, Effects& out) {
  Turn turn = parts_->begin(now, out);
  parts_->found(turn);
  parts_->end(turn);
}

void Groups::recover(Instant now, GroupsRecovery recovery, Effects& out) {
  parts_->durable_row = recovery.last_row;
  Turn turn = parts_->begin(now, out);
  parts_->recover(turn, std::move(recovery));
  if (!parts_->failed) parts_->end(turn);
}

void Groups::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  if (parts_->failed || from == parts_->self) return;
  Turn turn = parts_->begin(now, out);
  parts_->receive(turn, from, frame);
  if (!parts_->failed) parts_->end(turn);
}

void Groups::tick(Instant now, Effects& out) {
  if (parts_->failed) return;
  Turn turn = parts_->begin(now, out);
  parts_->tick(turn);
  parts_->end(turn);
}

Instant Groups::next_deadline() const {
  return parts_->next_deadline();
}

void Groups::on_durable(Instant now, const Ticket& ticket, Effects& out) {
  if (parts_->failed) return;
  parts_->durable_row = std::max(parts_->durable_row, ticket.a);
  Turn turn = parts_->begin(now, out);
  std::set<GroupId> groups;
  while (!parts_->waiting.empty() && parts_->waiting.begin()->first <= parts_->durable_row) {
    groups.merge(parts_->waiting.begin()->second);
    parts_->waiting.erase(parts_->waiting.begin());
  }
  for (const GroupId group : groups) {
    Raft* raft = parts_->find(group);
    if (raft == nullptr) continue;
    raft->on_durable(turn);
    parts_->settle(turn, group);
  }
  parts_->end(turn);
}

std::vector<GroupsEvent> Groups::take_events() {
  return std::exchange(parts_->events, {});
}

Result<std::pair<Term, LogIndex>> Groups::propose(Instant now, GroupId group, Bytes payload,
                                                  Effects& out) {
  Raft* raft = parts_->failed ? nullptr : parts_->find(group);
  if (raft == nullptr) return fail(Code::kUnreachable, "this node does not lead the group");
  Turn turn = parts_->begin(now, out);
  const Result<LogIndex> index = raft->propose(turn, std::move(payload));
  parts_->settle(turn, group);
  parts_->end(turn);
  if (!index) return tl::unexpected(index.error());
  return std::pair{raft->term(), *index};
}

void Groups::read(Instant now, GroupId group, std::uint64_t token, Effects& out) {
  Raft* raft = parts_->failed ? nullptr : parts_->find(group);
  if (raft == nullptr) {
    parts_->events.emplace_back(ReadReady{group, token, false});
    return;
  }
  Turn turn = parts_->begin(now, out);
  raft->read(turn, token);
  parts_->settle(turn, group);
  parts_->end(turn);
}

bool Groups::is_leading(GroupId group) const {
  const Raft* raft = parts_->find(group);
  return raft != nullptr && raft->is_established() && !parts_->failed;
}

Term Groups::leading_term(GroupId group) const {
  return is_leading(group) ? parts_->find(group)->term() : 0;
}

std::optional<NodeId> Groups::leader(GroupId group) const {
  if (group.value >= parts_->routes.size()) return std::nullopt;
  const Raft* raft = parts_->find(group);
  const Parts::Route& route = parts_->routes[group.value];
  if (raft != nullptr && raft->trusts_leader(parts_->peers) && raft->term() >= route.term) {
    return raft->leader();
  }
  if (route.leader.is_none() || (raft != nullptr && raft->term() > route.term)) {
    return std::nullopt;
  }
  return route.leader;
}

std::set<std::vector<NodeId>> Groups::voter_sets(GroupId group) const {
  std::set<std::vector<NodeId>> sets;
  const Raft* raft = parts_->find(group);
  if (raft == nullptr) return sets;
  for (const GroupConfig& config : raft->configs_in_force()) {
    for (const auto* seats : {&config.voters, &config.outgoing}) {
      std::vector<NodeId> nodes;
      for (const Seat& seat : *seats) nodes.push_back(seat.node);
      if (!nodes.empty()) sets.insert(std::move(nodes));
    }
  }
  return sets;
}

std::optional<GroupConfig> Groups::config(GroupId group) const {
  const Raft* raft = parts_->find(group);
  if (raft == nullptr || raft->config().voters.empty()) return std::nullopt;
  return raft->config();
}

std::optional<AppliedState> Groups::applied(GroupId group) const {
  const Raft* raft = parts_->find(group);
  if (raft == nullptr) return std::nullopt;
  return raft->applied();
}

void Groups::provide_snapshot(Instant now, GroupId group, std::uint64_t token, LogIndex index,
                              Bytes state, Effects& out) {
  Raft* raft = parts_->find(group);
  if (raft == nullptr || parts_->failed) return;
  Turn turn = parts_->begin(now, out);
  raft->provide_snapshot(turn, token, index, std::move(state));
  parts_->settle(turn, group);
  parts_->end(turn);
}

void Groups::set_unfinished(GroupId group, bool unfinished) {
  if (group.value >= parts_->unfinished.size()) return;
  if (parts_->campaigns_wanted.erase({!parts_->unfinished[group.value], group}) != 0) {
    parts_->campaigns_wanted.insert({!unfinished, group});
  }
  parts_->unfinished[group.value] = unfinished;
}

void Groups::compact(Instant now, const std::map<GroupId, AppliedState>& checkpointed,
                     Effects& out) {
  if (parts_->failed) return;
  Turn turn = parts_->begin(now, out);
  parts_->compact(turn, checkpointed);
  parts_->end(turn);
}

const std::set<NodeId>& Groups::peers() const {
  return parts_->peer_set;
}

void Groups::set_members(Instant now, std::vector<GroupMember> members, Effects& out) {
  Turn turn = parts_->begin(now, out);
  parts_->mover.set_members(now, std::move(members));
  parts_->peers_stale = true;
  ++parts_->route_version;
  parts_->end(turn);
}

void Groups::peer_suspected(Instant now, const NodeId& node, Effects& out) {
  if (parts_->failed) return;
  Turn turn = parts_->begin(now, out);
  parts_->suspect(turn, node);
  parts_->end(turn);
}

void Groups::peer_recovered(Instant now, const NodeId& node, Effects& out) {
  if (parts_->failed) return;
  Turn turn = parts_->begin(now, out);
  parts_->recovered(turn, node);
  parts_->end(turn);
}

void Groups::peer_restarted(Instant now, const NodeId& node, Boot boot, Effects& out) {
  if (parts_->failed || node == parts_->self) return;
  Turn turn = parts_->begin(now, out);
  parts_->hear(turn, node, boot, 0);
  parts_->end(turn);
}

void Groups::peer_durable(const NodeId& node, Boot boot, std::uint64_t row) {
  // A later life is left to peer_restarted, which wakes the replicas too.
  if (parts_->peers.boot(node) == boot) parts_->peers.heard(node, boot, row, Instant{});
}

std::vector<PeerMark> Groups::peer_marks() const {
  std::vector<PeerMark> marks;
  for (const NodeId& node : parts_->peer_set) {
    const Peer* peer = parts_->peers.find(node);
    if (peer != nullptr && peer->boot != 0) marks.push_back({node, peer->boot, peer->row});
  }
  return marks;
}

void Groups::on_storage_stalled(Instant now, bool stalled, Effects& out) {
  parts_->storage_stalled = stalled;
  if (parts_->failed) return;
  Turn turn = parts_->begin(now, out);
  parts_->each(turn, [&](Raft& raft) { raft.on_storage_stalled(turn); });
  parts_->end(turn);
}

void Groups::learn_route(GroupId group, Term term, const NodeId& leader, Boot boot) {
  if (group.value >= parts_->routes.size()) return;
  Parts::Route& route = parts_->routes[group.value];
  if (term <= route.term && !(term == route.term && boot > route.boot)) return;
  route = {term, leader, boot};
  ++parts_->route_version;
  const Raft* raft = parts_->find(group);
  if (raft != nullptr && raft->term() < term && leader != parts_->self) {
    parts_->strays.insert(group);
    parts_->strays_at = Instant{};
  }
}

void Groups::prepare_to_leave(Instant now, Effects& out) {
  Turn turn = parts_->begin(now, out);
  parts_->mover.set_leaving(now, parts_->self, true);
  if (parts_->leaving_at == Instant::never()) parts_->leaving_at = now;
  parts_->end(turn);
}

bool Groups::may_leave() const {
  return parts_->replica_count == 0;
}

}  // namespace dunlin
