#include "dht/ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"

namespace dunlin {
namespace {

std::vector<RingNode> some_nodes(std::size_t count, std::size_t zones = 1) {
  Random random(count);
  std::vector<RingNode> nodes(count);
  for (std::size_t i = 0; i < count; ++i) {
    random.fill(nodes[i].id.raw);
    nodes[i].zone = "zone" + std::to_string(i % zones);
    nodes[i].weight = 1;
  }
  return nodes;
}

std::map<NodeId, double> shares(const Ring& ring, std::size_t copies) {
  std::map<NodeId, double> share;
  Random random(7);
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    for (const NodeId& owner : ring.owners(random.next(), copies)) share[owner] += 1.0;
  }
  for (auto& [id, value] : share) value /= kDraws * static_cast<double>(copies);
  return share;
}

TEST(Ring, OwnersAreDistinctAndNeverFewerThanTheNodesAllow) {
  Random random(1);
  for (std::size_t count : {1U, 2U, 3U, 5U, 9U, 50U}) {
    for (std::size_t zones : {1U, 2U, 7U}) {
      const Ring ring(some_nodes(count, zones));
      for (std::size_t wanted = 0; wanted <= 12; ++wanted) {
        const std::vector<NodeId> owners = ring.owners(random.next(), wanted);
        EXPECT_EQ(owners.size(), std::min(wanted, count));
        EXPECT_EQ(std::set<NodeId>(owners.begin(), owners.end()).size(), owners.size());
      }
    }
  }
}

TEST(Ring, CoversEveryZoneBeforeUsingOneTwice) {
  std::vector<RingNode> nodes = some_nodes(12, 4);
  std::map<NodeId, std::string> zone;
  for (const RingNode& node : nodes) zone[node.id] = node.zone;
  const Ring ring(nodes);
  Random random(2);
  for (int i = 0; i < 1000; ++i) {
    std::set<std::string> zones;
    for (const NodeId& owner : ring.owners(random.next(), 4)) zones.insert(zone[owner]);
    EXPECT_EQ(zones.size(), 4U);
  }
}

TEST(Ring, DoesNotDependOnTheOrderOfTheNodes) {
  std::vector<RingNode> nodes = some_nodes(9, 3);
  const Ring first(nodes);
  std::reverse(nodes.begin(), nodes.end());
  const Ring second(nodes);
  Random random(3);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t position = random.next();
    EXPECT_EQ(first.owners(position, 3), second.owners(position, 3));
  }
}

TEST(Ring, IsBalancedWithinFifteenPercent) {
  for (std::size_t count : {3U, 5U, 9U, 50U}) {
    for (const auto& [id, share] : shares(Ring(some_nodes(count)), 3)) {
      const double fair = 1.0 / static_cast<double>(count);
      EXPECT_LT(std::abs(share - fair) / fair, 0.15) << count << " nodes";
    }
  }
}

TEST(Ring, SharesFollowWeights) {
  std::vector<RingNode> nodes = some_nodes(20);
  for (std::size_t i = 0; i < nodes.size(); ++i) nodes[i].weight = 1'000'000U * (1 + i % 4);
  double total = 0;
  for (const RingNode& node : nodes) total += static_cast<double>(node.weight);
  std::map<NodeId, double> share = shares(Ring(nodes), 1);
  for (const RingNode& node : nodes) {
    const double fair = static_cast<double>(node.weight) / total;
    EXPECT_LT(std::abs(share[node.id] - fair) / fair, 0.2);
  }
}

TEST(Ring, WeightZeroOwnsNothing) {
  std::vector<RingNode> nodes = some_nodes(4);
  nodes[2].weight = 0;
  const Ring ring(nodes);
  EXPECT_EQ(ring.size(), 3U);
  for (const NodeId& owner : ring.owners(5, 4)) EXPECT_NE(owner, nodes[2].id);
  EXPECT_TRUE(Ring().owners(5, 3).empty());
  EXPECT_TRUE(Ring().successors(5, 3).empty());
}

TEST(Ring, AJoinMovesOnlyWhatTheNewcomerTakes) {
  std::vector<RingNode> nodes = some_nodes(10);
  const Ring after(nodes);
  const NodeId newcomer = nodes.back().id;
  nodes.pop_back();
  const Ring before(nodes);
  Random random(4);
  int moved = 0;
  constexpr int kDraws = 20'000;
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t position = random.next();
    const NodeId old_owner = before.owners(position, 1)[0];
    const NodeId new_owner = after.owners(position, 1)[0];
    if (old_owner == new_owner) continue;
    EXPECT_EQ(new_owner, newcomer);
    ++moved;
  }
  EXPECT_NEAR(moved, kDraws / 10, kDraws / 50);
}

TEST(Ring, SuccessorsGrowWithoutChangingTheirBeginning) {
  const Ring ring(some_nodes(30, 3));
  const std::vector<NodeId> all = ring.successors(99, 30);
  EXPECT_EQ(std::set<NodeId>(all.begin(), all.end()).size(), 30U);
  for (std::size_t count = 0; count < 30; ++count) {
    const std::vector<NodeId> some = ring.successors(99, count);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
  }
}

}  // namespace
}  // namespace dunlin
