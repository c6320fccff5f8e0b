// One replica without a cluster, for tests of what it makes of single messages: nodes 1 (itself) to
// 4, and whatever it wants to say in `turn`.
#pragma once

#include <memory>
#include <vector>

#include "dht/raft.h"

namespace dunlin {

struct LoneRaft {
  NodeId self = named(1);
  GroupsConfig config;
  Peers peers;
  Random random{1};
  Effects out;
  std::vector<GroupsEvent> events;
  Turn turn{Instant{1'000'000}, config, peers, random, out, events, 1};
  std::unique_ptr<Raft> raft = std::make_unique<Raft>(GroupId{0}, self, Generation{1}, turn);

  static NodeId named(std::uint8_t n) {
    NodeId id;
    id.raw[0] = n;
    return id;
  }
};

}  // namespace dunlin
