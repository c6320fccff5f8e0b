#include "gossip/suspicion.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace dunlin::gossip {

Duration suspicion_timeout(const GossipConfig& config, std::size_t confirmations,
                           std::size_t possible) {
  if (possible == 0) return config.suspicion_min;
  const double share = std::log(static_cast<double>(confirmations) + 1.0) /
                       std::log(static_cast<double>(possible) + 1.0);
  const double range = static_cast<double>((config.suspicion_max - config.suspicion_min).us);
  const Duration timeout{config.suspicion_max.us - static_cast<std::int64_t>(range * share)};
  return std::max(timeout, config.suspicion_min);
}

bool Suspicions::accuse(Instant now, NodeId node, const std::vector<NodeId>& accusers) {
  const auto [place, is_new] = suspicions_.try_emplace(node);
  Suspicion& suspicion = place->second;
  if (is_new) {
    suspicion.since = now;
    deadlines_.insert({deadline(suspicion), node});
  }
  bool is_news = is_new;
  for (const NodeId accuser : accusers) {
    if (suspicion.accusers.size() >= kMaxAccusers) break;
    if (std::ranges::find(suspicion.accusers, accuser) != suspicion.accusers.end()) continue;
    suspicion.accusers.push_back(accuser);
    is_news = true;
  }
  if (is_news) changed_.insert(node);
  return is_news;
}

void Suspicions::close(NodeId node) {
  const auto found = suspicions_.find(node);
  if (found == suspicions_.end()) return;
  deadlines_.erase({deadline(found->second), node});
  suspicions_.erase(found);
  changed_.erase(node);
}

const Suspicion* Suspicions::find(NodeId node) const {
  const auto found = suspicions_.find(node);
  return found == suspicions_.end() ? nullptr : &found->second;
}

void Suspicions::schedule(NodeId node, Instant remind_at, Instant verdict_at) {
  const auto found = suspicions_.find(node);
  ASSERT(found != suspicions_.end());
  deadlines_.erase({deadline(found->second), node});
  found->second.remind_at = remind_at;
  found->second.verdict_at = verdict_at;
  deadlines_.insert({deadline(found->second), node});
}

void Suspicions::postpone(Duration late) {
  deadlines_.clear();
  for (auto& [node, suspicion] : suspicions_) {
    suspicion.remind_at = suspicion.remind_at + late;
    suspicion.verdict_at = suspicion.verdict_at + late;
    deadlines_.insert({deadline(suspicion), node});
  }
}

std::vector<NodeId> Suspicions::take_changed() {
  std::vector<NodeId> changed(changed_.begin(), changed_.end());
  changed_.clear();
  return changed;
}

std::vector<NodeId> Suspicions::due(Instant now) const {
  std::vector<NodeId> due;
  for (const auto& [at, node] : deadlines_) {
    if (at > now) break;
    due.push_back(node);
  }
  return due;
}

Instant Suspicions::next_deadline() const {
  return deadlines_.empty() ? Instant::never() : deadlines_.begin()->first;
}

}  // namespace dunlin::gossip
