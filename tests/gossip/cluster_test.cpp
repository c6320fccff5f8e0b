// Whole clusters of Gossip in virtual time, with checkers that know the truth.
#include <gtest/gtest.h>

#include "gossip_cluster.h"

namespace dunlin {
namespace {

using test::GossipCluster;

// Joins `count` hosts one after another to host 0, `apart` from each other.
void join_all(GossipCluster& cluster, std::size_t count, Duration apart) {
  cluster.start(cluster.add());
  for (std::size_t i = 1; i < count; ++i) {
    cluster.start(cluster.add(), cluster.members_of(0));
    cluster.run_for(apart);
  }
}

TEST(Cluster, TwentyNodesThatStartAtOnceSeeEachOtherWithinTwoSeconds) {
  GossipCluster cluster(1);
  join_all(cluster, 20, milliseconds(1));
  EXPECT_TRUE(cluster.run_until(seconds(2), [&] { return cluster.is_true(); })) << cluster.wrong();
}

TEST(Cluster, ACrashIsKnownToAllAndNobodyElseDies) {
  GossipCluster cluster(2);
  cluster.found(30);
  cluster.run_for(seconds(5));
  cluster.crash(7);
  EXPECT_TRUE(cluster.run_until(seconds(10), [&] { return cluster.is_true(); })) << cluster.wrong();
  EXPECT_EQ(cluster.false_deaths, 0U);
}

TEST(Cluster, TheCheckerNoticesADeathThatNobodyHasHeardOf) {
  GossipCluster cluster(3);
  cluster.found(5);
  cluster.run_for(seconds(5));
  ASSERT_TRUE(cluster.is_true()) << cluster.wrong();
  cluster.crash(2);
  EXPECT_FALSE(cluster.is_true());
}

TEST(Cluster, ARestartedMemberIsAliveAtOnceUnderItsNewBoot) {
  GossipCluster cluster(4);
  cluster.found(20);
  cluster.run_for(seconds(5));
  const auto seeds = cluster.members_of(3);
  cluster.crash(3);
  cluster.run_for(milliseconds(500));
  cluster.start(3, seeds);
  cluster.clear_events();
  EXPECT_TRUE(cluster.run_until(seconds(2), [&] { return cluster.is_true(); })) << cluster.wrong();
  EXPECT_EQ(cluster.count_events<MemberRestarted>(0), 1U);
  EXPECT_EQ(cluster.count_events<MemberDead>(0), 0U);
}

TEST(Cluster, AMemberThatWasDeadComesBackByRestarting) {
  GossipCluster cluster(5);
  cluster.found(10);
  cluster.run_for(seconds(5));
  const auto seeds = cluster.members_of(3);
  cluster.crash(3);
  ASSERT_TRUE(cluster.run_until(seconds(10), [&] { return cluster.is_true(); }));
  cluster.start(3, seeds);
  EXPECT_TRUE(cluster.run_until(seconds(3), [&] { return cluster.is_true(); })) << cluster.wrong();
}

TEST(Cluster, SidesOfAPartitionMergeAfterItHeals) {
  for (const std::size_t minority : {1U, 5U, 10U}) {
    GossipCluster cluster(6);
    cluster.found(20);
    cluster.run_for(seconds(5));
    for (std::size_t i = 0; i < minority; ++i) cluster.set_side(i, 1);
    ASSERT_TRUE(cluster.run_until(seconds(90), [&] { return cluster.is_true(); }))
        << cluster.wrong();
    EXPECT_EQ(cluster.false_deaths, 0U);
    cluster.unblock_all();
    EXPECT_TRUE(
        cluster.run_until(seconds(60), [&] { return cluster.is_true() && cluster.is_converged(); }))
        << minority << ": " << cluster.wrong();
  }
}

TEST(Cluster, TwoAndThreeNodesMergeAfterAPartition) {
  for (const std::size_t count : {2U, 3U}) {
    GossipCluster cluster(7);
    cluster.found(count);
    cluster.run_for(seconds(5));
    cluster.set_side(0, 1);
    ASSERT_TRUE(cluster.run_until(seconds(60), [&] { return cluster.is_true(); }))
        << cluster.wrong();
    cluster.unblock_all();
    EXPECT_TRUE(cluster.run_until(seconds(30), [&] { return cluster.is_true(); }))
        << count << ": " << cluster.wrong();
  }
}

TEST(Cluster, NoHealthyMemberDiesUnderAQuarterOfLossAndDuplicates) {
  for (std::uint64_t seed = 10; seed < 13; ++seed) {
    GossipCluster cluster(seed);
    cluster.network.datagram_loss = 0.25;
    cluster.network.stream_loss = 0.05;
    cluster.network.duplicates = 0.1;
    cluster.found(30);
    cluster.run_for(seconds(120));
    EXPECT_EQ(cluster.false_deaths, 0U) << seed;
    EXPECT_TRUE(cluster.run_until(seconds(30), [&] { return cluster.is_true(); }))
        << cluster.wrong();
  }
}

TEST(Cluster, TheCheckerOfFalseDeathsNoticesOne) {
  GossipConfig config;
  config.suspicion_min = config.suspicion_max = milliseconds(50);
  config.fresh = Duration{};
  GossipCluster cluster(14, config);
  cluster.network.datagram_loss = 0.6;
  cluster.network.stream_loss = 0.6;
  cluster.found(20);
  cluster.run_for(seconds(120));
  EXPECT_GT(cluster.false_deaths, 0U);
}

TEST(Cluster, MembersThatAnswerTwoSecondsLateAreNotDeclaredDead) {
  GossipCluster cluster(15);
  cluster.found(60);
  cluster.run_for(seconds(10));
  for (std::size_t i = 0; i < 60; i += 20) cluster.set_lateness(i, seconds(2));
  cluster.run_for(seconds(300));
  EXPECT_EQ(cluster.false_deaths, 0U);
}

TEST(Cluster, AMemberPausedForAMinuteComesBackAndDeclaresNobodyDead) {
  GossipCluster cluster(16);
  cluster.found(20);
  cluster.run_for(seconds(5));
  cluster.pause(4, seconds(60));
  cluster.run_for(seconds(59));
  EXPECT_EQ(cluster.count_views(4, MemberState::kDead), 19U);
  EXPECT_TRUE(cluster.run_until(seconds(15), [&] { return cluster.is_true(); })) << cluster.wrong();
  EXPECT_EQ(cluster.count_events<MemberDead>(4), 0U);
  EXPECT_EQ(cluster.false_deaths, 0U);
}

TEST(Cluster, AMemberThatLeftIsNotResurrectedByOldNews) {
  GossipCluster cluster(17);
  cluster.found(20);
  cluster.run_for(seconds(5));
  // Cut off, host 9 misses the good-bye and comes back believing that host 3 is a member.
  cluster.set_side(9, 1);
  cluster.leave(3);
  cluster.run_for(seconds(5));
  cluster.crash(3);
  cluster.run_for(seconds(60));
  cluster.unblock_all();
  EXPECT_TRUE(cluster.run_until(seconds(60), [&] { return cluster.is_true(); })) << cluster.wrong();
  cluster.run_for(seconds(60));
  EXPECT_TRUE(cluster.is_true()) << cluster.wrong();
}

TEST(Cluster, AOneWayLinkKillsNobody) {
  GossipCluster cluster(18);
  cluster.found(15);
  cluster.run_for(seconds(5));
  cluster.block(1, 2);
  cluster.block(4, 3);
  cluster.run_for(seconds(120));
  EXPECT_EQ(cluster.false_deaths, 0U);
}

TEST(Cluster, ABareMajorityLearnsThatTheRestIsDead) {
  GossipCluster cluster(19);
  cluster.found(9);
  cluster.run_for(seconds(5));
  for (const std::size_t i : {1U, 3U, 5U, 7U}) cluster.crash(i);
  EXPECT_TRUE(cluster.run_until(seconds(30), [&] { return cluster.is_true(); })) << cluster.wrong();
}

TEST(Cluster, RoutesReachEverybodyAndJoinersLearnThemAll) {
  GossipCluster cluster(20);
  cluster.found(20);
  cluster.run_for(seconds(5));
  for (std::uint16_t g = 0; g < 256; ++g) {
    cluster.gossip(g % 20U).announce_route(cluster.now(), {{g}, 3, cluster.id(g % 20U), 1});
    cluster.settle(g % 20U, {});
  }
  auto all_know = [&] {
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (cluster.gossip(i).routes().size() != 256) return false;
    }
    return true;
  };
  EXPECT_TRUE(cluster.run_until(seconds(5), all_know));
  cluster.start(cluster.add(), cluster.members_of(0));
  EXPECT_TRUE(cluster.run_until(milliseconds(500), all_know));
}

TEST(Cluster, AtRestItSendsOnePingAndOneAckASecondAndNoStream) {
  GossipCluster cluster(21);
  cluster.found(50);
  cluster.run_for(seconds(60));
  cluster.bytes_sent = cluster.frames_sent = cluster.streams_sent = cluster.ticks = 0;
  cluster.run_for(seconds(100));
  EXPECT_EQ(cluster.streams_sent, 0U);
  EXPECT_LE(cluster.frames_sent, 50U * 100 * 2);
  EXPECT_GE(cluster.frames_sent, 50U * 100 * 2 * 9 / 10) << "and each is looked after";
  EXPECT_LE(cluster.bytes_sent + cluster.frames_sent * GossipCluster::kOverhead, 50U * 100 * 200);
  // A probe a second, and the reconnect timer each five.
  EXPECT_LE(cluster.ticks, 50U * 100 * 13 / 10);
}

TEST(Cluster, TwoRunsOfOneSeedAreTheSame) {
  auto run = [](std::uint64_t seed) {
    GossipCluster cluster(seed);
    cluster.network.datagram_loss = 0.1;
    cluster.found(15);
    cluster.run_for(seconds(10));
    cluster.crash(3);
    cluster.run_for(seconds(20));
    return cluster.trace;
  };
  EXPECT_EQ(run(22), run(22));
  EXPECT_NE(run(22), run(23));
}

}  // namespace
}  // namespace dunlin
