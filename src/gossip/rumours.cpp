#include "gossip/rumours.h"

#include "base/assert.h"

namespace dunlin::gossip {

RumourKey rumour_key(const Update& update) {
  struct Subject {
    NodeId operator()(const Status& status) const { return status.node; }
    NodeId operator()(const Introduction& introduction) const { return introduction.card.facts.id; }
    NodeId operator()(const LoadReport& report) const { return report.node; }
    NodeId operator()(const Route& route) const {
      NodeId id;
      id.raw[0] = static_cast<std::uint8_t>(route.group.value >> 8);
      id.raw[1] = static_cast<std::uint8_t>(route.group.value & 0xff);
      return id;
    }
  };
  return {update.index(), std::visit(Subject{}, update)};
}

void RumourQueue::put(const Update& update, std::uint32_t times) {
  ASSERT(times > 0);
  const RumourKey key = rumour_key(update);
  drop(key);
  if (rumours_.size() >= kMaxRumours) drop(std::get<RumourKey>(*ranks_.rbegin()));
  Rumour rumour{encode_update(update), times, 0, next_age_--};
  ranks_.insert(rank(key, rumour));
  rumours_.emplace(key, std::move(rumour));
}

void RumourQueue::drop(const RumourKey& key) {
  const auto found = rumours_.find(key);
  if (found == rumours_.end()) return;
  ranks_.erase(rank(key, found->second));
  rumours_.erase(found);
}

std::vector<Bytes> RumourQueue::take(std::size_t budget, std::size_t count) {
  // How many rumours that do not fit are passed over in search of one that does.
  constexpr std::size_t kMaxPassedOver = 32;
  std::vector<Bytes> taken;
  std::vector<RumourKey> keys;
  std::size_t passed_over = 0;
  for (const Rank& rank : ranks_) {
    if (taken.size() >= count || passed_over >= kMaxPassedOver) break;
    const RumourKey& key = std::get<RumourKey>(rank);
    const Bytes& update = rumours_.at(key).update;
    if (framed_size(update) > budget) {
      ++passed_over;
      continue;
    }
    budget -= framed_size(update);
    taken.push_back(update);
    keys.push_back(key);
  }
  for (const RumourKey& key : keys) {
    Rumour& rumour = rumours_.at(key);
    ranks_.erase(rank(key, rumour));
    if (++rumour.told >= rumour.times) {
      rumours_.erase(key);
    } else {
      ranks_.insert(rank(key, rumour));
    }
  }
  return taken;
}

}  // namespace dunlin::gossip
