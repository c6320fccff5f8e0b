// What this node knows of each other node it has to do with, shared by all its replicas: the
// highest life seen, what pairwise liveness says, and what must be remembered of its promises.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace dunlin {

struct Peer {
  Boot boot = 0;  // the highest seen; 0: none
  bool suspected = false;
  Instant up_since{0};                // suspicion or a new boot starts it anew
  std::uint64_t row = 0;              // the newest durable row it claimed, in any life
  std::uint64_t old_row = 0;          // the same, in lives before `boot`
  std::optional<std::uint64_t> view;  // the hash of its placement view, when last heard
};

class Peers {
 public:
  // Never forgets a node: what it promised may be asked for after any time. Bounded by those that
  // the cluster admitted.
  Peer& of(const NodeId& node) { return peers_[node]; }

  bool is_suspected(const NodeId& node) const {
    const auto found = peers_.find(node);
    return found != peers_.end() && found->second.suspected;
  }
  Boot boot(const NodeId& node) const {
    const auto found = peers_.find(node);
    return found == peers_.end() ? 0 : found->second.boot;
  }
  const Peer* find(const NodeId& node) const {
    const auto found = peers_.find(node);
    return found == peers_.end() ? nullptr : &found->second;
  }

  std::vector<NodeId> suspected() const {
    std::vector<NodeId> found;
    for (const auto& [node, peer] : peers_) {
      if (peer.suspected) found.push_back(node);
    }
    return found;
  }

  // A claim of a durable row; false when it comes from a life that is over.
  bool heard(const NodeId& node, Boot boot, std::uint64_t row, Instant now) {
    Peer& peer = peers_[node];
    if (boot < peer.boot) return false;
    if (boot > peer.boot) {
      peer.boot = boot;
      peer.old_row = peer.row;
      peer.up_since = now;
    }
    peer.row = row > peer.row ? row : peer.row;
    return true;
  }

 private:
  std::map<NodeId, Peer> peers_;
};

}  // namespace dunlin
