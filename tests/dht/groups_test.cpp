#include "dht/groups.h"

#include <gtest/gtest.h>

#include "dht/raft_cluster.h"

namespace dunlin {
namespace {

constexpr GroupId kGroup{0};

TEST(Groups, AFounderAloneCommitsAtOnce) {
  Cluster cluster({.nodes = 1});
  cluster.found(0);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.leader_of(kGroup).has_value(); }, seconds(1)));
  EXPECT_TRUE(cluster.propose(kGroup));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.acknowledged() == 1; }, seconds(1)));
  EXPECT_EQ(cluster.violation(), "");
}

TEST(Groups, ThreeHostsGiveEveryGroupThreeVoters) {
  Cluster cluster({.nodes = 3, .trace = true});
  cluster.found(0);
  cluster.start(1);
  cluster.start(2);
  const bool grown = cluster.run_until(
      [&] {
        for (std::uint16_t g = 0; g < 3; ++g) {
          const auto leader = cluster.leader_of(GroupId{g});
          if (!leader) return false;
          const auto config = cluster.groups(*leader).config(GroupId{g});
          if (config->voters.size() != 3 || config->is_joint()) return false;
        }
        return true;
      },
      seconds(5));
  EXPECT_TRUE(grown) << cluster.trace();
  EXPECT_EQ(cluster.violation(), "") << cluster.trace();
}

}  // namespace
}  // namespace dunlin
