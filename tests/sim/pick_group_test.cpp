// In which group a job is to begin its life, while hosts are lost: one that has a quorum.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "sim/sim_world.h"

namespace dunlin::sim {
namespace {

struct HalvedCluster : testing::Test {
  static constexpr std::size_t kHosts = 5;
  static WorldOptions options() {
    WorldOptions options;
    options.seed = 7300;
    options.groups = 16;
    // Nobody is replaced in the time of a test.
    options.node.groups.replace_after = seconds(3600);
    return options;
  }
  SimWorld world{options()};
  std::array<std::optional<GroupConfig>, 16> configs;

  void SetUp() override {
    ASSERT_TRUE(world.form(kHosts));
    world.run_for(seconds(90));
    for (std::uint16_t g = 0; g < configs.size(); ++g) {
      const auto leadership = world.latest_leader({g});
      ASSERT_TRUE(leadership.has_value());
      configs[g] = leadership->config;
    }
  }
  void TearDown() override {
    for (const std::string& line : world.verdict().lines()) ADD_FAILURE() << line;
  }
  bool has_quorum(std::uint16_t group) {
    return configs[group]->has_quorum(
        [&](const Seat& seat) { return world.host_of(seat.node).has_value(); });
  }
  // The asker takes for alive who it believes leads the group, though that has no quorum.
  bool is_led_by_hearsay(HostIndex asker, std::uint16_t group) {
    const std::optional<NodeId> leader = world.host(asker).node()->groups().leader({group});
    return leader && state_of(asker, *leader) == MemberState::kAlive && !has_quorum(group);
  }
  MemberState state_of(HostIndex asker, const NodeId& node) {
    return world.host(asker).node()->gossip().members().at(node).state;
  }
};

TEST_F(HalvedCluster, NoGroupWithoutAQuorumIsPickedWhileAnotherHasOne) {
  constexpr HostIndex kAsker = 0;
  const std::array<HostIndex, 2> lost{3, 4};
  for (const HostIndex i : lost) world.host(i).crash(Crash{});
  ASSERT_TRUE(world.run_until(
      [&] {
        return std::ranges::all_of(lost, [&](HostIndex i) {
          return state_of(kAsker, world.host(i).id()) != MemberState::kAlive;
        });
      },
      seconds(30)));
  std::size_t tempting = 0, whole = 0;
  for (std::uint16_t g = 0; g < configs.size(); ++g) {
    tempting += is_led_by_hearsay(kAsker, g) ? 1 : 0;
    whole += has_quorum(g) ? 1 : 0;
  }
  ASSERT_GT(tempting, 0U) << "else nothing could be picked wrongly";
  ASSERT_GT(whole, 0U);
  for (int i = 0; i < 300; ++i) {
    const auto answer = world.call(kAsker, client::Request(client::PickGroup{}));
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    const GroupId group = std::get<client::PickedGroup>(*answer).group;
    ASSERT_TRUE(has_quorum(group.value)) << "group " << group.value;
  }
}

}  // namespace
}  // namespace dunlin::sim
