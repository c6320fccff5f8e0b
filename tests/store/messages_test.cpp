// Whatever arrives, and however often: no frame ends a node or makes it say what is not so.
#include "store/messages.h"

#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

// Every frame of a cluster in heavy weather.
std::vector<Bytes> real_frames() {
  StoreConfig config;
  config.repair_delay = seconds(2);
  config.compare_delay = seconds(1);
  StoreCluster cluster(1, 5, config);
  std::vector<Bytes> frames;
  cluster.tap = [&](std::size_t, std::size_t, const Bytes& frame) { frames.push_back(frame); };
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 60; ++i) cluster.put(i % 5, noise(i * 150, i), {GroupId{1}, i});
  cluster.run_for(seconds(5));
  cluster.put(2, noise(4500, 30), {GroupId{1}, 100});
  for (const Acknowledged& ack : cluster.acknowledged()) cluster.flip_bit(0, ack.blob.id);
  for (const Acknowledged& ack : cluster.acknowledged()) {
    cluster.fetch(1, ack.blob.id, {cluster.host(0).id});
  }
  cluster.crash(3);
  cluster.declare(3, StoreMemberState::kDead);
  cluster.run_for(seconds(60));
  cluster.with(4, [&](Blobs& blobs, Effects& out) { blobs.prepare_to_leave(cluster.now(), out); });
  cluster.run_for(seconds(60));
  cluster.with(0, [&](Blobs& blobs, Effects& out) {
    blobs.release(cluster.now(), cluster.acknowledged().front().blob.id, {GroupId{1}, 0}, out);
  });
  cluster.run_for(seconds(1));
  return frames;
}

Bytes damaged(Bytes frame, Random& random) {
  switch (random.below(4)) {
    case 0: frame.resize(random.below(frame.size() + 1)); break;
    case 1: frame.push_back(static_cast<std::uint8_t>(random.next())); break;
    default:
      for (std::uint64_t i = random.below(4) + 1; i > 0; --i) {
        frame[random.below(frame.size())] = static_cast<std::uint8_t>(random.next());
      }
  }
  return frame;
}

TEST(Messages, AllKindsOccurAndComeBackAsTheyWere) {
  std::set<std::size_t> kinds;
  for (const Bytes& frame : real_frames()) {
    ASSERT_LE(frame.size(), kMaxFrame);
    const auto message = decode<store::Message>(ByteView(frame).subspan(1));
    ASSERT_TRUE(message);
    kinds.insert(message->index());
    EXPECT_EQ(frame_of(*message), frame);
  }
  for (std::size_t kind = 0; kind < std::variant_size_v<store::Message>; ++kind) {
    EXPECT_TRUE(kinds.contains(kind)) << "no message of kind " << kind;
  }
}

TEST(Messages, DamagedAndRandomFramesDoNoHarm) {
  Random random(5);
  const std::vector<Bytes> frames = real_frames();
  StoreCluster cluster(9, 3);
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 30; ++i) cluster.put(i % 3, noise(i * 200, i), {GroupId{1}, i});
  cluster.run_for(seconds(60));
  for (int round = 0; round < 20'000; ++round) {
    Bytes frame = damaged(frames[random.below(frames.size())], random);
    if (round % 10 == 0) {
      frame.resize(random.below(100));
      random.fill(frame);
      if (!frame.empty()) frame[0] = static_cast<std::uint8_t>(Module::kStore);
    }
    const std::size_t to = random.below(3);
    cluster.with(to, [&](Blobs& blobs, Effects& out) {
      blobs.receive(cluster.now(), cluster.host(random.below(3)).id, frame, out);
    });
    if (round % 50 == 0) cluster.run_for(milliseconds(100));
  }
  cluster.run_for(seconds(300));
  ASSERT_TRUE(cluster.broken().empty()) << cluster.broken().front();
  EXPECT_EQ(cluster.acknowledged().size(), 30U);
  EXPECT_EQ(cluster.unreadable(), std::vector<std::string>{});
}

TEST(Messages, OldFramesSentAgainDoNoHarm) {
  StoreCluster cluster(10, 3);
  std::vector<std::tuple<std::size_t, std::size_t, Bytes>> seen;
  cluster.tap = [&](std::size_t from, std::size_t to, const Bytes& frame) {
    seen.emplace_back(from, to, frame);
  };
  cluster.run_for(seconds(1));
  for (std::uint64_t i = 0; i < 30; ++i) cluster.put(i % 3, noise(i * 300, i), {GroupId{1}, i});
  cluster.run_for(seconds(60));
  cluster.tap = nullptr;
  const auto old = seen;
  for (const auto& [from, to, frame] : old) {
    cluster.with(to, [&](Blobs& blobs, Effects& out) {
      blobs.receive(cluster.now(), cluster.host(from).id, frame, out);
    });
  }
  cluster.run_for(seconds(60));
  ASSERT_TRUE(cluster.broken().empty()) << cluster.broken().front();
  EXPECT_EQ(cluster.acknowledged().size(), 30U);
  EXPECT_EQ(cluster.deleted(), 0U);
  EXPECT_EQ(cluster.under_replicated(), 0U);
}

TEST(Messages, AContentThatIsNotItsNameIsNotKept) {
  StoreCluster cluster(11, 2);
  cluster.run_for(seconds(1));
  const BlobId id = blob_id_of(noise(10, 1));
  const Bytes lie = frame_of(store::Deposit{1, id, {GroupId{1}, 1}, noise(10, 2)});
  cluster.with(0, [&](Blobs& blobs, Effects& out) {
    blobs.receive(cluster.now(), cluster.host(1).id, lie, out);
  });
  cluster.run_for(seconds(1));
  EXPECT_FALSE(cluster.host(0).blobs->holds(id));
  EXPECT_TRUE(cluster.host(0).disk.facts.empty());
}

}  // namespace
}  // namespace dunlin
