#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

constexpr Pin kRepairPin{GroupId{3}, 17};

void expect_kept(const StoreCluster& cluster) {
  EXPECT_TRUE(cluster.broken().empty()) << cluster.broken().front();
}

// Puts that many blobs from all hosts in turn and waits until the stores have come to rest.
void fill(StoreCluster& cluster, std::size_t count) {
  cluster.run_for(seconds(1));
  for (std::size_t i = 0; i < count; ++i) {
    cluster.put(i % cluster.size(), noise(200 + i, i), {kRepairPin.group, i});
  }
  cluster.run_for(seconds(120));
  ASSERT_EQ(cluster.acknowledged().size(), count);
  ASSERT_EQ(cluster.under_replicated(), 0U);
}

StoreStats sum(StoreCluster& cluster) {
  StoreStats all;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.host(i).up || cluster.host(i).state > StoreMemberState::kSuspect) continue;
    const StoreStats one = cluster.host(i).blobs->stats();
    all.held += one.held;
    all.total += one.total;
    all.under_replicated += one.under_replicated;
    all.missing += one.missing;
    all.unchecked += one.unchecked;
    all.awaited += one.awaited;
    all.bad_copies += one.bad_copies;
    all.repaired += one.repaired;
  }
  return all;
}

TEST(Repair, NodesAtRestSayNothing) {
  StoreCluster cluster(1, 5);
  fill(cluster, 100);
  const std::uint64_t before = cluster.messages();
  cluster.run_for(seconds(4 * 3600));
  EXPECT_EQ(cluster.messages(), before);
  const StoreStats stats = sum(cluster);
  EXPECT_EQ(stats.total, 100U);
  EXPECT_EQ(stats.under_replicated, 0U);
  EXPECT_EQ(stats.unchecked, 0U);
  EXPECT_EQ(stats.missing, 0U);
  expect_kept(cluster);
}

TEST(Repair, ADeadNodesCopiesAreMadeAnew) {
  StoreCluster cluster(2, 5);
  fill(cluster, 200);
  cluster.crash(1);
  cluster.declare(1, StoreMemberState::kDead);
  cluster.run_for(seconds(1));
  EXPECT_GT(cluster.under_replicated(), 0U);
  EXPECT_EQ(sum(cluster).under_replicated, cluster.under_replicated());
  cluster.run_for(seconds(120));
  EXPECT_EQ(cluster.under_replicated(), 0U);
  EXPECT_EQ(sum(cluster).under_replicated, 0U);
  EXPECT_EQ(sum(cluster).total, 200U);
  EXPECT_EQ(cluster.unreadable(), std::vector<std::string>{});
  expect_kept(cluster);
}

TEST(Repair, ANewcomerGetsItsShareAndThenThereIsSilence) {
  StoreCluster cluster(3, 3);
  fill(cluster, 200);
  const std::size_t newcomer = cluster.add_host();
  cluster.declare(newcomer, StoreMemberState::kAlive);
  cluster.run_for(seconds(300));
  EXPECT_GT(cluster.host(newcomer).blobs->stats().held, 100U);
  const StoreStats stats = sum(cluster);
  EXPECT_EQ(stats.under_replicated, 0U);
  EXPECT_EQ(stats.unchecked, 0U);
  EXPECT_EQ(stats.total, 200U);
  const std::uint64_t before = cluster.messages();
  cluster.run_for(seconds(3600));
  EXPECT_EQ(cluster.messages(), before);
  expect_kept(cluster);
}

TEST(Repair, ARottenCopyIsFoundByScrubbingAndMended) {
  StoreCluster cluster(4, 3);
  fill(cluster, 20);
  const BlobId id = cluster.acknowledged().front().blob.id;
  ASSERT_TRUE(cluster.flip_bit(0, id));
  cluster.crash(0);  // its copies count as not verified after the start
  cluster.restart(0);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.sound_copies(id) == 3; }, seconds(600)));
  EXPECT_EQ(cluster.host(0).blobs->stats().bad_copies, 1U);
  expect_kept(cluster);
}

TEST(Repair, ScrubbingKeepsToItsRateAndComesToAnEnd) {
  StoreConfig config;
  config.scrub_rate = 64 * 1024;
  StoreCluster cluster(5, 1, config);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 8; ++i) cluster.put(0, noise(kMaxBlob, i), kRepairPin);
  cluster.run_for(seconds(10));
  cluster.crash(0);
  cluster.restart(0);
  const std::uint64_t before = cluster.host(0).reads;
  cluster.run_for(seconds(60 + 64 * 3 + 1));
  EXPECT_LE(cluster.host(0).reads - before, 4U);
  EXPECT_GE(cluster.host(0).reads - before, 3U);
  cluster.run_for(seconds(24 * 3600));
  EXPECT_EQ(cluster.host(0).reads - before, 8U);
}

TEST(Repair, ADeathShowsAsUnderReplicationAtOnceAndAReturnInTimeMovesNothing) {
  StoreCluster cluster(6, 5);
  fill(cluster, 100);
  cluster.crash(1);
  cluster.declare(1, StoreMemberState::kDead);
  cluster.run_for(milliseconds(300));
  EXPECT_EQ(sum(cluster).under_replicated, cluster.under_replicated());
  EXPECT_GT(cluster.under_replicated(), 30U);
  cluster.restart(1);  // within repair_delay
  cluster.run_for(seconds(200));
  const StoreStats stats = sum(cluster);
  EXPECT_EQ(stats.under_replicated, 0U);
  EXPECT_EQ(stats.repaired, 0U);
}

TEST(Repair, WithFewerHostsThanReplicasAHealthyClusterIsHealthy) {
  StoreCluster cluster(7, 3);
  fill(cluster, 30);
  cluster.crash(2);
  cluster.declare(2, StoreMemberState::kDead);
  cluster.run_for(milliseconds(300));
  EXPECT_EQ(sum(cluster).under_replicated, 0U);
  cluster.run_for(seconds(200));
  EXPECT_EQ(sum(cluster).under_replicated, 0U);
  EXPECT_EQ(sum(cluster).total, 30U);
}

TEST(Repair, WhatLiesWithASuccessorIsHandedToTheOwnersOnTheirReturn) {
  StoreCluster cluster(8, 5);
  fill(cluster, 0);
  cluster.partition({0, 1});
  for (const std::size_t i : {2, 3, 4}) {
    cluster.suspect(i, 0);
    cluster.suspect(i, 1);
  }
  for (std::uint64_t i = 0; i < 60; ++i)
    cluster.put(2 + i % 3, noise(300, i), {kRepairPin.group, i});
  cluster.run_for(seconds(40));
  ASSERT_EQ(cluster.acknowledged().size(), 60U);
  cluster.heal();
  for (const std::size_t i : {2, 3, 4}) {
    cluster.suspect(i, 0, false);
    cluster.suspect(i, 1, false);
  }
  cluster.run_for(seconds(300));
  const StoreStats stats = sum(cluster);
  EXPECT_EQ(stats.under_replicated, 0U);
  EXPECT_EQ(stats.total, 60U);
  EXPECT_GT(cluster.host(0).blobs->stats().held, 20U);
  // Pins have travelled along.
  for (const Acknowledged& ack : cluster.acknowledged()) {
    if (!cluster.host(0).disk.find(ack.blob.id)) continue;
    EXPECT_TRUE(cluster.host(0).disk.has_pin(ack.blob.id, ack.pin));
  }
  const std::uint64_t before = cluster.messages();
  cluster.run_for(seconds(3600));
  EXPECT_EQ(cluster.messages(), before);
  expect_kept(cluster);
}

TEST(Repair, PinsThatOnlySomeOwnersHaveReachTheOthers) {
  StoreCluster cluster(9, 3);
  fill(cluster, 0);
  const Bytes data = noise(10, 1);
  cluster.put(0, data, {kRepairPin.group, 0});
  cluster.run_for(seconds(60));
  cluster.partition({2});
  cluster.suspect(0, 2);
  // More of them than one message carries.
  for (std::uint64_t i = 1; i <= 2 * store::kMaxPinsInMessage + 10; ++i) {
    cluster.put(0, data, {kRepairPin.group, i});
    if (i % 500 == 0) cluster.run_for(seconds(10));
  }
  cluster.run_for(seconds(10));
  cluster.heal();
  cluster.suspect(0, 2, false);
  cluster.run_for(seconds(300));
  for (const Acknowledged& ack : cluster.acknowledged()) {
    ASSERT_TRUE(cluster.host(2).disk.has_pin(ack.blob.id, ack.pin)) << ack.pin.intent;
  }
  EXPECT_GT(cluster.acknowledged().size(), 2000U);
}

TEST(Repair, AReleasedPinIsGoneFromAllHolders) {
  StoreCluster cluster(10, 5);
  fill(cluster, 1);
  const Acknowledged ack = cluster.acknowledged().front();
  cluster.with(3, [&](Blobs& blobs, Effects& out) {
    blobs.release(cluster.now(), ack.blob.id, ack.pin, out);
  });
  cluster.run_for(seconds(120));
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_FALSE(cluster.host(i).disk.has_pin(ack.blob.id, ack.pin)) << i;
  }
  // And nothing else is: only collection deletes, on evidence.
  EXPECT_EQ(cluster.sound_copies(ack.blob.id), 3U);
}

TEST(Repair, ALostPackFileIsMadeAnew) {
  StoreCluster cluster(11, 3);
  fill(cluster, 50);
  cluster.crash(1);
  cluster.host(1).disk.files.clear();
  cluster.restart(1);
  EXPECT_GT(cluster.under_replicated(), 40U);
  cluster.run_for(seconds(60));
  EXPECT_EQ(cluster.under_replicated(), 0U);
  EXPECT_EQ(cluster.host(1).blobs->stats().bad_copies, 50U);
  EXPECT_EQ(sum(cluster).missing, 0U);
}

TEST(Repair, WhatNobodyHoldsAnyMoreCountsAsMissing) {
  StoreCluster cluster(12, 3);
  fill(cluster, 10);
  const BlobId id = cluster.acknowledged().front().blob.id;
  for (std::size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster.flip_bit(i, id));
    cluster.crash(i);
  }
  for (std::size_t i = 0; i < 3; ++i) cluster.restart(i);
  cluster.run_for(seconds(600));
  EXPECT_GE(sum(cluster).missing, 1U);
  EXPECT_EQ(sum(cluster).total, 10U);
}

TEST(Repair, ItKeepsToItsRate) {
  StoreConfig config;
  config.repair_rate = 1024 * 1024;
  StoreCluster cluster(13, 2, config);
  cluster.run_for(seconds(1));
  cluster.crash(1);
  cluster.declare(1, StoreMemberState::kDead);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 60; ++i)
    cluster.put(0, noise(1024 * 1024, i), {kRepairPin.group, i});
  cluster.run_for(seconds(60));
  cluster.restart(1);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.host(1).blobs->stats().held > 0; }));
  cluster.run_for(seconds(20));
  EXPECT_GE(cluster.host(1).blobs->stats().held, 15U);
  EXPECT_LE(cluster.host(1).blobs->stats().held, 30U);
  cluster.run_for(seconds(60));
  EXPECT_EQ(cluster.host(1).blobs->stats().held, 60U);
}

TEST(Repair, LargeInventoriesAreComparedInDepthAndFewItemsTravel) {
  StoreCluster cluster(14, 2);
  cluster.weather.longest_sync = microseconds(110);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    cluster.put(0, noise(8, i), {kRepairPin.group, i});
    if (i % 500 == 499) cluster.run_for(milliseconds(200));
  }
  cluster.run_for(seconds(200));
  ASSERT_EQ(cluster.acknowledged().size(), 20'000U);
  ASSERT_EQ(cluster.host(1).blobs->stats().held, 20'000U);
  cluster.partition({1});
  cluster.declare(1, StoreMemberState::kDead);
  cluster.run_for(seconds(5));
  for (std::uint64_t i = 0; i < 20; ++i) cluster.put(0, noise(9, i), {kRepairPin.group, i});
  cluster.run_for(seconds(60));
  ASSERT_EQ(cluster.acknowledged().size(), 20'020U);
  const std::uint64_t before = cluster.bytes();
  cluster.heal();
  cluster.declare(1, StoreMemberState::kAlive);
  cluster.run_for(seconds(300));
  EXPECT_EQ(cluster.host(1).blobs->stats().held, 20'020U);
  // Listing everything would take a megabyte.
  EXPECT_LT(cluster.bytes() - before, 200'000U);
  EXPECT_EQ(sum(cluster).unchecked, 0U);
}

TEST(Leaving, ANodeMayGoWhenOthersHoldWhatItHeld) {
  StoreCluster cluster(20, 4);
  fill(cluster, 100);
  EXPECT_FALSE(cluster.host(0).blobs->may_leave());
  cluster.with(0, [&](Blobs& blobs, Effects& out) { blobs.prepare_to_leave(cluster.now(), out); });
  EXPECT_FALSE(cluster.host(0).blobs->may_leave());
  ASSERT_TRUE(cluster.run_until([&] { return cluster.host(0).blobs->may_leave(); }));
  for (const Acknowledged& ack : cluster.acknowledged()) {
    std::size_t elsewhere = 0;
    for (std::size_t i = 1; i < 4; ++i) elsewhere += cluster.host(i).disk.has_sound(ack.blob.id);
    ASSERT_GE(elsewhere, 2U);
  }
  cluster.destroy(0);
  cluster.declare(0, StoreMemberState::kLeft);
  cluster.run_for(seconds(300));
  EXPECT_EQ(cluster.under_replicated(), 0U);
  EXPECT_EQ(sum(cluster).total, 100U);
  EXPECT_EQ(cluster.unreadable(), std::vector<std::string>{});
}

TEST(Leaving, CopiesThatTheOthersLookAtAndFindRottenDoNotCount) {
  StoreCluster cluster(21, 3);
  fill(cluster, 20);
  const BlobId id = cluster.acknowledged().front().blob.id;
  ASSERT_TRUE(cluster.flip_bit(1, id));
  ASSERT_TRUE(cluster.flip_bit(2, id));
  for (const std::size_t i : {1, 2}) {
    cluster.crash(i);
    cluster.restart(i);
  }
  cluster.run_for(seconds(1));
  cluster.with(0, [&](Blobs& blobs, Effects& out) { blobs.prepare_to_leave(cluster.now(), out); });
  ASSERT_TRUE(cluster.run_until([&] { return cluster.host(0).blobs->may_leave(); }));
  EXPECT_TRUE(cluster.host(1).disk.has_sound(id));
  EXPECT_TRUE(cluster.host(2).disk.has_sound(id));
}

TEST(Leaving, TheLastNodeMayNotGoWhileItHoldsAnything) {
  StoreCluster cluster(22, 1);
  fill(cluster, 3);
  cluster.with(0, [&](Blobs& blobs, Effects& out) { blobs.prepare_to_leave(cluster.now(), out); });
  cluster.run_for(seconds(300));
  const LeaveState state = cluster.host(0).blobs->leave_state();
  EXPECT_FALSE(state.ready);
  EXPECT_EQ(state.blobs_only_here, 3U);
  EXPECT_EQ(state.bytes_only_here, 200U + 201U + 202U);
}

TEST(Leaving, ALeaverTakesNothingMore) {
  StoreCluster cluster(23, 3);
  fill(cluster, 0);
  cluster.with(0, [&](Blobs& blobs, Effects& out) { blobs.prepare_to_leave(cluster.now(), out); });
  for (std::uint64_t i = 0; i < 20; ++i) cluster.put(1 + i % 2, noise(6000, i), kRepairPin);
  cluster.put(0, noise(100, 99), kRepairPin);  // its own users are still served
  cluster.run_for(seconds(30));
  EXPECT_EQ(cluster.acknowledged().size(), 21U);
  EXPECT_EQ(cluster.host(0).blobs->stats().held, 0U);
  EXPECT_TRUE(cluster.host(0).blobs->may_leave());
}

}  // namespace
}  // namespace dunlin
