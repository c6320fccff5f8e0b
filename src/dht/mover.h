// Moves the groups that this node leads toward their placement: a newcomer learns, catches up,
// becomes a voter by a joint change, and whom it replaces is dropped. One step at a time, each
// decided anew from the group's configuration, so that a new leader simply goes on.
//
// When it may move: the view has stood still for a while, and a majority of the group's voters,
// asked by ViewAsk, holds the same view (its hash). That only avoids useless moves; safety is the
// joint change's. A group with too few voters, or one on a host that is leaving or long dead, moves
// at once, another once in a while. Unfinished changes are finished without asking
// anybody.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "dht/groups_config.h"
#include "dht/placement.h"
#include "dht/raft.h"
#include "dht/turn.h"

namespace dunlin {

class Mover {
 public:
  static constexpr std::size_t kMaxMoves = 32;  // of groups led here, at once

  Mover(NodeId self, const GroupsConfig& config);

  void set_members(Instant now, std::vector<GroupMember> members);
  // This node, or a peer by its own word, wants to hand over its seats.
  void set_leaving(Instant now, const NodeId& node, bool leaving);
  bool is_leaving() const { return leaving_.contains(self_); }

  // Something changed in a group led here.
  void wake(Instant now) { pass_at_ = std::min(pass_at_, now); }
  // A group is led from now on: for its peace that counts as a move.
  void gained(Instant now, GroupId group);
  Instant deadline() const { return std::min(pass_at_, view_at_); }

  // `with(group, step)` calls step(replica) where this node has one.
  using Visit = std::function<void(GroupId, const std::function<void(Raft&)>&)>;
  void tick(Turn& turn, const std::set<GroupId>& led, const Visit& visit);

  std::uint64_t view_hash() const { return placement_.hash(); }
  const std::vector<GroupMember>& members() const { return members_; }
  const Placement& placement() const { return placement_; }
  // Known, and not gone for good.
  bool is_member(const NodeId& node) const;
  // Nobody waits for them.
  const std::set<NodeId>& gone() const { return gone_; }

 private:
  struct Pass;

  void refresh_view(Instant now);
  void note_strangers(Instant now, const std::set<NodeId>& seated);
  void step(Turn& turn, Pass& pass, Raft& raft);
  void approach(Turn& turn, Pass& pass, Raft& raft, const PlacementTarget& target);
  bool may_move(Turn& turn, Pass& pass, const Raft& raft, bool at_once);
  void promote_learners(Turn& turn, Pass& pass, Raft& raft, const PlacementTarget& target);
  void finish_joint(Turn& turn, Raft& raft) const;
  void settle_leader(Turn& turn, Pass& pass, Raft& raft, const PlacementTarget& target);
  bool is_urgent(const GroupConfig& config, const PlacementTarget& target) const;
  bool is_agreed(const Turn& turn, const GroupConfig& config) const;
  void ask_views(Turn& turn, const GroupConfig& config);
  bool has_been_up(const Turn& turn, const NodeId& node, Duration time) const;
  PlacementHost::State state_of_dead(Instant now, Instant since);
  void seek_learners(Turn& turn, Pass& pass, Raft& raft, const std::set<NodeId>& wanted);
  static void learn(Turn& turn, Raft& raft, const std::set<NodeId>& learners);
  static void join(Turn& turn, Raft& raft, const PlacementTarget& target);

  const NodeId self_;
  const GroupsConfig& config_;
  std::vector<GroupMember> members_;
  std::map<NodeId, Instant> state_since_;  // when the member's state began, as seen here
  std::map<NodeId, Instant> strangers_;    // seated, but no member: since when
  std::set<NodeId> gone_;  // for good, or strangers for as long as replaces the dead
  std::set<NodeId> leaving_;
  std::vector<PlacementHost> hosts_;  // what placement_ was made of
  Placement placement_;
  Instant stable_since_ = Instant::never();  // the view has been what it is
  Instant view_at_ = Instant::never();       // a death grows old enough to count
  Instant pass_at_ = Instant::never();
  std::map<GroupId, Instant> moved_at_;
  std::map<NodeId, Instant> asked_at_;
};

}  // namespace dunlin
