// Events of one module that concern another. Modules never call each other: every path between
// them goes through here.
#include <algorithm>

#include "base/codec.h"
#include "node/parts.h"

namespace dunlin {

namespace {

// Rounds of forwarding in one turn. Each event causes a few others at most; what is left after
// that many is forwarded in the next turn.
constexpr int kMaxRounds = 64;

constexpr Duration kRecordPatience = seconds(5);

template <class Event>
GroupMemberState group_state(const Event& member) {
  switch (member.state) {
    case MemberState::kAlive: return GroupMemberState::kAlive;
    case MemberState::kSuspect: return GroupMemberState::kSuspect;
    case MemberState::kDead: return GroupMemberState::kDead;
    case MemberState::kLeft: return GroupMemberState::kLeft;
  }
  return GroupMemberState::kDead;
}

StoreMemberState store_state(MemberState state) {
  return static_cast<StoreMemberState>(state);
}
static_assert(static_cast<int>(MemberState::kDead) == static_cast<int>(StoreMemberState::kDead));
static_assert(static_cast<int>(MemberState::kLeft) == static_cast<int>(StoreMemberState::kLeft));

SchedMemberState sched_state(MemberState state) {
  return static_cast<SchedMemberState>(state);
}
static_assert(static_cast<int>(MemberState::kDead) == static_cast<int>(SchedMemberState::kDead));
static_assert(static_cast<int>(MemberState::kLeft) == static_cast<int>(SchedMemberState::kLeft));

// Disk capacity in the ring's units; a host that does not say counts as one of the smallest.
std::uint32_t weight_of(const NodeFacts& facts) {
  constexpr std::uint64_t kUnit = 64ULL << 30;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(facts.disk_total / kUnit, 1, 1024));
}

}  // namespace

Devices devices_of(const NodeFacts& facts) {
  return {facts.gpus, {facts.resources.begin(), facts.resources.end()}};
}

bool Node::Parts::settle() {
  for (int round = 0; round < kMaxRounds; ++round) {
    bool more = forward_events();
    if (members_dirty) {
      members_changed();
      for (const NodeId& node : std::exchange(died, {})) sched.peer_dead(now, node, out);
      more = true;
    }
    if (groups.next_deadline() <= now) {
      groups.tick(now, out);
      more = true;
    }
    if (router.next_deadline() <= now) {
      router.tick(now, out);
      more = true;
    }
    if (!more && !snapshots_wanted.empty()) {
      provide_snapshots();
      more = true;
    }
    if (!more && !applied_wanted.empty()) {
      tell_applied();
      more = true;
    }
    if (!more) {
      watch_pairs();
      return true;
    }
  }
  return false;
}

bool Node::Parts::forward_events() {
  bool any = false;
  auto forward = [&](auto events) {
    any = any || !events.empty();
    for (auto& event : events) {
      std::visit([&](auto& one) { on(one); }, event);
    }
  };
  forward(gossip.take_events());
  forward(liveness.take_events());
  forward(groups.take_events());
  forward(router.take_events());
  forward(blobs.take_events());
  forward(sched.take_events());
  forward(admission.take_events());
  for (StatusGatherer::Ended& ended : status.take_ended()) {
    sched.count_jobs(now, wall, ended.request, out);
    statuses.emplace(ended.request, std::move(ended.status));
    any = true;
  }
  return any;
}

// ---- membership ---------------------------------------------------------------------------------

void Node::Parts::on(const MemberUp& event) {
  members_dirty = seeds_dirty = true;
  note(NodeEventType::kAlive, event.node);
}
void Node::Parts::on(const MemberSuspect& event) {
  members_dirty = true;
  note(NodeEventType::kSuspect, event.node);
}
void Node::Parts::on(const MemberLeft& event) {
  members_dirty = seeds_dirty = true;
  note(NodeEventType::kLeft, event.node);
  end_orders(event.node, true);
}
void Node::Parts::on(const MemberChanged& event) {
  members_dirty = true;
  note_change(event.node);
}

void Node::Parts::on(const MemberDead& event) {
  members_dirty = true;
  note(NodeEventType::kDead, event.node);
  died.push_back(event.node);
  end_orders(event.node, false);
}

void Node::Parts::on(const MemberRestarted& event) {
  members_dirty = true;
  note(NodeEventType::kRestarted, event.node);
  groups.peer_restarted(now, event.node, event.boot, out);
  sched.peer_restarted(now, event.node, event.boot, out);
}

void Node::Parts::on(const RouteChanged& event) {
  if (const std::optional<Route> route = gossip.route(event.group)) {
    groups.learn_route(route->group, route->term, route->leader, route->leader_boot);
    sched.learn_leader(now, event.group, groups.leader(event.group), out);
  }
}

void Node::Parts::on(const TwinSeen& event) {
  out.fatal = "another process uses this node's identity (" + event.evidence +
              "): this directory is a copy; start it with --reset to join as a new node";
}

void Node::Parts::on(const PeerSuspected& event) {
  gossip.doubt(now, event.node);
  groups.peer_suspected(now, event.node, out);
  blobs.peer_suspected(now, event.node, out);
  sched.peer_suspected(now, event.node, out);
}

void Node::Parts::on(const PeerRecovered& event) {
  groups.peer_recovered(now, event.node, out);
  blobs.peer_recovered(now, event.node, out);
  sched.peer_recovered(now, event.node, out);
}

void Node::Parts::on(const StorageStalled&) {
  groups.on_storage_stalled(now, true, out);
}
void Node::Parts::on(const StorageRecovered&) {
  groups.on_storage_stalled(now, false, out);
}

void Node::Parts::members_changed() {
  members_dirty = false;
  std::vector<GroupMember> for_groups;
  std::vector<StoreMember> for_store;
  std::map<NodeId, SchedMember> for_sched;
  std::vector<RingNode> on_ring;
  for (const auto& [id, member] : gossip.members()) {
    const std::uint32_t weight = weight_of(member.facts);
    for_groups.push_back({id, member.facts.zone, 1, group_state(member)});
    for_store.push_back({id, store_state(member.state), weight, member.facts.zone});
    for_sched[id] = {
        sched_state(member.state), member.load.draining,     member.boot,
        member.facts.cpus,         member.facts.memory,      member.load.cpus_free,
        member.facts.zone,         member.facts.name,        member.facts.root_jobs_only,
        member.facts.labels,       devices_of(member.facts), member.since};
    if (is_present(member)) on_ring.push_back({id, member.facts.zone, weight});
    if (id != self) {
      output.peers.push_back({id, member.facts.key, member.facts.address, member.boot});
    }
  }
  for (const NodeId& node : admission.record().retired()) {
    for_groups.push_back({node, {}, 1, GroupMemberState::kLeft});
    for_sched[node].state = SchedMemberState::kDead;
    for_sched[node].is_retired = true;
  }
  groups.set_members(now, std::move(for_groups), out);
  blobs.set_members(now, std::move(for_store), out);
  if (on_ring != ring_nodes) {
    ring_nodes = std::move(on_ring);
    ring = Ring(ring_nodes);
  }
  sched.set_members(now, std::move(for_sched), ring, out);
  if (seeds_dirty) {
    seeds_dirty = false;
    put_seeds(reachable_members(), out);
  }
  spread_record();
}

std::vector<Member> Node::Parts::reachable_members() const {
  std::vector<Member> members;
  for (const auto& [id, member] : gossip.members()) {
    if (member.state == MemberState::kAlive) members.push_back(member);
  }
  return members;
}

// Pairs that share a group or a task watch each other directly.
void Node::Parts::watch_pairs() {
  std::set<NodeId> wanted = groups.peers();
  wanted.insert(sched_peers.begin(), sched_peers.end());
  wanted.erase(self);
  if (wanted == watched) return;
  watched = std::move(wanted);
  liveness.watch(now, watched);
}

// Ids that are retired now: whatever is heard of them is old news, and their seats are to be
// refilled at once.
void Node::Parts::follow_record() {
  const std::set<NodeId>& retired = admission.record().retired();
  if (retired.size() == retired_seen) return;
  retired_seen = retired.size();
  if (retired.contains(self)) {
    out.fatal = "the cluster has retired this node's identity; start it with --reset to join anew";
    return;
  }
  for (const NodeId& node : retired) {
    gossip.mark_forgotten(now, node);
    sched.peer_dead(now, node, out);
    output.forgotten_peers.push_back(node);
  }
  blobs.replace_lost(now);
  members_dirty = true;
}

void Node::Parts::spread_record() {
  std::vector<NodeId> peers;
  for (const auto& [id, member] : gossip.members()) {
    if (id != self && member.state == MemberState::kAlive) peers.push_back(id);
  }
  admission.spread(now, groups.is_leading(kClusterGroup), groups.config(kClusterGroup).has_value(),
                   peers, out);
}

// ---- groups -------------------------------------------------------------------------------------

void Node::Parts::on(Committed& event) {
  ++entries_committed;
  if (event.payload.empty()) return;
  const ByteView body = ByteView(event.payload).subspan(1);
  checkpointer.changed(now, event.group);
  switch (static_cast<Module>(event.payload[0])) {
    case Module::kSched: sched.apply(now, event.group, event.index, event.term, body, out); break;
    case Module::kNode:
      if (const Result<void> read = admission.apply(event.index, body); !read) {
        out.fatal = "entry " + std::to_string(event.index) +
                    " of the cluster's record cannot be applied: " + read.error().message +
                    "; the log is damaged, or a newer dunlin wrote it";
      }
      follow_record();
      spread_record();
      break;
    default:
      out.fatal = "entry " + std::to_string(event.index) + " of group " +
                  std::to_string(event.group.value) +
                  " is of no kind this dunlin knows: its log is damaged, or a newer one wrote it";
  }
}

void Node::Parts::on(const LeadershipGained& event) {
  gossip.announce_route(now, {event.group, event.term, self, start.boot});
  sched.learn_leader(now, event.group, self, out);
  sched.leading(now, event.group, event.term, out);
  if (event.group == kClusterGroup) spread_record();
}

void Node::Parts::on(const LeadershipLost& event) {
  sched.following(now, event.group, out);
  if (event.group == kClusterGroup) admission.on_leadership_lost();
}

void Node::Parts::on(const RouteLearnt& event) {
  gossip.announce_route(now, {event.group, event.term, event.leader, event.boot});
  sched.learn_leader(now, event.group, event.leader, out);
}

Bytes Node::Parts::snapshot_of(GroupId group) const {
  const Bytes record = group == kClusterGroup ? admission.encode_record() : Bytes{};
  return encode(std::pair{record, sched.snapshot(group)});
}

void Node::Parts::on(const SnapshotWanted& event) {
  snapshots_wanted.push_back(event);
}

// Only between events: amid them the groups are ahead of the state that they are applied to.
void Node::Parts::provide_snapshots() {
  for (const SnapshotWanted& wanted : std::exchange(snapshots_wanted, {})) {
    const std::optional<AppliedState> applied = groups.applied(wanted.group);
    if (!applied) continue;
    groups.provide_snapshot(now, wanted.group, wanted.token, applied->index,
                            snapshot_of(wanted.group), out);
  }
}

void Node::Parts::on(const RestoreState& event) {
  const auto parts = decode<std::pair<Bytes, Bytes>>(event.state);
  Result<void> restored = fail(Code::kCorrupt, "malformed");
  if (parts) restored = sched.restore(event.group, event.index, parts->second);
  if (restored && !parts->first.empty()) {
    restored = admission.merge_record(parts->first);
    follow_record();
  }
  if (!restored) {
    out.fatal = "a snapshot of group " + std::to_string(event.group.value) +
                " cannot be read: " + restored.error().message;
  }
  checkpointer.changed(now, event.group);
}

void Node::Parts::on(const ReplicaRemoved& event) {
  sched.drop_group(event.group);
  checkpointer.changed(now, event.group);
  checkpointer.wait_for_row(out.row);
}

void Node::Parts::on(const ReadReady& event) {
  sched.on_read_ready(now, event.group, event.token, event.ok, out);
}

void Node::Parts::on(const GroupsFatal& event) {
  out.fatal = event.text;
  output.has_amnesia = !event.is_outlived;
}

void Node::Parts::on(const SchedFatal& event) {
  out.fatal = event.text;
}

// ---- the way to a leader ------------------------------------------------------------------------

void Node::Parts::on(RouterReply& event) {
  const auto question = asked_groups.take(event.token);
  if (!question) return;
  if (question->first == Asker::kSched) {
    sched.on_group_reply(now, question->second, event.result, out);
  } else {
    admission.on_answer(question->second, event.result, reachable_members());
  }
}

void Node::Parts::on(const RouterRequest& event) {
  if (event.body.empty()) return;
  const ByteView body = ByteView(event.body).subspan(1);
  if (static_cast<Module>(event.body[0]) == Module::kNode) {
    admission.on_request(event.handle, body, gossip.members(), wall);
  } else {
    sched.on_group_request(now, wall, event.handle, event.from, event.group, body, out);
  }
}

void Node::Parts::on(AskGroup& event) {
  router.request(now, asked_groups.issue(Asker::kSched, event.token), event.group,
                 with_module(Module::kSched, std::move(event.body)), event.deadline, out);
}

void Node::Parts::on(ReplyGroup& event) {
  router.reply(now, event.handle, std::move(event.reply), out);
}

void Node::Parts::on(const ReadGroup& event) {
  groups.read(now, event.group, event.token, out);
}

void Node::Parts::on(Propose& event) {
  const bool same_term = groups.leading_term(event.group) == event.term;
  if (!same_term || !groups.propose(now, event.group,
                                    with_module(Module::kSched, std::move(event.payload)), out)) {
    sched.on_propose_refused(now, event.group, event.token, out);
  }
}

// ---- blobs --------------------------------------------------------------------------------------

void Node::Parts::on(BlobStored& event) {
  const auto question = asked_blobs.take(event.token);
  if (!question) return;
  if (question->first == BlobAsker::kSched) {
    sched.on_blob_stored(now, question->second, event.blob, out);
  } else {
    answer(question->second,
           client::Answer(client::BlobPut{event.blob.id, std::move(event.holders)}));
  }
}

void Node::Parts::on(const BlobPutFailed& event) {
  const auto question = asked_blobs.take(event.token);
  if (!question) return;
  if (question->first == BlobAsker::kSched) {
    sched.on_blob_stored(now, question->second, tl::unexpected(event.error), out);
  } else {
    answer(question->second, tl::unexpected(event.error));
  }
}

void Node::Parts::on(BlobFetched& event) {
  const auto question = asked_blobs.take(event.token);
  if (!question) return;
  if (question->first == BlobAsker::kSched) {
    sched.on_blob_fetched(now, question->second, event.content, out);
  } else if (event.content) {
    answer(question->second, client::Answer(client::BlobGot{std::move(*event.content)}));
  } else {
    answer(question->second, tl::unexpected(event.content.error()));
  }
}

void Node::Parts::on(BlobLocal& event) {
  const auto question = asked_blobs.take(event.token);
  if (question) sched.on_blob_local(now, question->second, event.extent, out);
}

void Node::Parts::on(const FetchBlob& event) {
  blobs.fetch(now, asked_blobs.issue(BlobAsker::kSched, event.token), event.blob.id, event.hint,
              out);
}

void Node::Parts::on(const LocalizeBlob& event) {
  blobs.localize(now, asked_blobs.issue(BlobAsker::kSched, event.token), event.blob.id, event.hint,
                 out);
}

void Node::Parts::on(PutBlob& event) {
  blobs.put(now, asked_blobs.issue(BlobAsker::kSched, event.token), event.pin,
            std::move(event.data), out);
}

// ---- jobs ---------------------------------------------------------------------------------------

void Node::Parts::on(Answer& event) {
  if (event.answer) {
    answer(event.request, client::Answer(std::move(*event.answer)));
  } else {
    answer(event.request, tl::unexpected(event.answer.error()));
  }
}

void Node::Parts::on(const JobsCounted& event) {
  const auto status_found = statuses.find(event.request);
  if (status_found == statuses.end()) return;
  client::Status whole = std::move(status_found->second);
  statuses.erase(status_found);
  whole.jobs_by_state = event.by_state;
  whole.silent_groups = std::max(whole.silent_groups, event.silent_groups);
  answer(event.request, client::Answer(std::move(whole)));
}

void Node::Parts::on(const WatchPeers& event) {
  sched_peers = event.peers;
}

void Node::Parts::on(const Unfinished& event) {
  groups.set_unfinished(event.group, event.unfinished);
}

void Node::Parts::on(const LoadChanged& event) {
  load.cpus_free = event.cpus_free;
  load.memory_free = event.memory_free;
  load.running = event.running;
  load.queued = event.queued;
  gossip.set_load(now, load);
}

// ---- the cluster record -------------------------------------------------------------------------

void Node::Parts::on(Admission::Ask& event) {
  router.request(now, asked_groups.issue(Asker::kAdmission, event.token), kClusterGroup,
                 node_payload(std::move(event.body)), now + kRecordPatience, out);
}

void Node::Parts::on(Admission::Propose& event) {
  const auto placed = groups.propose(now, kClusterGroup, std::move(event.payload), out);
  Result<LogIndex> index = fail(Code::kUnreachable, "this node does not lead group 0");
  if (placed) index = placed->second;
  admission.on_proposed(event.handle, index);
}

void Node::Parts::on(Admission::Answer& event) {
  router.reply(now, event.handle, std::move(event.result), out);
}

void Node::Parts::on(Admission::Joined& event) {
  output.join_answers.push_back({event.join, std::move(event.reply)});
}

void Node::Parts::on(const Admission::Ended& event) {
  auto waiting_for_it = record_answers.extract(event.request);
  if (waiting_for_it.empty()) return end_forgetting(event.request, event.result);
  if (event.result) {
    answer(event.request, std::move(waiting_for_it.mapped()));
  } else {
    answer(event.request, tl::unexpected(event.result.error()));
  }
}

}  // namespace dunlin
