// The inside of Groups: the replicas of this node, who waits for what, and what leaves at the end
// of a turn.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "dht/groups.h"
#include "dht/mover.h"
#include "dht/promises.h"
#include "dht/raft.h"

namespace dunlin {

struct Groups::Parts {
  static constexpr std::size_t kMaxCampaigns = 32;  // replicas standing for election at once
  static constexpr std::size_t kMaxSnapshotsSent = 4;
  static constexpr std::size_t kMaxSnapshotsTaken = 8;
  static constexpr std::size_t kMaxRewrite = 4 * 1024 * 1024;   // bytes, per compact()
  static constexpr std::size_t kMaxEnvelope = 2 * 1024 * 1024;  // then another frame is begun

  Parts(NodeId self, Boot boot, GroupsConfig config, Random random);

  // One call from outside: a turn is begun, and its messages leave at its end.
  Turn begin(Instant now, Effects& out);
  void end(Turn& turn);
  void flush(Turn& turn);
  void refresh_peers();
  void forget_gone();
  void note_snapshots(Turn& turn) const;
  void drop_stalled_snapshot(Turn& turn);

  Raft* find(GroupId group) const;
  // After anything was done to a replica: notes deadlines, disk, campaigns, removal, its config.
  void settle(Turn& turn, GroupId group);
  void retire(Turn& turn, GroupId group);
  void note_retired(Turn& turn, GroupId group, Generation generation);
  void start_campaigns(Turn& turn);
  void each(Turn& turn, const std::function<void(Raft&)>& action);

  // groups_recovery.cpp
  void found(Turn& turn);
  void recover(Turn& turn, GroupsRecovery recovery);
  bool recover_record(std::uint64_t row, const Bytes& record);
  void verify_settled(Turn& turn);
  std::vector<const Raft*> unverified() const;
  void compact(Turn& turn, const std::map<GroupId, AppliedState>& checkpointed);

  // groups_frames.cpp
  void receive(Turn& turn, const NodeId& from, ByteView frame);
  void deliver(Turn& turn, const NodeId& from, GroupMessage message);
  Raft* replica_for(Turn& turn, const NodeId& from, GroupMessage& message);
  void say_gone(Turn& turn, const NodeId& to, const GroupMessage& message);
  void accept(Turn& turn, const NodeId& from, Boot boot, const PromiseQuery& note);
  void accept(Turn& turn, const NodeId& from, Boot boot, const PromiseReply& note);
  void accept(Turn& turn, const NodeId& from, Boot boot, const ViewAsk& note);
  void accept(Turn& turn, const NodeId& from, Boot boot, const ViewReply& note);
  void accept(Turn& turn, const NodeId& from, Boot boot, const Leaving& note);
  PromiseReply promises_of(const NodeId& node, Boot boot) const;

  void hear(Turn& turn, const NodeId& node, Boot boot, std::uint64_t row);
  void suspect(Turn& turn, const NodeId& node);
  void recovered(Turn& turn, const NodeId& node);
  void tick(Turn& turn);
  void say_leaving(Turn& turn);
  void look_for_leaders(Turn& turn);
  // For the router: a node that does not lead, or does not answer; the term of leader(group).
  void doubt(Instant now, GroupId group, const NodeId& node, Effects& out);
  Term route_term(GroupId group) const;
  void fail(GroupsFatal why);
  Instant next_deadline() const;

  const NodeId self;
  const Boot boot;
  const GroupsConfig config;
  Random random;

  Peers peers;
  std::vector<std::unique_ptr<Raft>> replicas;  // by group
  std::vector<Generation> retired;              // by group: the last generation that is no more
  std::size_t replica_count = 0;

  std::set<std::pair<Instant, GroupId>> due;
  std::vector<Instant> due_at;                         // by group
  std::map<std::uint64_t, std::set<GroupId>> waiting;  // for a row to be durable
  std::uint64_t durable_row = 0;
  bool storage_stalled = false;

  std::vector<bool> unfinished;                         // by group
  std::set<std::pair<bool, GroupId>> campaigns_wanted;  // those with unfinished work first
  std::set<GroupId> campaigning;
  std::set<GroupId> led;
  std::set<GroupId> sending_snapshot;
  std::set<GroupId> taking_snapshot;
  std::set<GroupId> strays;               // a later leader was heard of, but not from
  Instant strays_at{0};                   // when to ask for it (again)
  std::vector<std::uint64_t> seen_peers;  // by group, the version at the last settle()
  std::vector<NodeId> seen_leader;        // likewise
  std::set<NodeId> peer_set;
  bool peers_stale = false;

  Mover mover;
  std::optional<PromiseCheck> check;
  Instant leaving_at = Instant::never();

  struct Route {
    Term term = 0;
    NodeId leader;
    Boot boot = 0;
  };
  std::vector<Route> routes;        // by group, as others told
  std::uint64_t route_version = 0;  // rises when anything that routing rests on changes

  std::vector<GroupsEvent> events;
  bool failed = false;
};

}  // namespace dunlin
