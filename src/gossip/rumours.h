// What is still to be told. Each rumour is sent a limited number of times, the least told first and
// the newest among those (SWIM 4.1), so that news overtake what most have heard already.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "gossip/messages.h"

namespace dunlin::gossip {

constexpr std::size_t kMaxRumours = 4096;

// The subject of a rumour: a later update of the same kind about the same thing replaces it.
using RumourKey = std::pair<std::size_t, NodeId>;
RumourKey rumour_key(const Update& update);

class RumourQueue {
 public:
  // Takes the place of an older rumour with that subject, and is told anew, `times` times at most.
  // Over kMaxRumours the most told one is dropped.
  void put(const Update& update, std::uint32_t times);
  void drop(const RumourKey& key);

  // The next news for one receiver: at most `budget` framed bytes and `count` updates. Counts them
  // as told once more.
  std::vector<Bytes> take(std::size_t budget, std::size_t count);

  bool is_empty() const { return rumours_.empty(); }
  std::size_t size() const { return rumours_.size(); }

 private:
  struct Rumour {
    Bytes update;
    std::uint32_t times = 0;
    std::uint32_t told = 0;
    std::uint64_t age = 0;  // falls with each rumour put, so that newer ones sort first
  };
  using Rank = std::tuple<std::uint32_t, std::uint64_t, RumourKey>;

  static Rank rank(const RumourKey& key, const Rumour& rumour) {
    return {rumour.told, rumour.age, key};
  }

  std::map<RumourKey, Rumour> rumours_;
  std::set<Rank> ranks_;
  std::uint64_t next_age_ = ~std::uint64_t{0};
};

}  // namespace dunlin::gossip
