// What a restarted node must hear before it promises anything new (Q8): its disk may have lost,
// silently, what it promised in an earlier life, so it asks those it may have promised it to. One
// question per pair of nodes, for all groups. A replica that has forgotten too (its power failed at
// the same moment) answers that it knows of nothing: that counts, so that all nodes restarting
// together make progress. A node without that replica has nothing to remember: it does not count.
//
// A group may have replaced its voters while this node was away; those of its own configuration
// may be gone for good. So an answer also names what is committed and who votes there: where that
// lies beyond this replica's log, the answers are counted in that configuration, of a joint one in
// the incoming voters. What was committed before lies on a majority of them, and nobody is elected
// any more without one. An uncommitted configuration would prove neither, so none is told.
//
// A replica whose log ends with a joint configuration may never hear from the outgoing voters: they
// are gone once it was left, and who committed that forgets with a restart that it did. But what is
// gone says so. Where the joint configuration is known to be committed, an outgoing voter that is
// no more proves that the incoming voters alone decided, so that their answers suffice.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "dht/groups_events.h"
#include "dht/raft.h"
#include "dht/turn.h"

namespace dunlin {

class PromiseCheck {
 public:
  // `last_row`: the newest row the disk gave back.
  PromiseCheck(const NodeId& self, Boot boot, std::uint64_t last_row)
      : self_(self), boot_(boot), last_row_(last_row) {}

  Instant deadline() const { return ask_at_; }
  // Asks whoever has to be heard and has not answered, and who wants a replica here; nobody when
  // nothing is unverified.
  void ask(Turn& turn, const std::vector<const Raft*>& unverified);
  // Somebody can be reached (again): a round of questions that waits for its time comes at once.
  void peer_is_up(Instant now);
  // It takes a replica here that is not verified for one of its group's: it may know more of the
  // group, and is asked (again) with the next round.
  void is_wanted_by(Instant now, const NodeId& node);

  // Set when an answer shows that this node forgot something it promised, or that a later life of
  // it is known.
  std::optional<GroupsFatal> judge(Instant now, const NodeId& from, const PromiseReply& reply);
  // Enough have answered for this replica: a majority of the voters, itself counted if it votes;
  // never while none are known.
  bool is_settled(const Raft& raft) const;

  // What this node remembers of the asker's promises.
  static PromiseReply answer(const Peer& peer, Boot to_boot, std::vector<GroupPromise> groups);

 private:
  static constexpr Duration kFirstWait = milliseconds(500);
  // The furthest that anybody who answered knows a group to be committed.
  struct Committed {
    Term term = 0;
    LogIndex index = 0;
    GroupConfig config;
  };

  void learn(const NodeId& from, const GroupPromise& promise);
  // Those whose answers count for it.
  GroupConfig counted_in(const Raft& raft) const;
  bool has_answered(GroupId group, const Seat& seat) const;
  // The group's joint configuration was left: by one of its outgoing voters, that is no more.
  bool was_left(GroupId group, const GroupConfig& joint) const;

  const NodeId self_;
  const Boot boot_;
  const std::uint64_t last_row_;
  std::map<GroupId, std::map<NodeId, Generation>> answered_;  // by the last replica of each
  std::set<NodeId> callers_;                                  // to be asked with the next round
  std::map<GroupId, std::map<NodeId, Generation>> retired_;   // replicas that are no more
  std::map<GroupId, Committed> committed_;                    // as others told
  Instant ask_at_ = Instant::never();
  Duration wait_ = kFirstWait;
};

}  // namespace dunlin
