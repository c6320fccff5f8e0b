#include "dht/ring.h"

#include <algorithm>
#include <bit>
#include <map>

#include "base/assert.h"
#include "base/crypto.h"
#include "base/random.h"

namespace dunlin {

namespace {

// The k-th output of a generator seeded by the node.
std::uint64_t scrambled(std::uint64_t seed, std::uint64_t k) {
  return mix64(seed + (k + 1) * kGolden64);
}

// The weight that stands for kTokensPerNode tokens: the largest power of two up to the median.
std::uint64_t unit_of(const std::vector<RingNode>& nodes) {
  std::vector<std::uint64_t> weights;
  weights.reserve(nodes.size());
  for (const RingNode& node : nodes) weights.push_back(node.weight);
  const auto middle = weights.begin() + static_cast<std::ptrdiff_t>(weights.size() / 2);
  std::nth_element(weights.begin(), middle, weights.end());
  return std::bit_floor(*middle);
}

std::size_t token_count(std::uint64_t weight, std::uint64_t unit) {
  const double share = static_cast<double>(weight) / static_cast<double>(unit);
  const double wanted = std::min(share * static_cast<double>(Ring::kTokensPerNode),
                                 static_cast<double>(Ring::kMaxTokensPerNode));
  return std::max<std::size_t>(1, static_cast<std::size_t>(wanted));
}

}  // namespace

Ring::Ring(std::vector<RingNode> nodes) : nodes_(std::move(nodes)) {
  std::erase_if(nodes_, [](const RingNode& node) { return node.weight == 0; });
  std::sort(nodes_.begin(), nodes_.end(),
            [](const RingNode& a, const RingNode& b) { return a.id < b.id; });
  if (nodes_.empty()) return;

  std::map<std::string, std::uint32_t> zones;
  for (const RingNode& node : nodes_) {
    const auto next = static_cast<std::uint32_t>(zones.size());
    zone_of_.push_back(zones.try_emplace(node.zone, next).first->second);
  }
  zone_count_ = static_cast<std::uint32_t>(zones.size());

  const std::uint64_t unit = unit_of(nodes_);
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    ASSERT(i == 0 || nodes_[i - 1].id != nodes_[i].id);
    const std::uint64_t seed = position_of(nodes_[i].id);
    const std::size_t count = token_count(nodes_[i].weight, unit);
    for (std::size_t k = 0; k < count; ++k) tokens_.push_back({scrambled(seed, k), i});
  }
  std::sort(tokens_.begin(), tokens_.end());
}

std::uint64_t Ring::position_of(ByteView key) {
  return blake2b_64(key);
}

std::uint64_t Ring::position_of(const NodeId& node) {
  // An id is a hash already.
  return get_u64(node.raw.data()) ^ std::rotl(get_u64(node.raw.data() + 8), 32);
}

std::size_t Ring::first_token_at(std::uint64_t position) const {
  const auto at = std::lower_bound(tokens_.begin(), tokens_.end(), Token{position, 0});
  return at == tokens_.end() ? 0 : static_cast<std::size_t>(at - tokens_.begin());
}

std::vector<NodeId> Ring::owners(std::uint64_t position, std::size_t count) const {
  count = std::min(count, nodes_.size());
  std::vector<NodeId> chosen;
  if (count == 0) return chosen;
  std::vector<NodeId> passed_over;  // nodes of zones already chosen, in ring order
  std::vector<bool> seen(nodes_.size());
  std::vector<bool> zone_used(zone_count_);
  const std::size_t start = first_token_at(position);
  for (std::size_t step = 0; step < tokens_.size(); ++step) {
    if (chosen.size() == count) break;
    if (chosen.size() == zone_count_ && chosen.size() + passed_over.size() >= count) break;
    const std::uint32_t node = tokens_[(start + step) % tokens_.size()].node;
    if (seen[node]) continue;
    seen[node] = true;
    const bool is_new_zone = !zone_used[zone_of_[node]];
    zone_used[zone_of_[node]] = true;
    (is_new_zone ? chosen : passed_over).push_back(nodes_[node].id);
  }
  for (std::size_t i = 0; chosen.size() < count; ++i) chosen.push_back(passed_over.at(i));
  return chosen;
}

std::vector<NodeId> Ring::successors(std::uint64_t position, std::size_t count) const {
  count = std::min(count, nodes_.size());
  std::vector<NodeId> chosen;
  std::vector<bool> seen(nodes_.size());
  const std::size_t start = first_token_at(position);
  for (std::size_t step = 0; chosen.size() < count; ++step) {
    const std::uint32_t node = tokens_[(start + step) % tokens_.size()].node;
    if (seen[node]) continue;
    seen[node] = true;
    chosen.push_back(nodes_[node].id);
  }
  return chosen;
}

}  // namespace dunlin
