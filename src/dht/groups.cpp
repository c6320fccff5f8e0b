#include "dht/groups.h"

#include <algorithm>

#include "base/assert.h"
#include "dht/groups_parts.h"

namespace dunlin {

namespace {

constexpr Duration kSayLeaving = seconds(1);

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
  Turn turn{now,         config,          peers, random, out, events, boot,
            durable_row, storage_stalled, {},    {},     {},  false};
  return turn;
}

void Groups::Parts::end(Turn& turn) {
  start_campaigns(turn);
  if (peers_stale) {
    peers_stale = false;
    std::set<NodeId> now_seated;
    for (const auto& replica : replicas) {
      if (replica != nullptr) replica->add_peers(now_seated);
    }
    now_seated.erase(self);
    // Nobody watches a node any more with which nothing is shared: what was thought of it is over.
    for (const NodeId& node : peer_set) {
      if (!now_seated.contains(node)) peers.of(node).suspected = false;
    }
    peer_set = std::move(now_seated);
  }
  for (const NodeId& node : turn.reminders) {
    turn.notes.push_back({node, promises_of(node, peers.boot(node))});
  }
  flush(turn);
}

Raft* Groups::Parts::find(GroupId group) const {
  return group.value < replicas.size() ? replicas[group.value].get() : nullptr;
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
  const Instant at = raft.deadline();
  if (at == due_at[group.value]) return;
  due.erase({due_at[group.value], group});
  due_at[group.value] = at;
  if (at != Instant::never()) due.insert({at, group});
}

void Groups::Parts::retire(Turn& turn, GroupId group) {
  Raft& raft = *find(group);
  const VoteFact fact{raft.self().generation, true, raft.term(), {}};
  turn.out.put_fact(vote_key(group), encode(fact));
  retired[group.value] = raft.self().generation;
  due.erase({due_at[group.value], group});
  due_at[group.value] = Instant::never();
  campaigns_wanted.erase({!unfinished[group.value], group});
  campaigning.erase(group);
  led.erase(group);
  seen_peers[group.value] = 0;
  seen_leader[group.value] = {};
  replicas[group.value].reset();
  --replica_count;
  peers_stale = true;
  ++route_version;
  events.emplace_back(ReplicaRemoved{group});
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
  for (std::uint16_t i = 0; i < replicas.size(); ++i) {
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
    mover.tick(turn, groups, [&](GroupId group, const std::function<void(Raft&)>& step) {
      if (find(group) == nullptr) return;
      step(*find(group));
      settle(turn, group);
    });
  }
  if (leaving_at <= turn.now) say_leaving(turn);
}

Instant Groups::Parts::next_deadline() const {
  if (failed) return Instant::never();
  Instant at = std::min(mover.deadline(), leaving_at);
  if (!due.empty()) at = std::min(at, due.begin()->first);
  if (check) at = std::min(at, check->deadline());
  return at;
}

void Groups::Parts::fail(std::string text) {
  if (failed) return;
  failed = true;
  events.emplace_back(GroupsFatal{std::move(text)});
}

// ---- others -------------------------------------------------------------------------------------

void Groups::Parts::hear(Turn& turn, const NodeId& node, Boot of, std::uint64_t row) {
  const Boot before = peers.boot(node);
  if (!peers.heard(node, of, row, turn.now) || before == 0 || of == before) return;
  ++route_version;
  peers.of(node).leaving = false;
  each(turn, [&](Raft& raft) { raft.peer_restarted(turn, node); });
  if (check) check->peer_is_up(turn.now, node);
}

void Groups::Parts::suspect(Turn& turn, const NodeId& node) {
  Peer& peer = peers.of(node);
  if (node == self || peer.suspected) return;
  peer.suspected = true;
  ++route_version;
  each(turn, [&](Raft& raft) { raft.peer_suspected(turn, node); });
}

void Groups::Parts::recovered(Turn& turn, const NodeId& node) {
  Peer& peer = peers.of(node);
  if (!peer.suspected) return;
  peer.suspected = false;
  peer.up_since = turn.now;
  ++route_version;
  each(turn, [&](Raft& raft) { raft.peer_recovered(turn, node); });
  if (check) check->peer_is_up(turn.now, node);
  mover.wake(turn.now);
}

void Groups::Parts::say_leaving(Turn& turn) {
  leaving_at = replica_count == 0 ? Instant::never() : turn.now + kSayLeaving;
  for (const GroupMember& member : mover.members()) {
    if (member.id == self || member.state == GroupMemberState::kLeft) continue;
    turn.notes.push_back({member.id, Leaving{}});
  }
}

void Groups::Parts::doubt(Instant now, GroupId group, const NodeId& node, Effects& out) {
  Raft* raft = find(group);
  Route& route = routes[group.value];
  if (route.leader == node) {
    route.leader = NodeId{};
    ++route_version;
  }
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

// ---- the facade ---------------------------------------------------------------------------------

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
}

void Groups::prepare_to_leave(Instant now, Effects& out) {
  Turn turn = parts_->begin(now, out);
  parts_->mover.set_leaving(now, parts_->self);
  parts_->leaving_at = now;
  parts_->end(turn);
}

bool Groups::may_leave() const {
  return parts_->replica_count == 0;
}

}  // namespace dunlin
