// `dunlin nodes`: every present node is asked for its load as it is now, since what gossip tells is
// coarse and as old as the last change of class. Answered when all have said theirs, or after a
// moment without those that stay silent.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/ids.h"
#include "base/time.h"
#include "gossip/gossip.h"
#include "node/client.h"
#include "node/messages.h"

namespace dunlin {

constexpr std::size_t kMaxLoadSurveys = 32;  // asked for by clients here
constexpr Duration kLoadPatience = milliseconds(700);

class LoadSurveys {
 public:
  struct Ended {
    client::RequestId request = 0;
    std::map<NodeId, std::pair<Instant, LoadShare>> loads;  // with when it came
  };

  explicit LoadSurveys(NodeId self) : self_(self) {}

  // For a client here. False when too many are under way.
  bool begin(Instant now, client::RequestId request, const std::map<NodeId, Member>& members,
             Effects& out);
  void on_share(Instant now, NodeId from, const LoadShare& share);

  void tick(Instant now);
  Instant next_deadline() const;
  std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

 private:
  struct Query {
    Instant deadline;
    std::set<NodeId> silent;
    Ended answer;
  };
  void finish(std::map<std::uint64_t, Query>::iterator query);

  NodeId self_;
  std::uint64_t next_query_ = 1;
  std::map<std::uint64_t, Query> queries_;
  std::vector<Ended> ended_;
};

}  // namespace dunlin
