// A node that is told to drain, in whole clusters: it takes no task, and what it has goes on.
#include <gtest/gtest.h>

#include "sim/sim_jobs.h"

namespace dunlin::sim {
namespace {

constexpr std::uint32_t kCpus = 4;

struct DrainedCluster : testing::Test {
  static WorldOptions options() {
    WorldOptions options;
    options.seed = 7100;
    options.cpus = kCpus;
    return options;
  }
  SimWorld world{options()};

  void SetUp() override {
    ASSERT_TRUE(world.form(3));
    world.run_for(seconds(20));
  }
  void TearDown() override {
    for (const std::string& line : world.verdict().lines()) ADD_FAILURE() << line;
  }

  JobId run_array(HostIndex at, std::uint32_t tasks, const std::string& time) {
    const Result<JobId> id = submit(world, at, array_of({"simulate", time}, tasks));
    EXPECT_TRUE(id.has_value()) << id.error().message;
    return id.value_or(JobId{});
  }
  JobSummary end_of(HostIndex at, const JobId& id) { return sim::end_of(world, at, id); }
  Result<client::Answer> drain(HostIndex at, HostIndex node, Duration deadline = {},
                               bool wait = false) {
    return world.call(at, client::Request(client::DrainNode{world.host(node).id(), deadline, wait}),
                      seconds(300));
  }
  Result<client::Answer> undrain(HostIndex at, HostIndex node) {
    return world.call(at, client::Request(client::UndrainNode{world.host(node).id()}));
  }
  bool is_seen_draining(HostIndex at, HostIndex node) {
    const auto& members = world.host(at).node()->gossip().members();
    const auto found = members.find(world.host(node).id());
    return found != members.end() && found->second.load.draining;
  }
  std::size_t running(HostIndex node) { return world.host(node).runner().running(); }
  bool fill_all_with(std::uint32_t tasks) {
    return world.run_until([&] { return running(0) + running(1) + running(2) == tasks; },
                           seconds(20));
  }
};

TEST_F(DrainedCluster, WhatRunsGoesOnAndNothingNewBegins) {
  const JobId before = run_array(0, 3 * kCpus, "8000ms");
  ASSERT_TRUE(fill_all_with(3 * kCpus));
  ASSERT_TRUE(drain(0, 2).has_value());
  EXPECT_TRUE(is_seen_draining(0, 2)) << "whoever was answered sees it";
  EXPECT_EQ(running(2), kCpus);
  const JobId after = run_array(2, 4 * kCpus, "3000ms");
  EXPECT_EQ(end_of(1, before).tasks.done, 3 * kCpus);
  EXPECT_EQ(running(2), 0U);
  EXPECT_FALSE(world.run_until([&] { return running(2) > 0; }, seconds(8)));
  EXPECT_EQ(end_of(1, after).tasks.done, 4 * kCpus);
}

TEST_F(DrainedCluster, ItDrainsOnWhenItComesBackAndTakesTasksAgainWhenTold) {
  ASSERT_TRUE(drain(1, 2).has_value());
  world.host(2).kill(Crash{}, false);
  world.host(2).resume();
  ASSERT_TRUE(world.run_until([&] { return world.see_each_other({0, 1, 2}); }, seconds(60)));
  ASSERT_TRUE(world.run_until([&] { return is_seen_draining(0, 2) && is_seen_draining(1, 2); },
                              seconds(10)));
  const JobId id = run_array(0, 3 * kCpus, "6000ms");
  EXPECT_FALSE(world.run_until([&] { return running(2) > 0; }, seconds(5)));
  ASSERT_TRUE(undrain(0, 2).has_value());
  EXPECT_FALSE(is_seen_draining(0, 2));
  EXPECT_TRUE(world.run_until([&] { return running(2) > 0; }, seconds(20)));
  EXPECT_EQ(end_of(0, id).tasks.done, 3 * kCpus);
}

TEST_F(DrainedCluster, AfterTheDeadlineTheRestRunsElsewhereWithoutUsingUpARetry) {
  const JobId id = run_array(0, 3 * kCpus, "30000ms");
  ASSERT_TRUE(fill_all_with(3 * kCpus));
  const Instant ordered = world.queue().now();
  ASSERT_TRUE(drain(0, 2, seconds(5), true).has_value());
  EXPECT_GE(world.queue().now(), ordered + seconds(5));
  EXPECT_LE(world.queue().now(), ordered + seconds(20)) << "not when they would have ended";
  EXPECT_EQ(running(2), 0U);
  const JobSummary done = end_of(0, id);
  EXPECT_EQ(done.state, JobState::kDone) << "there are no retries";
  EXPECT_EQ(done.tasks.done, 3 * kCpus);
}

TEST_F(DrainedCluster, ADeadlineThatPassedWhileItWasAwayCountsWhenItIsBack) {
  const JobId id = run_array(0, 3 * kCpus, "40000ms");
  ASSERT_TRUE(fill_all_with(3 * kCpus));
  ASSERT_TRUE(drain(0, 2, seconds(4)).has_value());
  world.host(2).kill(Crash{}, false);
  world.run_for(seconds(5));
  world.host(2).resume();
  EXPECT_TRUE(
      world.run_until([&] { return world.host(2).is_up() && running(2) == 0; }, seconds(15)));
  EXPECT_EQ(end_of(0, id).state, JobState::kDone);
}

TEST_F(DrainedCluster, WhoWaitsIsToldWhenTheLastTaskHasEnded) {
  const JobId id = run_array(0, 3 * kCpus, "10000ms");
  ASSERT_TRUE(fill_all_with(3 * kCpus));
  ASSERT_TRUE(drain(1, 2, {}, true).has_value());
  EXPECT_EQ(running(2), 0U);
  EXPECT_EQ(end_of(0, id).state, JobState::kDone);
}

TEST_F(DrainedCluster, WhoWaitsWhileItIsUndrainedIsToldSo) {
  run_array(0, 3 * kCpus, "30000ms");
  ASSERT_TRUE(fill_all_with(3 * kCpus));
  std::optional<Result<client::Answer>> waited;
  world.host(0).ask(client::Request(client::DrainNode{world.host(2).id(), {}, true}),
                    [&](Result<client::Answer> reply, bool last) {
                      if (last) waited = std::move(reply);
                    });
  world.run_for(seconds(1));
  ASSERT_TRUE(undrain(1, 2).has_value());
  ASSERT_TRUE(world.run_until([&] { return waited.has_value(); }, seconds(5)));
  ASSERT_FALSE(waited->has_value());
  EXPECT_EQ(waited->error().code, Code::kRefused);
}

TEST_F(DrainedCluster, OfThoseWhoWaitOneTooManyIsTurnedAwayAndNobodyIsToldTooEarly) {
  const JobId id = run_array(0, 3 * kCpus, "30000ms");
  ASSERT_TRUE(fill_all_with(3 * kCpus));
  std::size_t done = 0;
  std::vector<Error> refused;
  for (int i = 0; i < 257; ++i) {
    world.host(0).ask(client::Request(client::DrainNode{world.host(2).id(), {}, true}),
                      [&](Result<client::Answer> reply, bool last) {
                        if (!reply) refused.push_back(reply.error());
                        if (reply && last) ++done;
                      });
  }
  world.run_for(seconds(3));
  EXPECT_EQ(running(2), kCpus);
  EXPECT_EQ(done, 0U);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].code, Code::kRefused);
  EXPECT_TRUE(is_seen_draining(0, 2)) << "it is obeyed all the same";
  EXPECT_TRUE(world.run_until([&] { return done == 256; }, seconds(60)));
  EXPECT_EQ(running(2), 0U);
  EXPECT_EQ(end_of(0, id).state, JobState::kDone);
}

TEST_F(DrainedCluster, OfThoseWhoWaitForItToLeaveOneTooManyIsTurnedAway) {
  std::size_t done = 0;
  std::vector<Error> refused;
  for (int i = 0; i < 257; ++i) {
    world.host(0).ask(client::Request(client::LeaveNode{world.host(2).id(), false}),
                      [&](Result<client::Answer> reply, bool last) {
                        if (!reply) refused.push_back(reply.error());
                        if (reply && last) ++done;
                      });
  }
  ASSERT_TRUE(world.run_until([&] { return !refused.empty(); }, seconds(1)));
  EXPECT_EQ(refused[0].code, Code::kRefused);
  EXPECT_TRUE(world.run_until([&] { return done == 256; }, seconds(120)));
  EXPECT_EQ(refused.size(), 1U);
}

// The orders do not reach it; that it has left is heard from the third.
TEST_F(DrainedCluster, WhoWaitsForADrainIsNotToldThatItIsDoneWhenTheNodeLeaves) {
  world.network().cut(0, 2, Fault::kOneWayPartition);
  std::vector<Error> errors;
  const auto keep = [&](Result<client::Answer> reply, bool) {
    EXPECT_FALSE(reply.has_value());
    if (!reply) errors.push_back(reply.error());
  };
  const NodeId leaver = world.host(2).id();
  world.host(0).ask(client::Request(client::DrainNode{leaver, {}, true}), keep);
  world.host(0).ask(client::Request(client::UndrainNode{leaver}), keep);
  ASSERT_TRUE(world.call(1, client::Request(client::LeaveNode{leaver, true})).has_value());
  ASSERT_TRUE(world.run_until([&] { return errors.size() == 2; }, seconds(5)));
  for (const Error& error : errors) {
    EXPECT_EQ(error.code, Code::kRefused) << error.message;
    EXPECT_NE(error.message.find("has left"), std::string::npos) << error.message;
  }
}

TEST_F(DrainedCluster, ItKeepsItsGroups) {
  std::size_t before = 0, after = 0;
  const auto seats = [&] {
    std::size_t count = 0;
    for (std::uint16_t g = 0; g < world.options().groups; ++g) {
      count += world.host(2).node()->groups().config({g}) ? 1 : 0;
    }
    return count;
  };
  before = seats();
  ASSERT_TRUE(drain(0, 2).has_value());
  world.run_for(seconds(60));
  after = seats();
  EXPECT_GT(before, 0U);
  EXPECT_EQ(after, before);
}

TEST_F(DrainedCluster, TheDeadCannotBeDrained) {
  world.host(2).crash(Crash{});
  ASSERT_TRUE(world.run_until(
      [&] {
        const auto& members = world.host(0).node()->gossip().members();
        return members.at(world.host(2).id()).state == MemberState::kDead;
      },
      seconds(60)));
  const Result<client::Answer> answer = drain(0, 2);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kRefused);
}

TEST_F(DrainedCluster, OfANodeThatDiesBeforeItAnswersThatIsSaid) {
  world.host(2).pause();
  const Result<client::Answer> answer = drain(0, 2);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kFailed) << answer.error().message;
  EXPECT_NE(answer.error().message.find("died"), std::string::npos) << answer.error().message;
  world.host(2).proceed();
}

// It lives, as the third knows.
TEST_F(DrainedCluster, ANodeThatDoesNotAnswerIsSaidToBeSilent) {
  world.network().cut(0, 2, Fault::kOneWayPartition);
  const Result<client::Answer> answer = drain(0, 2);
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kTimeout) << answer.error().message;
  EXPECT_TRUE(world.host(2).is_up());
}

}  // namespace
}  // namespace dunlin::sim
