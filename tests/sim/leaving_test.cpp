// A host that leaves, in whole clusters: what it holds goes to those that are there.
#include "sim/patient_cluster.h"

namespace dunlin::sim {
namespace {

struct LeavingCluster : PatientCluster {
  LeavingCluster() : PatientCluster(7300) {}

  bool has_left(HostIndex host) { return world.host(host).phase() == SimHost::Phase::kDown; }
  // By the leader's own configuration, of all groups.
  std::size_t voters_missing() {
    std::size_t missing = 0;
    for (std::uint16_t g = 0; g < world.options().groups; ++g) {
      const auto leadership = world.latest_leader({g});
      missing += 3 - std::min<std::size_t>(3, leadership ? leadership->config.voters.size() : 0);
    }
    return missing;
  }
};

TEST_F(LeavingCluster, ADeadHostDoesNotHoldItUpWhereOthersCanTakeItsSeats) {
  ASSERT_TRUE(world.form(5));
  world.run_for(seconds(150));
  world.host(4).crash(Crash{});
  world.run_for(seconds(20));
  ASSERT_TRUE(
      world.call(0, client::Request(client::LeaveNode{world.host(3).id(), false}), seconds(60)));
  EXPECT_TRUE(world.run_until([&] { return has_left(3); }, seconds(5)));
  EXPECT_EQ(voters_missing(), 0U);
}

TEST_F(LeavingCluster, WhereNoneCanItWaitsAndSaysForWhom) {
  ASSERT_TRUE(world.form(4));
  world.run_for(seconds(150));
  world.host(3).crash(Crash{});
  world.run_for(seconds(20));
  EXPECT_FALSE(
      world.call(0, client::Request(client::LeaveNode{world.host(2).id(), false}), seconds(60)));
  EXPECT_FALSE(has_left(2));
  ASSERT_TRUE(world.call(0, client::Request(client::ForgetNode{world.host(3).id()})));
  EXPECT_TRUE(world.run_until([&] { return has_left(2); }, seconds(60)));
}

}  // namespace
}  // namespace dunlin::sim
