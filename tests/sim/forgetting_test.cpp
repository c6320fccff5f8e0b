// A dead host that is forgotten, in whole clusters: others take its place at once, and it is never
// let in again under its id.
#include <algorithm>

#include "sim/patient_cluster.h"

namespace dunlin::sim {
namespace {

struct BereavedCluster : PatientCluster {
  BereavedCluster() : PatientCluster(7200) {}

  void SetUp() override {
    ASSERT_TRUE(world.form(4));
    world.run_for(seconds(30));
  }
  bool await_death_of(HostIndex dead, HostIndex seen_by) {
    return world.run_until([&] { return state_of(dead, seen_by) == MemberState::kDead; },
                           seconds(60));
  }
  std::optional<MemberState> state_of(HostIndex host, HostIndex seen_by) {
    const auto& members = world.host(seen_by).node()->gossip().members();
    const auto found = members.find(world.host(host).id());
    if (found == members.end()) return std::nullopt;
    return found->second.state;
  }
  Result<client::Answer> forget(HostIndex at, const NodeId& node) {
    return world.call(at, client::Request(client::ForgetNode{node}));
  }
  std::size_t seats_of(const NodeId& node) {
    std::size_t count = 0;
    for (std::uint16_t g = 0; g < world.options().groups; ++g) {
      const auto leadership = world.latest_leader({g});
      if (!leadership) continue;
      const auto seats = leadership->config.all_voters();
      count += std::any_of(seats.begin(), seats.end(),
                           [&](const Seat& seat) { return seat.node == node; })
                   ? 1
                   : 0;
    }
    return count;
  }
};

TEST_F(BereavedCluster, OthersTakeItsPlaceAtOnce) {
  const NodeId lost = world.host(3).id();
  ASSERT_GT(seats_of(lost), 0U);
  world.host(3).crash(Crash{});
  ASSERT_TRUE(await_death_of(3, 0));
  EXPECT_FALSE(world.run_until([&] { return seats_of(lost) == 0; }, seconds(60)));
  ASSERT_TRUE(forget(0, lost).has_value());
  EXPECT_EQ(state_of(3, 0), std::nullopt) << "whoever was answered knows it no more";
  EXPECT_TRUE(world.run_until([&] { return seats_of(lost) == 0; }, seconds(10)));
  // The last change of voters counts once it is committed.
  client::Status status;
  EXPECT_TRUE(world.run_until(
      [&] {
        const auto answer = world.call(1, client::Request(client::GetStatus{}));
        if (answer) status = std::get<client::Status>(*answer);
        return status.can_lose == 1;
      },
      seconds(5)));
  EXPECT_EQ(status.dead, 0U);
}

TEST_F(BereavedCluster, WhatItHeldIsCopiedAtOnce) {
  for (int i = 0; i < 20; ++i) {
    Bytes content(1000 + static_cast<std::size_t>(i), 'x');
    ASSERT_TRUE(world.call(0, client::Request(client::PutBlob{content})).has_value());
  }
  world.run_for(seconds(150));
  const NodeId lost = world.host(3).id();
  world.host(3).crash(Crash{});
  ASSERT_TRUE(await_death_of(3, 0));
  const auto lacking = [&] {
    const auto status = world.call(1, client::Request(client::GetStatus{}));
    return status ? std::get<client::Status>(*status).blocks_under_replicated : UINT64_MAX;
  };
  world.run_for(seconds(30));
  EXPECT_GT(lacking(), 0U);
  ASSERT_TRUE(forget(1, lost).has_value());
  EXPECT_TRUE(world.run_until([&] { return lacking() == 0; }, seconds(20)));
}

TEST_F(BereavedCluster, TheLivingAndTheMerelySilentAreNotForgotten) {
  const Result<client::Answer> living = forget(0, world.host(3).id());
  ASSERT_FALSE(living.has_value());
  EXPECT_EQ(living.error().code, Code::kRefused);
  EXPECT_NE(living.error().hint.find("dunlin leave"), std::string::npos);
  EXPECT_EQ(forget(0, NodeId{}).error().code, Code::kNotFound);
  world.host(3).pause();
  ASSERT_TRUE(
      world.run_until([&] { return state_of(3, 0) == MemberState::kSuspect; }, seconds(30)));
  const Result<client::Answer> silent = forget(0, world.host(3).id());
  world.host(3).proceed();
  ASSERT_FALSE(silent.has_value());
  EXPECT_EQ(silent.error().code, Code::kRefused);
  EXPECT_NE(silent.error().message.find("may live all the same"), std::string::npos)
      << silent.error().message;
  EXPECT_TRUE(world.run_until([&] { return state_of(3, 0) == MemberState::kAlive; }, seconds(30)));
}

TEST_F(BereavedCluster, AskedAgainItIsAsBefore) {
  const NodeId lost = world.host(3).id();
  world.host(3).crash(Crash{});
  ASSERT_TRUE(await_death_of(3, 0));
  ASSERT_TRUE(forget(0, lost).has_value());
  EXPECT_TRUE(forget(0, lost).has_value());
  EXPECT_TRUE(forget(1, lost).has_value());
}

TEST_F(BereavedCluster, WhoComesBackEndsAndMayJoinAnew) {
  const NodeId lost = world.host(3).id();
  world.host(3).crash(Crash{});
  ASSERT_TRUE(await_death_of(3, 2));
  ASSERT_TRUE(forget(2, lost).has_value());
  world.host(3).resume();
  ASSERT_TRUE(
      world.run_until([&] { return world.host(3).phase() == SimHost::Phase::kDown; }, seconds(60)));
  EXPECT_EQ(world.host(3).last_end(), SimHost::End::kFatal);
  EXPECT_NE(world.host(3).last_words().find("retired"), std::string::npos)
      << world.host(3).last_words();
  world.host(3).wipe();
  world.host(3).join(world.token());
  EXPECT_TRUE(world.run_until([&] { return world.see_each_other({0, 1, 2, 3}); }, seconds(60)));
  EXPECT_NE(world.host(3).id(), lost);
}

TEST_F(BereavedCluster, WithoutAQuorumOfTheRecordItIsSaidWhoIsMissing) {
  // One that is forgotten is dead, and so are two more: of group 0's voters too few are left.
  const NodeId lost = world.host(3).id();
  for (const HostIndex i : {1, 2, 3}) world.host(static_cast<HostIndex>(i)).crash(Crash{});
  ASSERT_TRUE(await_death_of(3, 0));
  const Instant asked = world.queue().now();
  const Result<client::Answer> answer = forget(0, lost);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kTimeout);
  EXPECT_NE(answer.error().message.find("missing"), std::string::npos) << answer.error().message;
  EXPECT_LE(world.queue().now(), asked + milliseconds(5500));
}

}  // namespace
}  // namespace dunlin::sim
