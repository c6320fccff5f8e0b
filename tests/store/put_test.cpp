#include "store/puts.h"

#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

using store::Deposit;
using store::PutAnswer;

constexpr Pin kPutPin{GroupId{7}, 42};

class PutTest : public testing::Test {
 protected:
  void found(std::size_t count) {
    cluster.emplace(count * 31, count);
    cluster->run_for(seconds(1));
  }
  // Ends when the caller is told.
  std::uint64_t put(std::size_t i, Bytes data, Pin pin = kPutPin) {
    const auto token = cluster->put(i, std::move(data), pin);
    cluster->run_until([&] { return cluster->ended(i, token); });
    return token;
  }
  // Hosts that the ring names for it, best first: those that take it in fair weather.
  std::vector<std::size_t> owners(const Bytes& data) {
    std::vector<RingNode> nodes;
    for (std::size_t i = 0; i < cluster->size(); ++i) nodes.push_back({cluster->host(i).id, "", 1});
    std::vector<std::size_t> found;
    const auto ids = Ring(nodes).owners(position_of(blob_id_of(data)), 3);
    for (const NodeId& id : ids) found.push_back(cluster->index_of(id));
    return found;
  }
  std::size_t bystander(const Bytes& data) {
    const auto own = owners(data);
    std::size_t i = 0;
    while (std::ranges::find(own, i) != own.end()) ++i;
    return i;
  }
  void TearDown() override {
    ASSERT_TRUE(cluster);
    EXPECT_TRUE(cluster->broken().empty()) << cluster->broken().front();
  }

  std::optional<StoreCluster> cluster;
};

TEST_F(PutTest, OneNodeAloneStoresWithOneCopy) {
  found(1);
  const auto token = put(0, noise(1000, 1));
  const auto* stored = cluster->event<BlobStored>(0, token);
  ASSERT_NE(stored, nullptr);
  EXPECT_EQ(stored->holders, std::vector<NodeId>{cluster->host(0).id});
  EXPECT_EQ(stored->blob, (BlobRef{blob_id_of(noise(1000, 1)), 1000}));
}

TEST_F(PutTest, BlobsOfAllSizesGoToTheThreeOwners) {
  found(5);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, store::kMaxUnasked,
                                 store::kMaxUnasked + 1, std::size_t{100'000}, kMaxBlob}) {
    const Bytes data = noise(size, size);
    const auto token = put(0, data);
    ASSERT_NE(cluster->event<BlobStored>(0, token), nullptr) << size;
    cluster->run_for(seconds(1));
    for (const std::size_t owner : owners(data)) {
      EXPECT_TRUE(cluster->host(owner).disk.has_sound(blob_id_of(data))) << size;
    }
    EXPECT_EQ(cluster->sound_copies(blob_id_of(data)), 3U) << size;
  }
}

TEST_F(PutTest, ABlobOverTheLimitIsRefused) {
  found(1);
  const auto* failed = cluster->event<BlobPutFailed>(0, put(0, Bytes(kMaxBlob + 1)));
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->error.code, Code::kUsage);
}

TEST_F(PutTest, MorePutsThanTheLimitAreRefusedAndTheOthersSucceed) {
  found(3);
  for (std::size_t i = 0; i <= kMaxPuts; ++i) cluster->put(0, noise(10, i), kPutPin);
  const auto& refused = cluster->host(0).events;
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(std::get<BlobPutFailed>(refused.front()).error.code, Code::kLimit);
  cluster->run_for(seconds(10));
  EXPECT_EQ(cluster->acknowledged().size(), kMaxPuts);
}

TEST_F(PutTest, ASilentOwnerIsReplacedByTheNextOnTheRing) {
  found(5);
  const Bytes data = noise(50'000, 1);
  for (const std::size_t owner : owners(data)) {
    if (owner == owners(data).front()) continue;
    cluster->crash(owner);  // nobody has noticed yet
  }
  const auto token = put(bystander(data), data);
  ASSERT_NE(cluster->event<BlobStored>(bystander(data), token), nullptr);
  EXPECT_GE(cluster->sound_copies(blob_id_of(data)), 2U);
}

TEST_F(PutTest, ASuspectedOwnerIsPassedOverAtOnce) {
  found(5);
  const Bytes data = noise(50'000, 1);
  const std::size_t putter = bystander(data);
  cluster->crash(owners(data)[0]);
  cluster->crash(owners(data)[1]);
  cluster->suspect(putter, owners(data)[0]);
  cluster->suspect(putter, owners(data)[1]);
  const Instant before = cluster->now();
  const auto token = put(putter, data);
  ASSERT_NE(cluster->event<BlobStored>(putter, token), nullptr);
  EXPECT_LT(cluster->now() - before, milliseconds(100));
}

TEST_F(PutTest, SuspicionInTheMiddleTurnsToAnotherAtOnce) {
  found(5);
  const Bytes data = noise(50'000, 1);
  const std::size_t putter = bystander(data);
  for (const std::size_t owner : owners(data)) cluster->crash(owner);
  const auto token = cluster->put(putter, data, kPutPin);
  cluster->run_for(milliseconds(100));
  EXPECT_FALSE(cluster->ended(putter, token));
  for (const std::size_t owner : owners(data)) cluster->suspect(putter, owner);
  cluster->run_for(milliseconds(100));
  EXPECT_NE(cluster->event<BlobStored>(putter, token), nullptr);
}

TEST_F(PutTest, OfTwoNodesASilentOneIsWaitedForUntilItIsDeclaredDead) {
  found(2);
  cluster->crash(1);
  const auto token = cluster->put(0, noise(10, 1), kPutPin);
  cluster->run_for(seconds(10));
  EXPECT_FALSE(cluster->ended(0, token));
  cluster->declare(1, StoreMemberState::kSuspect);
  cluster->run_for(seconds(10));
  EXPECT_FALSE(cluster->ended(0, token));
  cluster->declare(1, StoreMemberState::kDead);
  cluster->run_for(seconds(1));
  const auto* stored = cluster->event<BlobStored>(0, token);
  ASSERT_NE(stored, nullptr);
  EXPECT_EQ(stored->holders.size(), 1U);
}

TEST_F(PutTest, WithoutASecondHolderItFailsAtTheDeadlineAndSaysWhoWasSilent) {
  found(2);
  cluster->crash(1);
  const auto* failed = cluster->event<BlobPutFailed>(0, put(0, noise(10, 1)));
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->error.code, Code::kTimeout);
  EXPECT_NE(failed->error.message.find(cluster->host(1).id.short_text()), std::string::npos);
  EXPECT_NE(failed->error.message.find("1 of 2"), std::string::npos);
}

TEST_F(PutTest, WhoIsBackIsAskedAgain) {
  found(2);
  cluster->partition({1});
  const auto token = cluster->put(0, noise(10, 1), kPutPin);
  cluster->run_for(seconds(5));
  cluster->heal();
  cluster->run_for(seconds(5));
  EXPECT_NE(cluster->event<BlobStored>(0, token), nullptr);
}

TEST_F(PutTest, AFullDiskIsPassedOver) {
  found(5);
  const Bytes data = noise(50'000, 1);
  cluster->set_disk(owners(data)[0], 1ULL << 40, 1000);
  const std::size_t putter = bystander(data);
  const auto* stored = cluster->event<BlobStored>(putter, put(putter, data));
  ASSERT_NE(stored, nullptr);
  cluster->run_for(seconds(1));
  EXPECT_FALSE(cluster->host(owners(data)[0]).disk.find(blob_id_of(data)));
  EXPECT_EQ(cluster->sound_copies(blob_id_of(data)), 3U);
}

TEST_F(PutTest, WhenAllDisksAreFullTheErrorNamesANodeAndItsSpace) {
  found(3);
  for (std::size_t i = 0; i < 3; ++i) cluster->set_disk(i, 1ULL << 40, 5 << 20);
  const auto* failed = cluster->event<BlobPutFailed>(0, put(0, noise(10, 1)));
  ASSERT_NE(failed, nullptr);
  EXPECT_EQ(failed->error.code, Code::kLimit);
  EXPECT_NE(failed->error.message.find("5 MiB"), std::string::npos) << failed->error.message;
}

TEST_F(PutTest, ContentThatAHolderHasIsNotSentToItAgain) {
  found(3);
  put(0, noise(100'000, 1));
  cluster->run_for(seconds(1));
  const std::uint64_t bytes = cluster->bytes();
  const auto token = put(1, noise(100'000, 1), {GroupId{1}, 43});
  ASSERT_NE(cluster->event<BlobStored>(1, token), nullptr);
  cluster->run_for(seconds(1));
  EXPECT_LT(cluster->bytes() - bytes, 2000U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(cluster->host(i).disk.has_pin(blob_id_of(noise(100'000, 1)), {GroupId{1}, 43}));
  }
}

TEST_F(PutTest, HaveItRestsOnACopyThatWasLookedAt) {
  found(3);
  const Bytes data = noise(100'000, 1);
  put(0, data);
  cluster->run_for(seconds(1));
  ASSERT_TRUE(cluster->flip_bit(1, blob_id_of(data)));
  ASSERT_TRUE(cluster->flip_bit(2, blob_id_of(data)));
  for (const std::size_t i : {1, 2}) {
    cluster->crash(i);
    cluster->restart(i);
  }
  cluster->run_for(milliseconds(500));
  const auto token = put(0, data, {GroupId{1}, 43});
  ASSERT_NE(cluster->event<BlobStored>(0, token), nullptr);
  cluster->run_for(seconds(1));
  EXPECT_EQ(cluster->sound_copies(blob_id_of(data)), 3U);
}

TEST_F(PutTest, AnOwnRottenCopyIsReplacedByThePutsContent) {
  found(1);
  const Bytes data = noise(100'000, 1);
  put(0, data);
  ASSERT_TRUE(cluster->flip_bit(0, blob_id_of(data)));
  cluster->crash(0);
  cluster->restart(0);
  cluster->run_for(seconds(1));
  ASSERT_NE(cluster->event<BlobStored>(0, put(0, data)), nullptr);
  EXPECT_EQ(cluster->sound_copies(blob_id_of(data)), 1U);
}

TEST_F(PutTest, LostAndDoubledMessagesChangeNothing) {
  found(3);
  cluster->weather.loss = 0.3;
  cluster->weather.doubling = 0.3;
  for (std::uint64_t i = 0; i < 50; ++i) put(i % 3, noise(i * 300, i));
  EXPECT_EQ(cluster->acknowledged().size(), 50U);
}

TEST_F(PutTest, NothingLeavesBeforeItIsDurable) {
  found(2);
  cluster->host(1).disk_free_at = cluster->now() + seconds(5);  // its disk hangs so long
  const auto token = cluster->put(0, noise(10, 1), kPutPin);
  cluster->run_for(seconds(4));
  EXPECT_FALSE(cluster->ended(0, token));
  cluster->run_for(seconds(2));
  EXPECT_NE(cluster->event<BlobStored>(0, token), nullptr);
}

TEST_F(PutTest, APeersWindowIsNeverExceeded) {
  found(2);
  cluster->weather.shortest = cluster->weather.longest = milliseconds(50);
  std::int64_t in_flight = 0, most = 0;
  cluster->tap = [&](std::size_t, std::size_t, const Bytes& frame) {
    if (frame[2] == kind_of<Deposit>()) in_flight += static_cast<std::int64_t>(frame.size());
    if (frame[2] == kind_of<PutAnswer>()) {
      const auto message = decode<store::Message>(ByteView(frame).subspan(1));
      const auto& answer = std::get<PutAnswer>(*message);
      if (answer.verdict == store::PutVerdict::kStored) in_flight -= 1 << 20;
    }
    most = std::max(most, in_flight);
  };
  for (std::uint64_t i = 0; i < 60; ++i) cluster->put(0, noise(1 << 20, i), kPutPin);
  cluster->run_for(seconds(20));
  EXPECT_EQ(cluster->acknowledged().size(), 60U);
  EXPECT_GT(most, 8 << 20);
  EXPECT_LE(most, static_cast<std::int64_t>(store::kMaxInFlightPerPeer) + (1 << 16));
}

TEST_F(PutTest, AnAnswerMeantForAnEarlierLifeIsNone) {
  found(2);
  cluster->partition({1});
  const auto token = cluster->put(0, noise(10, 1), kPutPin);
  cluster->run_for(milliseconds(10));
  const BlobId id = blob_id_of(noise(10, 1));
  for (std::uint64_t operation = 0; operation < 1000; ++operation) {
    const Bytes frame = frame_of(PutAnswer{operation, id, store::PutVerdict::kStored, 0});
    cluster->with(0, [&](Blobs& blobs, Effects& out) {
      blobs.receive(cluster->now(), cluster->host(1).id, frame, out);
    });
  }
  EXPECT_FALSE(cluster->ended(0, token));
}

TEST_F(PutTest, AMemberUnknownYetIsNoReasonToCountOnOneCopy) {
  found(1);
  // A second life that knows no members must not take itself for the whole cluster.
  Blobs fresh(cluster->host(0).id, {}, Random(1));
  Effects out;
  fresh.start(cluster->now(), out);
  fresh.put(cluster->now(), 1, kPutPin, noise(10, 1), out);
  EXPECT_TRUE(out.file_writes.empty());
  EXPECT_TRUE(fresh.take_events().empty());
}

}  // namespace
}  // namespace dunlin
