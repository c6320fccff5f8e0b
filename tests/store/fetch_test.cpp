#include "store/fetches.h"

#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

using store::Get;
using store::GetAnswer;

constexpr Pin kFetchPin{GroupId{7}, 42};

class FetchTest : public testing::Test {
 protected:
  void found(std::size_t count) {
    cluster.emplace(count * 77, count);
    cluster->run_for(seconds(1));
  }
  BlobId store(const Bytes& data, std::size_t by = 0) {
    cluster->put(by, data, kFetchPin);
    cluster->run_for(seconds(1));
    return blob_id_of(data);
  }
  const BlobFetched* fetch(std::size_t i, const BlobId& id, std::vector<NodeId> hint = {}) {
    const auto token = cluster->fetch(i, id, std::move(hint));
    cluster->run_until([&] { return cluster->ended(i, token); });
    return cluster->event<BlobFetched>(i, token);
  }
  std::optional<BlobLocal> localize(std::size_t i, const BlobId& id) {
    const auto token = cluster->localize(i, id);
    cluster->run_until([&] { return cluster->ended(i, token); });
    const auto* local = cluster->event<BlobLocal>(i, token);
    return local == nullptr ? std::nullopt : std::optional(*local);
  }
  std::vector<std::size_t> holders(const BlobId& id) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < cluster->size(); ++i) {
      if (cluster->host(i).disk.find(id)) found.push_back(i);
    }
    return found;
  }
  std::size_t stranger(const BlobId& id) {
    std::size_t i = 0;
    while (cluster->host(i).disk.find(id)) ++i;
    return i;
  }
  void TearDown() override {
    ASSERT_TRUE(cluster);
    EXPECT_TRUE(cluster->broken().empty()) << cluster->broken().front();
  }

  std::optional<StoreCluster> cluster;
};

TEST_F(FetchTest, EveryNodeReadsWhatAnyNodeStored) {
  found(5);
  for (std::uint64_t i = 0; i < 20; ++i) cluster->put(i % 5, noise(1000 * i, i), kFetchPin);
  cluster->run_for(seconds(2));
  EXPECT_EQ(cluster->acknowledged().size(), 20U);
  EXPECT_EQ(cluster->unreadable(), std::vector<std::string>{});
}

TEST_F(FetchTest, ALocalReadAsksNobodyAndTouchesTheDiskOnce) {
  found(3);
  const BlobId id = store(noise(100'000, 1));
  const std::uint64_t messages = cluster->messages(), reads = cluster->host(0).reads;
  EXPECT_EQ(fetch(0, id)->content, noise(100'000, 1));
  EXPECT_EQ(cluster->messages(), messages);
  EXPECT_EQ(cluster->host(0).reads, reads + 1);
}

TEST_F(FetchTest, ARottenAnswerIsNotUsedAndItsSendersCopyIsMended) {
  found(5);
  const Bytes data = noise(100'000, 1);
  const BlobId id = store(data);
  const auto rotten = holders(id);
  ASSERT_EQ(rotten.size(), 3U);
  ASSERT_TRUE(cluster->flip_bit(rotten[0], id));
  ASSERT_TRUE(cluster->flip_bit(rotten[1], id));
  // Whichever is asked first, a sound copy is found.
  const auto* fetched = fetch(stranger(id), id, {cluster->host(rotten[0]).id});
  EXPECT_EQ(fetched->content, data);
  for (int tries = 0; tries < 10; ++tries) fetch(stranger(id), id);
  cluster->run_for(seconds(60));
  std::uint64_t bad = 0;
  for (std::size_t i = 0; i < 5; ++i) bad += cluster->host(i).blobs->stats().bad_copies;
  EXPECT_GE(bad, 2U);
  EXPECT_EQ(cluster->sound_copies(id), 3U);
}

TEST_F(FetchTest, ALocalRottenCopyIsPassedOverAndMended) {
  found(3);
  const Bytes data = noise(10'000, 1);
  const BlobId id = store(data);
  ASSERT_TRUE(cluster->flip_bit(0, id));
  EXPECT_EQ(fetch(0, id)->content, data);
  cluster->run_for(seconds(10));
  EXPECT_TRUE(cluster->host(0).disk.has_sound(id));
}

TEST_F(FetchTest, ACopyInAnUnlikelyPlaceIsFound) {
  found(9);
  const Bytes data = noise(10'000, 1);
  const BlobId id = store(data);
  const std::size_t keeper = stranger(id);
  ASSERT_TRUE(localize(keeper, id)->extent);
  for (const std::size_t holder : holders(id)) {
    if (holder != keeper) cluster->crash(holder);
  }
  EXPECT_EQ(fetch(stranger(id), id)->content, data);
}

TEST_F(FetchTest, WhatNobodyHoldsIsNotFound) {
  found(5);
  const BlobId id = blob_id_of(noise(10, 1));
  EXPECT_EQ(fetch(0, id)->content.error().code, Code::kNotFound);
  EXPECT_EQ(localize(0, id)->extent.error().code, Code::kNotFound);
}

TEST_F(FetchTest, WhileANodeIsSilentNotFoundIsNotSaid) {
  found(5);
  cluster->crash(3);
  EXPECT_EQ(fetch(0, blob_id_of(noise(10, 1)))->content.error().code, Code::kTimeout);
}

TEST_F(FetchTest, AHolderThatComesBackInTimeIsAsked) {
  found(3);
  const Bytes data = noise(10'000, 1);
  cluster->crash(2);
  cluster->declare(2, StoreMemberState::kDead);
  const BlobId id = store(data);
  cluster->restart(2);
  cluster->crash(0);
  cluster->crash(1);
  const auto token = cluster->fetch(2, id);
  cluster->run_for(seconds(5));
  EXPECT_FALSE(cluster->ended(2, token));
  cluster->restart(1);
  cluster->run_until([&] { return cluster->ended(2, token); });
  EXPECT_EQ(cluster->event<BlobFetched>(2, token)->content, data);
}

TEST_F(FetchTest, ManyCallersCostOneTransfer) {
  found(5);
  const Bytes data = noise(100'000, 1);
  const BlobId id = store(data);
  const std::size_t host = stranger(id);
  const std::uint64_t before = cluster->messages_of(kind_of<Get>());
  for (int i = 0; i < 100; ++i) cluster->fetch(host, id);
  for (int i = 0; i < 100; ++i) cluster->localize(host, id);
  cluster->run_for(seconds(1));
  EXPECT_EQ(cluster->messages_of(kind_of<Get>()), before + 1);
  EXPECT_EQ(cluster->host(host).events.size(), 200U);
}

TEST_F(FetchTest, ContentsUnderWayAreLimitedPerPeer) {
  found(2);
  cluster->crash(1);
  cluster->declare(1, StoreMemberState::kDead);
  cluster->run_for(seconds(1));
  std::vector<BlobId> ids;
  for (std::uint64_t i = 0; i < 40; ++i) ids.push_back(store(noise(5000, i)));
  cluster->restart(1);
  cluster->run_for(milliseconds(300));
  std::map<std::size_t, int> open;
  int most = 0;
  cluster->tap = [&](std::size_t, std::size_t to, const Bytes& frame) {
    if (frame[2] == kind_of<Get>()) most = std::max(most, ++open[to]);
    if (frame[2] == kind_of<GetAnswer>()) --open[0];
  };
  for (const BlobId& id : ids) cluster->fetch(1, id);
  cluster->run_for(seconds(5));
  EXPECT_EQ(cluster->host(1).events.size(), 40U);
  EXPECT_EQ(static_cast<std::size_t>(most), store::kMaxGetsPerPeer);
}

// Two hosts; the second was away while the first stored so many small blobs, and has none of them.
std::vector<BlobId> host_without(std::optional<StoreCluster>& cluster, std::uint64_t blobs) {
  StoreConfig config;
  config.repair_delay = config.compare_delay = seconds(100'000);
  cluster.emplace(1, 2, config);
  cluster->crash(1);
  cluster->declare(1, StoreMemberState::kDead);
  cluster->run_for(seconds(1));
  std::vector<BlobId> ids;
  for (std::uint64_t i = 0; i < blobs; ++i) {
    ids.push_back(blob_id_of(noise(100, i)));
    cluster->put(0, noise(100, i), kFetchPin);
    if (i % 500 == 499) cluster->run_for(seconds(5));
  }
  cluster->run_for(seconds(5));
  cluster->restart(1);
  cluster->run_for(milliseconds(300));
  return ids;
}

TEST_F(FetchTest, WhatWaitsForItsTurnIsNotLateWhileOtherContentsCome) {
  const std::vector<BlobId> ids = host_without(cluster, 400);
  cluster->weather.shortest = cluster->weather.longest = milliseconds(500);
  // Eight a second: the last of them comes after twice the time that a fetch may take.
  std::vector<std::uint64_t> tokens;
  for (const BlobId& id : ids) tokens.push_back(cluster->localize(1, id));
  cluster->run_for(seconds(120));
  std::size_t here = 0;
  for (const std::uint64_t token : tokens) {
    const auto* local = cluster->event<BlobLocal>(1, token);
    if (local != nullptr && local->extent) ++here;
  }
  EXPECT_EQ(here, ids.size());
}

TEST_F(FetchTest, ThousandsWaitForTheirTurnAndAllCome) {
  const std::vector<BlobId> ids = host_without(cluster, 4000);
  for (const BlobId& id : ids) cluster->localize(1, id);
  cluster->run_for(seconds(60));
  EXPECT_EQ(cluster->host(1).events.size(), ids.size());
  for (const auto& event : cluster->host(1).events) {
    const auto* local = std::get_if<BlobLocal>(&event);
    EXPECT_TRUE(local != nullptr && local->extent);
  }
}

TEST_F(FetchTest, MoreSearchesThanTheLimitAreRefused) {
  found(2);
  cluster->crash(1);
  for (std::uint64_t i = 0; i <= kMaxFetches; ++i) cluster->fetch(0, blob_id_of(noise(8, i)));
  ASSERT_EQ(cluster->host(0).events.size(), 1U);
  const auto& refused = std::get<BlobFetched>(cluster->host(0).events.front());
  EXPECT_EQ(refused.content.error().code, Code::kLimit);
  cluster->run_for(seconds(60));
  EXPECT_EQ(cluster->host(0).events.size(), kMaxFetches + 1);
}

TEST_F(FetchTest, LocalizedBytesLieInALocalPackAndAreNotSentTwice) {
  found(5);
  const Bytes data = noise(100'000, 9);
  const BlobId id = store(data);
  for (std::size_t i = 0; i < 5; ++i) {
    const auto local = localize(i, id);
    ASSERT_TRUE(local->extent);
    EXPECT_EQ(cluster->host(i).disk.read(*local->extent), data);
    const std::uint64_t messages = cluster->messages();
    EXPECT_EQ(localize(i, id)->extent->offset, local->extent->offset);
    EXPECT_EQ(cluster->messages(), messages);
  }
}

TEST_F(FetchTest, LocalizingLooksAtACopyThatWasNotLookedAtSinceTheStart) {
  found(3);
  const Bytes data = noise(10'000, 1);
  const BlobId id = store(data);
  ASSERT_TRUE(cluster->flip_bit(0, id));
  cluster->crash(0);
  cluster->restart(0);
  cluster->run_for(seconds(1));
  const auto local = localize(0, id);
  ASSERT_TRUE(local->extent);
  EXPECT_EQ(cluster->host(0).disk.read(*local->extent), data);
}

TEST_F(FetchTest, WithoutRoomOnTheDiskLocalizeSaysSoAndFetchStillWorks) {
  found(5);
  const Bytes data = noise(10'000, 1);
  const BlobId id = store(data);
  const std::size_t host = stranger(id);
  cluster->set_disk(host, 1ULL << 40, 1000);
  EXPECT_EQ(localize(host, id)->extent.error().code, Code::kLimit);
  EXPECT_EQ(fetch(host, id)->content, data);
}

TEST_F(FetchTest, LossAndDoublingOnlyCostTime) {
  found(5);
  const Bytes data = noise(10'000, 1);
  const BlobId id = store(data);
  cluster->weather.loss = 0.3;
  cluster->weather.doubling = 0.3;
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(fetch(i % 5, id)->content, data);
}

}  // namespace
}  // namespace dunlin
