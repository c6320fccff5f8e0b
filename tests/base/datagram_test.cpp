#include "base/datagram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace dunlin {
namespace {

Key32 key_of(std::uint64_t seed) {
  Random random(seed);
  Key32 key;
  random.fill(key);
  return key;
}

Identity identity(std::uint64_t seed, Boot boot) {
  ClusterId cluster;
  cluster.raw[0] = 1;
  return {key_pair_from_seed(key_of(seed)), boot, cluster};
}

const NodeId kA = identity(1, 1).id();
const NodeId kB = identity(2, 1).id();
const Key32 kFirst = key_of(50);
const Key32 kSecond = key_of(51);

// Knows nodes 1 to 3.
std::optional<PublicKey> lookup(NodeId id) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Identity known = identity(seed, 1);
    if (known.id() == id) return known.keys.public_key;
  }
  return std::nullopt;
}

Datagrams node(std::uint64_t seed, Boot boot, KeyRing ring = {{{1, kFirst}}}) {
  Datagrams datagrams(identity(seed, boot), lookup);
  datagrams.set_keys(ring);
  return datagrams;
}

// Long after anything that a test did before, so that no hint is withheld.
Instant later() {
  static Instant now;
  now = now + seconds(10);
  return now;
}

const Bytes kFrame = to_bytes("a frame of some length");

// Makes both know the other's boot.
void acquaint(Datagrams& a, Datagrams& b) {
  const Bytes packet = *a.seal(later(), kB, kFrame);
  const auto asked = b.open(later(), packet);
  ASSERT_TRUE(asked && asked->reply);
  ASSERT_TRUE(a.open(later(), *asked->reply));
  ASSERT_TRUE(b.open(later(), *a.seal(later(), kB, kFrame))->frame);
  ASSERT_TRUE(a.open(later(), *b.seal(later(), kA, kFrame))->frame);
}

struct DatagramPair : testing::Test {
  Datagrams a = node(1, 5);
  Datagrams b = node(2, 8);
  void SetUp() override { acquaint(a, b); }
};

TEST(Datagrams, DeliverAfterABootHintWasExchanged) {
  Datagrams a = node(1, 5);
  Datagrams b = node(2, 8);
  const Instant now = later();
  const Bytes first = *a.seal(now, kB, kFrame);
  const auto at_b = b.open(now, first);
  ASSERT_TRUE(at_b);
  EXPECT_EQ(at_b->from, kA);
  EXPECT_EQ(at_b->boot, 5U);
  EXPECT_FALSE(at_b->frame);
  ASSERT_TRUE(at_b->reply);
  EXPECT_LE(at_b->reply->size(), first.size());

  const auto at_a = a.open(now, *at_b->reply);
  ASSERT_TRUE(at_a);
  EXPECT_EQ(at_a->boot, 8U);
  EXPECT_FALSE(at_a->frame);
  EXPECT_FALSE(at_a->reply);
  ASSERT_TRUE(at_a->resend);
  const auto again = b.open(now, *at_a->resend);
  ASSERT_TRUE(again && again->frame);
  EXPECT_EQ(*again->frame, kFrame);
}

TEST(Datagrams, NeedNoHintWhenTheBootIsToldBeforehand) {
  Datagrams a = node(1, 5);
  Datagrams b = node(2, 8);
  a.learn_boot(kB, 8);
  const auto at_b = b.open(later(), *a.seal(later(), kB, kFrame));
  ASSERT_TRUE(at_b);
  EXPECT_EQ(at_b->frame, kFrame);
  EXPECT_FALSE(at_b->reply);
}

TEST(Datagrams, RecoverFromAWrongTaleOfABoot) {
  Datagrams a = node(1, 5);
  Datagrams b = node(2, 8);
  a.learn_boot(kB, 99);
  const auto at_b = b.open(later(), *a.seal(later(), kB, kFrame));
  ASSERT_TRUE(at_b && at_b->reply);
  ASSERT_TRUE(a.open(later(), *at_b->reply));
  EXPECT_EQ(b.open(later(), *a.seal(later(), kB, kFrame))->frame, kFrame);
}

TEST_F(DatagramPair, CarryFramesOfEveryAllowedSize) {
  for (std::size_t size = 0; size <= kMaxDatagram; size += size < 20 ? 1 : 59) {
    const Bytes frame(size, 0x5a);
    const auto packet = a.seal(later(), kB, frame);
    ASSERT_TRUE(packet);
    EXPECT_LE(packet->size(), kMaxPacket);
    EXPECT_EQ(b.open(later(), *packet)->frame, frame);
  }
  const auto too_large = a.seal(later(), kB, Bytes(kMaxDatagram + 1));
  ASSERT_FALSE(too_large);
  EXPECT_EQ(too_large.error().code, Code::kLimit);
}

TEST_F(DatagramPair, AreRefusedTheSecondTime) {
  const Bytes packet = *a.seal(later(), kB, kFrame);
  EXPECT_TRUE(b.open(later(), packet));
  const auto again = b.open(later(), packet);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kRefused);
}

TEST_F(DatagramPair, MayBeReorderedWithinTheWindowButNotBeyond) {
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < kReplayWindow + 1; ++i) packets.push_back(*a.seal({}, kB, kFrame));
  for (std::size_t i = packets.size(); i-- > 1;) EXPECT_TRUE(b.open({}, packets[i])) << i;
  EXPECT_FALSE(b.open({}, packets[0]));
  for (const Bytes& packet : packets) EXPECT_FALSE(b.open({}, packet));
}

TEST(ReplayWindow, AgreesWithASetOfAllThatWasSeen) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t newest = 0;
    bool is_empty = true;
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t jump = random.chance(0.05) ? 3 * kReplayWindow : 20;
      std::uint64_t counter = newest + random.below(jump);
      counter -= std::min(counter, random.below(kReplayWindow + 200));
      const bool is_too_old = !is_empty && counter + kReplayWindow <= newest;
      ASSERT_EQ(window.is_fresh(counter), !is_too_old && !seen.contains(counter));
      if (!window.is_fresh(counter)) continue;
      window.take(counter);
      seen.insert(counter);
      newest = std::max(newest, counter);
      is_empty = false;
    }
  }
}

TEST_F(DatagramPair, CannotMoveTheWindowWithoutTheTag) {
  Bytes forged = *a.seal(later(), kB, kFrame);
  put_u64(forged.data() + 34, 1'000'000);  // the counter
  EXPECT_FALSE(b.open(later(), forged));
  EXPECT_EQ(b.open(later(), *a.seal(later(), kB, kFrame))->frame, kFrame);
}

TEST_F(DatagramPair, AreRefusedWithAnyByteChanged) {
  const Bytes packet = *a.seal(later(), kB, kFrame);
  for (std::size_t i = 0; i < packet.size(); ++i) {
    Bytes changed = packet;
    changed[i] ^= 1;
    EXPECT_FALSE(b.open(later(), changed)) << i;
  }
  EXPECT_TRUE(b.open(later(), packet));
}

TEST_F(DatagramPair, AreRefusedInAnotherCluster) {
  Identity other = identity(2, 8);
  other.cluster.raw[0] = 2;
  Datagrams b2(other, lookup);
  b2.set_keys({{{1, kFirst}}});
  EXPECT_FALSE(b2.open(later(), *a.seal(later(), kB, kFrame)));
}

TEST_F(DatagramPair, AreRefusedFromStrangersAndToStrangers) {
  Datagrams stranger = node(4, 1);
  const auto packet = stranger.seal(later(), kB, kFrame);
  ASSERT_TRUE(packet);
  EXPECT_EQ(b.open(later(), *packet).error().code, Code::kRefused);
  EXPECT_EQ(a.seal(later(), identity(4, 1).id(), kFrame).error().code, Code::kNotFound);
  EXPECT_EQ(a.seal(later(), kA, kFrame).error().code, Code::kNotFound);
}

TEST_F(DatagramPair, ReachAPeerThatStartedAgain) {
  b = node(2, 9);
  const auto at_b = b.open(later(), *a.seal(later(), kB, kFrame));
  ASSERT_TRUE(at_b);
  EXPECT_FALSE(at_b->frame) << "it was sealed for an earlier life";
  ASSERT_TRUE(at_b->reply);
  ASSERT_TRUE(a.open(later(), *at_b->reply));
  EXPECT_EQ(b.open(later(), *a.seal(later(), kB, kFrame))->frame, kFrame);
  EXPECT_EQ(a.open(later(), *b.seal(later(), kA, kFrame))->frame, kFrame);
}

TEST_F(DatagramPair, OfAnEarlierLifeOfTheSenderAreNotDelivered) {
  const Bytes old_packet = *a.seal(later(), kB, kFrame);
  a = node(1, 6);
  a.learn_boot(kB, 8);
  EXPECT_EQ(b.open(later(), *a.seal(later(), kB, kFrame))->frame, kFrame);
  const auto at_b = b.open(later(), old_packet);
  ASSERT_TRUE(at_b);
  EXPECT_FALSE(at_b->frame);
  EXPECT_EQ(at_b->boot, 5U);
}

TEST_F(DatagramPair, TellARestoredCopyOfItsLaterLife) {
  Datagrams later_a = node(1, 6);
  later_a.learn_boot(kB, 8);
  ASSERT_TRUE(b.open(later(), *later_a.seal(later(), kB, kFrame)));
  const auto at_b = b.open(later(), *a.seal(later(), kB, kFrame));
  ASSERT_TRUE(at_b && at_b->reply);
  EXPECT_TRUE(a.open(later(), *at_b->reply)->has_newer_self);
  EXPECT_FALSE(b.open(later(), *later_a.seal(later(), kB, kFrame))->has_newer_self);
}

TEST_F(DatagramPair, TakeAHandshakesWordForABoot) {
  EXPECT_TRUE(b.prove_boot(kA, 5));
  EXPECT_FALSE(b.prove_boot(kA, 4));
  const Bytes packet_of_5 = *a.seal(later(), kB, kFrame);
  EXPECT_TRUE(b.prove_boot(kA, 6));
  EXPECT_FALSE(b.open(later(), packet_of_5)->frame);
}

TEST_F(DatagramPair, HintSeldomAndNeverAnswerAHint) {
  const Instant now = later();
  Datagrams other = node(1, 6);
  int replies = 0;
  for (int i = 0; i < 100; ++i) {
    const Bytes packet = *other.seal(now, kB, kFrame);
    const auto at_b = b.open(now + milliseconds(i), packet);
    ASSERT_TRUE(at_b);
    if (!at_b->reply) continue;
    ++replies;
    EXPECT_LE(at_b->reply->size(), packet.size());
    const auto hint_to_another_life = a.open(now, *at_b->reply);
    ASSERT_TRUE(hint_to_another_life);
    EXPECT_FALSE(hint_to_another_life->reply);
  }
  EXPECT_EQ(replies, 1);
}

TEST_F(DatagramPair, FollowARotationOfKeysWithoutLoss) {
  auto exchange = [&] {
    EXPECT_EQ(b.open(later(), *a.seal(later(), kB, kFrame))->frame, kFrame);
    EXPECT_EQ(a.open(later(), *b.seal(later(), kA, kFrame))->frame, kFrame);
  };
  a.set_keys({{{1, kFirst}, {2, kSecond}}});
  exchange();
  b.set_keys({{{1, kFirst}, {2, kSecond}}});
  exchange();
  a.set_keys({{{2, kSecond}, {1, kFirst}}});
  exchange();
  b.set_keys({{{2, kSecond}, {1, kFirst}}});
  exchange();
  EXPECT_EQ((*a.seal(later(), kB, kFrame))[1], 2) << "the old key is no longer used";
  a.set_keys({{{2, kSecond}}});
  exchange();
  b.set_keys({{{2, kSecond}}});
  exchange();
}

TEST_F(DatagramPair, AnswerAPeerThatReturnsWithThePreviousKey) {
  b.set_keys({{{2, kSecond}, {1, kFirst}}});
  EXPECT_EQ(b.open(later(), *a.seal(later(), kB, kFrame))->frame, kFrame);
  EXPECT_EQ(a.open(later(), *b.seal(later(), kA, kFrame))->frame, kFrame);
  b.set_keys({{{2, kSecond}}});
  EXPECT_FALSE(b.open(later(), *a.seal(later(), kB, kFrame)));
}

TEST_F(DatagramPair, NeverUseACounterTwiceUnderOneKey) {
  std::set<Bytes> headers;
  for (int i = 0; i < 300; ++i) {
    if (i % 7 == 0) a.set_keys({{{2, kSecond}, {1, kFirst}}});
    if (i % 7 == 3) a.set_keys({{{1, kFirst}}});
    if (i % 11 == 0) a.learn_boot(kB, static_cast<Boot>(100 + i % 3));
    Bytes packet = *a.seal(later(), kB, kFrame);
    packet.resize(kDatagramHeader);
    EXPECT_TRUE(headers.insert(packet).second);
  }
}

TEST_F(DatagramPair, SurviveArbitraryBytes) {
  Random random(9);
  for (int i = 0; i < 5000; ++i) {
    Bytes packet = *a.seal(later(), kB, kFrame);
    if (random.chance(0.3)) random.fill(packet);
    if (random.chance(0.5))
      packet[random.below(packet.size())] ^= static_cast<std::uint8_t>(1 + random.below(255));
    else
      packet.resize(random.below(packet.size()));
    const auto received = b.open(later(), packet);
    EXPECT_FALSE(received);
  }
}

}  // namespace
}  // namespace dunlin
