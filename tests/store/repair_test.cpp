#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

constexpr Pin kPin{GroupId{3}, 17};

void expect_kept(const StoreCluster& cluster) {
  EXPECT_TRUE(cluster.broken().empty()) << cluster.broken().front();
}

// Puts that many blobs from all hosts in turn and waits until the stores have come to rest.
void fill(StoreCluster& cluster, std::size_t count) {
  cluster.run_for(seconds(1));
  for (std::size_t i = 0; i < count; ++i) {
    cluster.put(i % cluster.size(), noise(200 + i, i), {kPin.group, i});
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
  EXPECT_TRUE(cluster.run_until([&] { return cluster.under_replicated() == 0; }));
  cluster.run_for(seconds(120));
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

}  // namespace
}  // namespace dunlin
