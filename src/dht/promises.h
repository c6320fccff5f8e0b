// What a restarted node must hear before it promises anything new (Q8): its disk may have lost,
// silently, what it promised in an earlier life, so it asks those it may have promised it to. One
// question per pair of nodes, for all groups. A peer that has forgotten too (its power failed at
// the same moment) answers that it knows of nothing: that counts, so that all nodes restarting
// together make progress.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dht/raft.h"
#include "dht/turn.h"

namespace dunlin {

class PromiseCheck {
 public:
  // `last_row`: the newest row the disk gave back.
  PromiseCheck(const NodeId& self, Boot boot, std::uint64_t last_row)
      : self_(self), boot_(boot), last_row_(last_row) {}

  Instant deadline() const { return ask_at_; }
  // Asks whoever has to be heard and has not answered; none of it when nothing is unverified.
  void ask(Turn& turn, const std::vector<const Raft*>& unverified);
  // Its answer would be news at once.
  void peer_is_up(Instant now, const NodeId& node);

  // Line for a person when an answer shows that this node forgot something it promised.
  std::optional<std::string> judge(const NodeId& from, const PromiseReply& reply);
  // Enough have answered for this replica: a majority of its voters, itself counted.
  bool is_settled(const Raft& raft) const;

  // What this node remembers of the asker's promises.
  static PromiseReply answer(const Peer& peer, Boot to_boot, std::vector<GroupPromise> groups);

 private:
  const NodeId self_;
  const Boot boot_;
  const std::uint64_t last_row_;
  std::set<NodeId> answered_;
  Instant ask_at_ = Instant::never();
  Duration wait_ = milliseconds(500);
};

}  // namespace dunlin
