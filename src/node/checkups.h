// `dunlin doctor` for the whole cluster: every present node is asked to look at itself and at the
// ways to its peers; what they say is put together when all have answered, or after a while without
// those that stay silent.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/effects.h"
#include "base/ids.h"
#include "base/time.h"
#include "gossip/gossip.h"
#include "node/client.h"
#include "node/inquiries.h"
#include "node/messages.h"
#include "node/reach.h"

namespace dunlin {

constexpr std::size_t kMaxCheckups = 8;  // asked for by clients here
constexpr Duration kCheckupPatience = kReachPatience + milliseconds(1500);

class Checkups {
 public:
  struct Ended {
    client::RequestId request = 0;
    client::Checkup checkup;
  };

  explicit Checkups(NodeId self) : self_(self) {}

  // For a client here. False when too many are under way.
  bool begin(Instant now, client::RequestId request, const std::map<NodeId, Member>& members,
             Effects& out);
  void on_share(NodeId from, const CheckupShare& share, const std::map<NodeId, Member>& members);

  // Asked by another node, or by this one: `round` of Reach finds out the ways; 0: nobody does.
  void on_query(NodeId from, std::uint64_t query, std::uint64_t round);
  // Whoever is to hear of that round's end.
  struct Asker {
    NodeId node;
    std::uint64_t query = 0;
  };
  std::vector<Asker> take_askers(std::uint64_t round);

  void tick(Instant now, const std::map<NodeId, Member>& members);
  Instant next_deadline() const { return inquiries_.next_deadline(); }
  std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

 private:
  void finish(Inquiry<CheckupShare> inquiry, const std::map<NodeId, Member>& members);

  NodeId self_;
  Inquiries<CheckupShare> inquiries_{kMaxCheckups, kCheckupPatience};
  std::multimap<std::uint64_t, Asker> askers_;  // by round
  std::vector<Ended> ended_;
};

// The peers to try the ways to: those that follow in the order of ids, so that every node is tried
// by as many as it tries.
std::vector<NodeId> peers_to_reach(NodeId self, const std::map<NodeId, Member>& members,
                                   std::size_t most);

}  // namespace dunlin
