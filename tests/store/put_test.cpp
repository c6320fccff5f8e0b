#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

constexpr Pin kPin{GroupId{7}, 42};

void expect_kept(const StoreCluster& cluster) {
  EXPECT_TRUE(cluster.broken().empty()) << cluster.broken().front();
}

TEST(Put, OneNodeAloneStoresWithOneCopy) {
  StoreCluster cluster(1, 1);
  cluster.run_for(seconds(1));
  const auto token = cluster.put(0, noise(1000, 1), kPin);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.ended(0, token); }));
  const auto* stored = cluster.event<BlobStored>(0, token);
  ASSERT_NE(stored, nullptr);
  EXPECT_EQ(stored->holders, std::vector<NodeId>{cluster.host(0).id});
  EXPECT_EQ(stored->blob.id, blob_id_of(noise(1000, 1)));
  expect_kept(cluster);
}

TEST(Put, ThreeCopiesLieOnThreeOfFiveDisks) {
  StoreCluster cluster(2, 5);
  cluster.run_for(seconds(1));
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{5000}, kMaxBlob}) {
    const auto token = cluster.put(0, noise(size, size), kPin);
    ASSERT_TRUE(cluster.run_until([&] { return cluster.ended(0, token); }));
    ASSERT_NE(cluster.event<BlobStored>(0, token), nullptr);
    cluster.run_for(seconds(1));
    EXPECT_EQ(cluster.sound_copies(blob_id_of(noise(size, size))), 3U) << size;
  }
  expect_kept(cluster);
}

TEST(Fetch, EveryNodeReadsWhatAnyNodeStored) {
  StoreCluster cluster(3, 5);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 20; ++i) cluster.put(i % 5, noise(1000 * i, i), kPin);
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.acknowledged().size(), 20U);
  EXPECT_EQ(cluster.unreadable(), std::vector<std::string>{});
  expect_kept(cluster);
}

TEST(Localize, TheBytesLieInALocalPackAfterwards) {
  StoreCluster cluster(4, 5);
  cluster.run_for(seconds(1));
  const Bytes data = noise(100'000, 9);
  cluster.put(0, data, kPin);
  cluster.run_for(seconds(1));
  for (std::size_t i = 0; i < 5; ++i) {
    const auto token = cluster.localize(i, blob_id_of(data));
    ASSERT_TRUE(cluster.run_until([&] { return cluster.ended(i, token); }));
    const auto* local = cluster.event<BlobLocal>(i, token);
    ASSERT_TRUE(local->extent);
    EXPECT_EQ(cluster.host(i).disk.read(*local->extent), data);
  }
  expect_kept(cluster);
}

}  // namespace
}  // namespace dunlin
