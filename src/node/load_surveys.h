// `dunlin nodes`: every present node is asked for its load as it is now, since what gossip tells is
// coarse and as old as the last change of class. Answered when all have said theirs, or after a
// moment without those that stay silent.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/ids.h"
#include "base/time.h"
#include "gossip/gossip.h"
#include "node/client.h"
#include "node/inquiries.h"
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
  Instant next_deadline() const { return inquiries_.next_deadline(); }
  std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

 private:
  using Told = std::pair<Instant, LoadShare>;

  void finish(Inquiry<Told> inquiry);

  NodeId self_;
  Inquiries<Told> inquiries_{kMaxLoadSurveys, kLoadPatience};
  std::vector<Ended> ended_;
};

}  // namespace dunlin
