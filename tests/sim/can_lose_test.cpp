// What `status` says about the hosts that may be lost is believed at once: the host that knows
// most, the founder of a cluster that is still growing together, dies the moment that it may.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/sim_world.h"

namespace dunlin::sim {
namespace {

constexpr std::uint64_t kSeeds = 24;

WorldOptions young_cluster(std::uint64_t seed) {
  WorldOptions options;
  options.seed = 7400 + seed;
  options.groups = 32;
  return options;
}

Weather rough(std::uint64_t seed) {
  Weather weather;
  weather.loss = 0.02 * static_cast<double>(seed % 5);
  weather.delays = 0.1 * static_cast<double>(seed % 7);
  weather.longest = milliseconds(600);
  return weather;
}

std::uint32_t can_lose(SimWorld& world, HostIndex asked) {
  const auto answer = world.call(asked, client::Request(client::GetStatus{}), seconds(5));
  return answer ? std::get<client::Status>(*answer).can_lose : 0;
}

std::vector<std::uint16_t> groups_without_leader(const SimWorld& world) {
  std::vector<std::uint16_t> groups;
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    if (!world.latest_leader({g})) groups.push_back(g);
  }
  return groups;
}

TEST(CanLose, TheFounderDiesTheMomentThatItMay) {
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    SimWorld world(young_cluster(seed));
    const std::size_t hosts = 3 + seed % 3;
    ASSERT_TRUE(world.form(hosts));
    if (seed % 2 == 1) world.network().set_weather(rough(seed));
    const auto asked = static_cast<HostIndex>(1 + seed % (hosts - 1));
    ASSERT_TRUE(world.run_until([&] { return can_lose(world, asked) >= 1; }, seconds(60)))
        << "seed " << seed;
    world.host(0).crash(Crash{});
    world.network().set_weather({});
    EXPECT_TRUE(world.run_until([&] { return groups_without_leader(world).empty(); }, seconds(30)))
        << "seed " << seed << ": " << groups_without_leader(world).size() << " groups have none";
    EXPECT_TRUE(world.verdict().is_clean()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace dunlin::sim
