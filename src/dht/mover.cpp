#include "dht/mover.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr Duration kBusyPass = milliseconds(25);      // while groups are on the move
constexpr Duration kPatientPass = milliseconds(500);  // while they wait for something
constexpr Duration kStateAskInterval = milliseconds(500);

std::set<NodeId> nodes_of(const std::vector<Seat>& seats) {
  std::set<NodeId> nodes;
  for (const Seat& seat : seats) nodes.insert(seat.node);
  return nodes;
}

// Learners that may take the seat they have.
std::set<NodeId> able_nodes(const Raft& raft) {
  std::set<NodeId> nodes;
  for (const Seat& seat : raft.config().learners) {
    if (!raft.is_gone(seat)) nodes.insert(seat.node);
  }
  return nodes;
}

std::set<NodeId> as_set(const std::vector<NodeId>& nodes) {
  return {nodes.begin(), nodes.end()};
}

}  // namespace

struct Mover::Pass {
  std::size_t moving = 0;  // groups under way
  Instant again = Instant::never();
  void wait_until(Instant at) { again = std::min(again, at); }
};

Mover::Mover(NodeId self, const GroupsConfig& config) : self_(self), config_(config) {}

// ---- the view -----------------------------------------------------------------------------------

void Mover::set_members(Instant now, std::vector<GroupMember> members) {
  if (members == members_) return;
  std::map<NodeId, GroupMemberState> before;
  for (const GroupMember& member : members_) before.emplace(member.id, member.state);
  std::map<NodeId, Instant> since;
  for (const GroupMember& member : members) {
    const auto was = before.find(member.id);
    const bool same = was != before.end() && was->second == member.state;
    since[member.id] = same ? state_since_.at(member.id) : now;
  }
  members_ = std::move(members);
  state_since_ = std::move(since);
  std::erase_if(strangers_, [&](const auto& item) { return state_since_.contains(item.first); });
  refresh_view(now);
}

void Mover::set_leaving(Instant now, const NodeId& node, bool leaving) {
  if (leaving_.contains(node) == leaving) return;
  if (leaving) {
    leaving_.insert(node);
  } else {
    leaving_.erase(node);
  }
  refresh_view(now);
}

PlacementHost::State Mover::state_of_dead(Instant now, Instant since) {
  const Instant counts_at = since + config_.replace_after;
  if (counts_at <= now) return PlacementHost::State::kDead;
  view_at_ = std::min(view_at_, counts_at);
  return PlacementHost::State::kAbsent;
}

// Gossip may not know (yet, or any more) who holds a replica. That must not look like a leave: a
// node that has just started would shrink its groups to those it has met.
void Mover::note_strangers(Instant now, const std::set<NodeId>& seated) {
  std::map<NodeId, Instant> strangers;
  for (const NodeId& node : seated) {
    if (!state_since_.contains(node) && node != self_) {
      strangers[node] = strangers_.contains(node) ? strangers_.at(node) : now;
    }
  }
  if (strangers == strangers_) return;
  strangers_ = std::move(strangers);
  refresh_view(now);
}

void Mover::refresh_view(Instant now) {
  view_at_ = Instant::never();
  std::vector<PlacementHost> hosts;
  gone_.clear();
  for (const GroupMember& member : members_) {
    if (member.state == GroupMemberState::kLeft) gone_.insert(member.id);
    if (member.state == GroupMemberState::kLeft || member.weight == 0) continue;
    PlacementHost host{member.id, member.zone, PlacementHost::State::kPresent};
    // Who died amid leaving is dead: not all may have heard that it wanted to go.
    if (member.state == GroupMemberState::kDead) {
      host.state = state_of_dead(now, state_since_.at(member.id));
    } else if (member.state == GroupMemberState::kLeaving || leaving_.contains(member.id)) {
      host.state = PlacementHost::State::kLeaving;
    }
    hosts.push_back(std::move(host));
  }
  for (const auto& [node, since] : strangers_) {
    hosts.push_back({node, {}, state_of_dead(now, since)});
    if (hosts.back().state == PlacementHost::State::kDead) gone_.insert(node);
  }
  if (hosts == hosts_ && stable_since_ != Instant::never()) return;
  hosts_ = hosts;
  Placement placement(std::move(hosts), config_.group_count, config_.voters);
  if (placement.hash() != placement_.hash() || stable_since_ == Instant::never()) {
    stable_since_ = now;
  }
  placement_ = std::move(placement);
  wake(now);
}

bool Mover::is_member(const NodeId& node) const {
  return std::any_of(members_.begin(), members_.end(), [&](const GroupMember& member) {
    return member.id == node && member.state != GroupMemberState::kLeft;
  });
}

bool Mover::has_been_up(const Turn& turn, const NodeId& node, Duration time) const {
  if (node == self_) return true;
  const auto member = std::find_if(members_.begin(), members_.end(),
                                   [&](const GroupMember& known) { return known.id == node; });
  const Peer* peer = turn.peers.find(node);
  if (member == members_.end() || member->state != GroupMemberState::kAlive) return false;
  if (peer != nullptr && peer->suspected) return false;
  const Instant heard = peer == nullptr ? Instant{} : peer->up_since;
  return std::max(heard, state_since_.at(node)) + time <= turn.now;
}

bool Mover::is_agreed(const Turn& turn, const GroupConfig& config) const {
  return config.has_quorum([&](const Seat& seat) {
    if (seat.node == self_) return true;
    const Peer* peer = turn.peers.find(seat.node);
    return peer != nullptr && peer->view == placement_.hash();
  });
}

void Mover::ask_views(Turn& turn, const GroupConfig& config) {
  for (const Seat& seat : config.all_voters()) {
    if (seat.node == self_ || turn.peers.is_suspected(seat.node)) continue;
    Instant& asked = asked_at_.try_emplace(seat.node, Instant{-kStateAskInterval.us}).first->second;
    if (turn.now < asked + kStateAskInterval) continue;
    asked = turn.now;
    turn.notes.push_back({seat.node, ViewAsk{placement_.hash()}});
  }
}

void Mover::gained(Instant now, GroupId group) {
  moved_at_[group] = now;
  wake(now);
}

// ---- moves --------------------------------------------------------------------------------------

void Mover::tick(Turn& turn, const std::set<GroupId>& led, const Visit& visit) {
  if (view_at_ <= turn.now) refresh_view(turn.now);
  if (pass_at_ > turn.now) return;
  std::set<NodeId> seated;
  for (const GroupId group : led) {
    visit(group, [&](Raft& raft) { raft.add_peers(seated); });
  }
  note_strangers(turn.now, seated);
  Pass pass;
  for (const GroupId group : led) {
    visit(group, [&](Raft& raft) { step(turn, pass, raft); });
  }
  if (pass.moving > 0) pass.wait_until(turn.now + kBusyPass);
  pass_at_ = pass.again;
}

void Mover::step(Turn& turn, Pass& pass, Raft& raft) {
  if (!raft.is_established()) return;  // wakes the mover when it is
  const GroupConfig& config = raft.config();
  if (!raft.is_config_committed()) {
    ++pass.moving;
    return;
  }
  if (config.is_joint()) {
    ++pass.moving;
    finish_joint(turn, raft);
    return;
  }
  if (stable_since_ == Instant::never()) return;
  if (turn.now < stable_since_ + config_.stable_view) {
    pass.wait_until(stable_since_ + config_.stable_view);
    return;
  }
  const PlacementTarget target = placement_.target(raft.group(), config, self_);
  if (!target.voters.empty()) approach(turn, pass, raft, target);
}

// One step from the group's configuration, which is committed and not joint, toward its target:
// first all who are to vote learn, then they vote, then the right one leads.
void Mover::approach(Turn& turn, Pass& pass, Raft& raft, const PlacementTarget& target) {
  const GroupConfig& config = raft.config();
  const std::set<NodeId> voters = nodes_of(config.voters);
  std::set<NodeId> learners = as_set(target.learners);
  for (const NodeId& node : target.voters) learners.insert(node);
  for (const NodeId& node : voters) learners.erase(node);
  const bool are_seated = nodes_of(config.learners) == learners;
  const bool is_learning = are_seated && able_nodes(raft) == learners;
  if (is_learning && voters == as_set(target.voters)) {
    settle_leader(turn, pass, raft, target);
    return;
  }
  const bool is_under_way = are_seated && !learners.empty();
  if (!may_move(turn, pass, raft, is_under_way || is_urgent(config, target))) return;
  if (is_learning) {
    promote_learners(turn, pass, raft, target);
  } else {
    seek_learners(turn, pass, raft, learners);
  }
}

bool Mover::may_move(Turn& turn, Pass& pass, const Raft& raft, bool at_once) {
  const Instant may_at = moved_at_[raft.group()] + config_.move_interval;
  if (!at_once && turn.now < may_at) {
    pass.wait_until(may_at);
    return false;
  }
  if (pass.moving >= kMaxMoves) {
    pass.wait_until(turn.now + kBusyPass);
    return false;
  }
  if (!is_agreed(turn, raft.config())) {
    ask_views(turn, raft.config());
    pass.wait_until(turn.now + kPatientPass);
    return false;
  }
  return true;
}

// Once all of them have caught up.
void Mover::promote_learners(Turn& turn, Pass& pass, Raft& raft, const PlacementTarget& target) {
  const std::vector<Seat>& learners = raft.config().learners;
  const bool is_one_away = std::any_of(learners.begin(), learners.end(), [&](const Seat& seat) {
    return turn.peers.is_suspected(seat.node);
  });
  if (is_one_away) {
    pass.wait_until(turn.now + kPatientPass);
    return;
  }
  ++pass.moving;
  const bool are_ready = std::all_of(learners.begin(), learners.end(),
                                     [&](const Seat& seat) { return raft.has_caught_up(seat); });
  if (are_ready) join(turn, raft, target);
}

// Adds those that are up, drops those not wanted. A dead one would only hold the others up.
void Mover::seek_learners(Turn& turn, Pass& pass, Raft& raft, const std::set<NodeId>& wanted) {
  const std::set<NodeId> present = able_nodes(raft);
  std::set<NodeId> learners;
  for (const NodeId& node : wanted) {
    if (present.contains(node) || has_been_up(turn, node, Duration{})) learners.insert(node);
  }
  if (learners == nodes_of(raft.config().learners) && learners == present) {
    pass.wait_until(turn.now + kPatientPass);
    return;
  }
  moved_at_[raft.group()] = turn.now;
  ++pass.moving;
  learn(turn, raft, learners);
}

// The same learners, plus the new ones, minus those not wanted any more. One that cannot take its
// seat is given another.
void Mover::learn(Turn& turn, Raft& raft, const std::set<NodeId>& learners) {
  GroupConfig next = raft.config();
  next.learners.clear();
  for (const NodeId& node : learners) {
    const Generation present = raft.config().generation_of(node);
    const bool stays = present != 0 && !raft.is_gone({node, present});
    next.learners.push_back({node, stays ? present : raft.last() + 1});
  }
  raft.change_config(turn, next);
}

void Mover::join(Turn& turn, Raft& raft, const PlacementTarget& target) {
  GroupConfig next;
  next.outgoing = raft.config().voters;
  for (const NodeId& node : target.voters) {
    next.voters.push_back({node, raft.config().generation_of(node)});
  }
  for (const Seat& seat : raft.config().learners) {
    if (!next.is_voter(seat)) next.learners.push_back(seat);
  }
  raft.change_config(turn, next);
}

// A leader never removes itself: one of the new voters takes over in the joint configuration, and
// ends it.
void Mover::finish_joint(Turn& turn, Raft& raft) const {
  GroupConfig next = raft.config();
  const bool stays = std::any_of(next.voters.begin(), next.voters.end(),
                                 [&](const Seat& seat) { return seat.node == self_; });
  if (!stays) {
    for (const Seat& seat : next.voters) {
      if (turn.peers.is_suspected(seat.node) || !raft.has_caught_up(seat)) continue;
      raft.transfer(turn, seat.node);
      return;
    }
    return;
  }
  const PlacementTarget target = placement_.target(raft.group(), next, self_);
  for (const Seat& seat : next.outgoing) {
    const bool learns = std::find(target.learners.begin(), target.learners.end(), seat.node) !=
                        target.learners.end();
    const bool votes = std::find(next.voters.begin(), next.voters.end(), seat) != next.voters.end();
    if (learns && !votes) next.learners.push_back(seat);
  }
  std::sort(next.learners.begin(), next.learners.end());
  next.outgoing.clear();
  raft.change_config(turn, next);
}

bool Mover::is_urgent(const GroupConfig& config, const PlacementTarget& target) const {
  if (config.voters.size() != target.voters.size()) return true;
  if (config.voters.size() == 1 && config.learners.size() < target.learners.size()) return true;
  const auto holds_up_a_leaver = [&](const Seat& seat) {
    return placement_.state_of(seat.node) == PlacementHost::State::kLeaving;
  };
  if (std::any_of(config.learners.begin(), config.learners.end(), holds_up_a_leaver)) return true;
  return std::any_of(config.voters.begin(), config.voters.end(), [&](const Seat& seat) {
    const bool stays =
        std::find(target.voters.begin(), target.voters.end(), seat.node) != target.voters.end();
    return !stays && placement_.state_of(seat.node) != PlacementHost::State::kPresent;
  });
}

// The group lives where it should; does the right node lead it?
void Mover::settle_leader(Turn& turn, Pass& pass, Raft& raft, const PlacementTarget& target) {
  if (target.leader.is_none() || target.leader == self_ || raft.is_transferring()) return;
  const Instant may_at = moved_at_[raft.group()] + config_.settle;
  if (turn.now < may_at) {
    pass.wait_until(may_at);
    return;
  }
  if (!has_been_up(turn, target.leader, config_.settle)) {
    pass.wait_until(turn.now + std::max(config_.settle / 4, kPatientPass));
    return;
  }
  const Generation generation = raft.config().generation_of(target.leader);
  if (!raft.has_caught_up({target.leader, generation})) {
    pass.wait_until(turn.now + kPatientPass);
    return;
  }
  moved_at_[raft.group()] = turn.now;
  raft.transfer(turn, target.leader);
}

}  // namespace dunlin
