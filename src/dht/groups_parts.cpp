// How the replicas of a node share its turns, its peers and its disk.
#include "dht/groups_parts.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr Duration kSayLeaving = seconds(1);
constexpr Duration kAskStrays = seconds(5);

void keep(std::set<GroupId>& groups, GroupId group, bool is_in) {
  if (is_in) {
    groups.insert(group);
  } else {
    groups.erase(group);
  }
}

}  // namespace

Groups::Parts::Parts(NodeId own_id, Boot own_boot, GroupsConfig own_config, Random own_random)
    : self(own_id),
      boot(own_boot),
      config(own_config),
      random(own_random),
      replicas(own_config.group_count),
      retired(own_config.group_count),
      due_at(own_config.group_count, Instant::never()),
      unfinished(own_config.group_count),
      seen_peers(own_config.group_count),
      seen_leader(own_config.group_count),
      mover(own_id, config),
      routes(own_config.group_count) {
  ASSERT(config.group_count > 0 && config.group_count <= kMaxGroups && config.voters % 2 == 1);
}

// ---- turns --------------------------------------------------------------------------------------

Turn Groups::Parts::begin(Instant now, Effects& out) {
  Turn turn{now, config, peers, random, out, events};
  turn.boot = boot;
  turn.durable_row = durable_row;
  turn.storage_stalled = storage_stalled;
  note_snapshots(turn);
  return turn;
}

void Groups::Parts::end(Turn& turn) {
  start_campaigns(turn);
  if (peers_stale) refresh_peers();
  for (const NodeId& node : turn.reminders) {
    turn.notes.push_back({node, promises_of(node, peers.boot(node))});
  }
  flush(turn);
}

// Whoever is suspected stays watched until it recovers or is a member no more, even when dead and
// with nothing shared: else suspicions here and in liveness would part, and one that comes or ends
// meanwhile go unnoticed.
void Groups::Parts::refresh_peers() {
  peers_stale = false;
  forget_gone();
  peer_set.clear();
  for (const auto& replica : replicas) {
    if (replica != nullptr) replica->add_peers(peer_set);
  }
  peer_set.erase(self);
  for (const NodeId& node : peers.suspected()) {
    if (peer_set.contains(node)) continue;
    if (mover.is_member(node)) {
      peer_set.insert(node);
    } else {
      peers.of(node).suspected = false;
    }
  }
}

// Nobody waits for an answer of those who left, were retired, or are known to nobody any more:
// should one of them speak after all, it is told then that it has no seat.
void Groups::Parts::forget_gone() {
  for (const GroupId group : led) find(group)->forget_departing(mover.gone());
}

Raft* Groups::Parts::find(GroupId group) const {
  return group.value < replicas.size() ? replicas[group.value].get() : nullptr;
}

void Groups::Parts::note_snapshots(Turn& turn) const {
  turn.may_send_snapshot = sending_snapshot.size() < kMaxSnapshotsSent;
  turn.may_take_snapshot = taking_snapshot.size() < kMaxSnapshotsTaken;
}

// One whose leader is gone may never go on, and must not keep others from coming.
void Groups::Parts::drop_stalled_snapshot(Turn& turn) {
  for (const GroupId group : taking_snapshot) {
    if (find(group)->trusts_leader(peers)) continue;
    find(group)->drop_snapshot();
    taking_snapshot.erase(group);
    note_snapshots(turn);
    return;
  }
}

void Groups::Parts::settle(Turn& turn, GroupId group) {
  Raft& raft = *find(group);
  if (turn.wrote) {
    turn.wrote = false;
    const auto [row, is_new] = waiting.try_emplace(turn.out.row);
    row->second.insert(group);
    if (is_new) turn.out.notify_when_durable({Module::kGroups, turn.out.row, 0, 0});
  }
  if (raft.is_removed()) {
    retire(turn, group);
    return;
  }
  if (raft.peers_version() != seen_peers[group.value]) {
    seen_peers[group.value] = raft.peers_version();
    peers_stale = true;
  }
  campaigns_wanted.erase({!unfinished[group.value], group});
  if (raft.wants_campaign()) campaigns_wanted.insert({!unfinished[group.value], group});
  if (!raft.is_campaigning()) campaigning.erase(group);
  keep(sending_snapshot, group, raft.is_sending_snapshot());
  keep(taking_snapshot, group, raft.is_taking_snapshot());
  note_snapshots(turn);
  const bool leads = raft.is_established();
  if (leads && led.insert(group).second) {
    mover.gained(turn.now, group);
    ++route_version;
  } else if (!leads && led.erase(group) != 0) {
    ++route_version;
  }
  if (raft.leader() != seen_leader[group.value]) {
    seen_leader[group.value] = raft.leader();
    ++route_version;
  }
  // It outlives the replica.
  Route& route = routes[group.value];
  if (!raft.leader().is_none() && raft.term() > route.term) {
    route = {raft.term(), raft.leader(), peers.boot(raft.leader())};
  }
  const Instant at = raft.deadline();
  if (at == due_at[group.value]) return;
  due.erase({due_at[group.value], group});
  due_at[group.value] = at;
  if (at != Instant::never()) due.insert({at, group});
}

void Groups::Parts::retire(Turn& turn, GroupId group) {
  note_retired(turn, group, find(group)->self().generation);
  due.erase({due_at[group.value], group});
  due_at[group.value] = Instant::never();
  campaigns_wanted.erase({!unfinished[group.value], group});
  campaigning.erase(group);
  led.erase(group);
  sending_snapshot.erase(group);
  taking_snapshot.erase(group);
  seen_peers[group.value] = 0;
  seen_leader[group.value] = {};
  replicas[group.value].reset();
  --replica_count;
  peers_stale = true;
  ++route_version;
  events.emplace_back(ReplicaRemoved{group});
}

void Groups::Parts::note_retired(Turn& turn, GroupId group, Generation generation) {
  turn.out.put_fact(vote_key(group), encode(VoteFact{generation, true, 0, {}}));
  retired[group.value] = generation;
}

void Groups::Parts::start_campaigns(Turn& turn) {
  while (!campaigns_wanted.empty() && campaigning.size() < kMaxCampaigns) {
    const GroupId group = campaigns_wanted.begin()->second;
    campaigning.insert(group);
    find(group)->campaign(turn);
    settle(turn, group);
  }
}

void Groups::Parts::each(Turn& turn, const std::function<void(Raft&)>& action) {
  const auto count = static_cast<std::uint16_t>(replicas.size());
  for (std::uint16_t i = 0; i < count; ++i) {
    if (replicas[i] == nullptr) continue;
    action(*replicas[i]);
    settle(turn, GroupId{i});
  }
}

void Groups::Parts::tick(Turn& turn) {
  std::vector<GroupId> now_due;
  for (const auto& [at, group] : due) {
    if (at > turn.now) break;
    now_due.push_back(group);
  }
  for (const GroupId group : now_due) {
    find(group)->tick(turn);
    settle(turn, group);
  }
  if (check && check->deadline() <= turn.now) check->ask(turn, unverified());
  if (mover.deadline() <= turn.now) {
    const std::set<GroupId> groups = led;
    const std::set<NodeId> gone = mover.gone();
    mover.tick(turn, groups, [&](GroupId group, const std::function<void(Raft&)>& step) {
      if (find(group) == nullptr) return;
      step(*find(group));
      settle(turn, group);
    });
    peers_stale = peers_stale || gone != mover.gone();
  }
  if (leaving_at <= turn.now) say_leaving(turn);
  look_for_leaders(turn);
}

Instant Groups::Parts::next_deadline() const {
  if (failed) return Instant::never();
  Instant at = std::min(mover.deadline(), leaving_at);
  if (!strays.empty()) at = std::min(at, strays_at);
  if (!due.empty()) at = std::min(at, due.begin()->first);
  if (check) at = std::min(at, check->deadline());
  return at;
}

void Groups::Parts::fail(GroupsFatal why) {
  if (failed) return;
  failed = true;
  events.emplace_back(std::move(why));
}

// ---- others -------------------------------------------------------------------------------------

void Groups::Parts::hear(Turn& turn, const NodeId& node, Boot of, std::uint64_t row) {
  const Boot before = peers.boot(node);
  if (!peers.heard(node, of, row, turn.now) || before == 0 || of == before) return;
  ++route_version;
  mover.set_leaving(turn.now, node, false);
  each(turn, [&](Raft& raft) { raft.peer_restarted(turn, node); });
  if (check) check->peer_is_up(turn.now);
}

void Groups::Parts::suspect(Turn& turn, const NodeId& node) {
  Peer& peer = peers.of(node);
  if (node == self || peer.suspected) return;
  peer.suspected = true;
  peers_stale = true;
  ++route_version;
  each(turn, [&](Raft& raft) { raft.peer_suspected(turn, node); });
}

void Groups::Parts::recovered(Turn& turn, const NodeId& node) {
  Peer& peer = peers.of(node);
  if (!peer.suspected) return;
  peer.suspected = false;
  peers_stale = true;
  peer.up_since = turn.now;
  ++route_version;
  each(turn, [&](Raft& raft) { raft.peer_recovered(turn, node); });
  if (check) check->peer_is_up(turn.now);
  mover.wake(turn.now);
}

// A replica that was removed, or cut off, while nothing went wrong with the leader it trusts: the
// present one says what has become of it. Until it has, it is asked again: no other peer may be
// left that knows the replica.
void Groups::Parts::look_for_leaders(Turn& turn) {
  if (strays.empty() || turn.now < strays_at) return;
  strays_at = turn.now + kAskStrays;
  std::erase_if(strays, [&](GroupId group) {
    const Raft* raft = find(group);
    const Route& route = routes[group.value];
    return raft == nullptr || raft->term() >= route.term || route.leader.is_none();
  });
  for (const GroupId group : strays) {
    const Raft* raft = find(group);
    const Route& route = routes[group.value];
    turn.messages.push_back(
        {route.leader, false,
         GroupMessage{group, kAnyGeneration, raft->self().generation, raft->term(), Hello{}}});
  }
}

void Groups::Parts::say_leaving(Turn& turn) {
  leaving_at = replica_count == 0 ? Instant::never() : turn.now + kSayLeaving;
  for (const GroupMember& member : mover.members()) {
    if (member.id == self || member.state == GroupMemberState::kLeft) continue;
    turn.notes.push_back({member.id, Leaving{}});
  }
  // Replicas that were removed without hearing of it would keep this node from going.
  each(turn, [&](Raft& raft) { raft.doubt(turn); });
}

void Groups::Parts::doubt(Instant now, GroupId group, const NodeId& node, Effects& out) {
  Raft* raft = find(group);
  if (failed || raft == nullptr || raft->leader() != node) return;
  Turn turn = begin(now, out);
  raft->doubt(turn);
  settle(turn, group);
  end(turn);
}

Term Groups::Parts::route_term(GroupId group) const {
  const Raft* raft = find(group);
  const Term told = routes[group.value].term;
  return raft == nullptr ? told : std::max(told, raft->term());
}

}  // namespace dunlin
