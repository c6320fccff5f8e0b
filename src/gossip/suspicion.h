// Open suspicions: since when, by whom, and when a verdict is due. Lifeguard's dogpile rule: a
// suspicion begins with a long timeout, and every further independent witness shortens it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "gossip/config.h"
#include "gossip/messages.h"

namespace dunlin::gossip {

// From `suspicion_max` without confirmations to `suspicion_min` with `possible` of them, by
// Lifeguard's logarithm: max - (max - min) * ln(confirmations + 1) / ln(possible + 1).
Duration suspicion_timeout(const GossipConfig& config, std::size_t confirmations,
                           std::size_t possible);

struct Suspicion {
  Instant since;
  std::vector<NodeId> accusers;          // different ones, at most kMaxAccusers
  Instant remind_at = Instant::never();  // the suspect is pinged once more
  Instant verdict_at = Instant::never();
};

class Suspicions {
 public:
  // Opens one, or adds accusers to it. True when that was news.
  bool accuse(Instant now, NodeId node, const std::vector<NodeId>& accusers);
  void close(NodeId node);
  const Suspicion* find(NodeId node) const;
  void schedule(NodeId node, Instant remind_at, Instant verdict_at);
  void postpone(Duration late);

  // Opened or confirmed since last asked: they want to be scheduled.
  std::vector<NodeId> take_changed();
  // Those with something due, the earliest first.
  std::vector<NodeId> due(Instant now) const;
  Instant next_deadline() const;
  std::size_t size() const { return suspicions_.size(); }

 private:
  static Instant deadline(const Suspicion& suspicion) {
    return std::min(suspicion.remind_at, suspicion.verdict_at);
  }

  std::map<NodeId, Suspicion> suspicions_;
  std::set<std::pair<Instant, NodeId>> deadlines_;
  std::set<NodeId> changed_;
};

}  // namespace dunlin::gossip
