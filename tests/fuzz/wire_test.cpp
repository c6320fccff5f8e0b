// Arbitrary and mutated bytes to everything that reads the network before it knows the sender:
// nothing may crash (run it under ASan), and no stranger may be answered with more than he sent.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/datagram.h"
#include "base/random.h"
#include "base/session.h"
#include "base/token.h"
#include "fuzz/arbitrary.h"

namespace dunlin {
namespace {

constexpr std::uint64_t kSeeds = 400;

Key32 key_of(std::uint64_t seed) {
  Random random(seed);
  Key32 key;
  random.fill(key);
  return key;
}

Identity identity(std::uint64_t seed) {
  return {key_pair_from_seed(key_of(seed)), 1, ClusterId{}};
}

// Both directions of a session whose bytes are changed with some probability at each step.
void run_session(std::uint64_t seed, double rate, std::size_t& opened, std::size_t& failed) {
  Random random(seed);
  const auto lookup = [](SessionMode, const KeyName&) { return std::optional(key_of(9)); };
  Session dialer = Session::dial(
      identity(1), {SessionMode::kMember, key_name_of_epoch(1), key_of(9), {}}, key_of(seed));
  Session listener = Session::listen(identity(2), lookup, key_of(seed + 1000));
  dialer.send(Bytes(random.below(40'000), 1));
  listener.send(Bytes(random.below(40'000), 2));
  std::vector<Bytes> frames;
  bool is_over = false;
  auto pass = [&](Session& from, Session& to) {
    Bytes bytes = from.take_output(random.below(20'000));
    if (random.chance(rate)) fuzz::mutate(bytes, random);
    while (!bytes.empty() && !is_over) {
      const std::size_t crumb = 1 + random.below(bytes.size());
      is_over = !to.receive(ByteView(bytes).first(crumb), frames);
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(crumb));
      if (to.phase() == Session::Phase::kDeciding) to.decide(Verdict::kAdmitted);
    }
  };
  for (int turn = 0; turn < 50 && !is_over; ++turn) {
    pass(dialer, listener);
    if (!is_over) pass(listener, dialer);
  }
  if (rate == 0) {
    EXPECT_EQ(frames.size(), 2U) << "what is not changed must arrive, seed " << seed;
  }
  for (const Bytes& frame : frames) {
    const std::set<std::uint8_t> values(frame.begin(), frame.end());
    EXPECT_LE(values.size(), 1U) << "a changed frame was delivered, seed " << seed;
  }
  opened += dialer.phase() == Session::Phase::kOpen;
  failed += is_over;
}

TEST(Fuzz, SessionsDeliverTheTruthOrNothing) {
  std::size_t opened = 0;
  std::size_t failed = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    run_session(seed, seed % 4 == 0 ? 0 : 0.3, opened, failed);
  }
  EXPECT_GE(opened, kSeeds / 4) << "without changes a session must open";
  EXPECT_GE(failed, kSeeds / 4) << "the changes must have been met";
}

TEST(Fuzz, ListenersNeverAnswerAStrangerWithMoreThanHeSent) {
  Random random(1);
  const auto lookup = [](SessionMode, const KeyName&) { return std::optional(key_of(9)); };
  const Bytes hello =
      Session::dial(identity(1), {SessionMode::kMember, key_name_of_epoch(1), key_of(9), {}},
                    key_of(3))
          .take_output(1000);
  for (std::uint64_t i = 0; i < 10 * kSeeds; ++i) {
    Bytes bytes = hello;
    fuzz::mutate(bytes, random);
    Session listener = Session::listen(identity(2), lookup, key_of(4));
    std::vector<Bytes> frames;
    (void)listener.receive(bytes, frames);
    EXPECT_LE(listener.take_output(1 << 20).size(), bytes.size());
  }
}

TEST(Fuzz, DatagramsDeliverTheTruthOnceOrNothing) {
  const auto lookup = [](NodeId id) -> std::optional<PublicKey> {
    for (const std::uint64_t seed : {1, 2}) {
      if (identity(seed).id() == id) return identity(seed).keys.public_key;
    }
    return std::nullopt;
  };
  Datagrams a(identity(1), lookup);
  Datagrams b(identity(2), lookup);
  a.set_keys({{{1, key_of(9)}}});
  b.set_keys({{{1, key_of(9)}}});
  Random random(2);
  std::vector<Bytes> kept;
  std::set<Bytes> delivered;
  std::uint64_t sent = 0;
  for (std::uint64_t i = 0; i < 20 * kSeeds; ++i) {
    const Instant now{static_cast<std::int64_t>(i) * 10'000};
    Bytes frame(8 + random.below(300));
    put_u64(frame.data(), ++sent);
    Bytes packet = *a.seal(now, identity(2).id(), frame);
    if (random.chance(0.2)) kept.push_back(packet);
    if (!kept.empty() && random.chance(0.2)) packet = kept[random.below(kept.size())];
    if (random.chance(0.3)) fuzz::mutate(packet, random);
    const auto received = b.open(now, packet);
    if (!received) continue;
    if (received->frame) {
      EXPECT_TRUE(delivered.insert(*received->frame).second);
    }
    if (received->reply) {
      EXPECT_LE(received->reply->size(), packet.size());
      EXPECT_TRUE(a.open(now, *received->reply));
    }
  }
  EXPECT_GE(delivered.size(), sent / 3) << "what is not changed must arrive";
  EXPECT_LT(delivered.size(), sent);
}

TEST(Fuzz, TokensAreWhatTheyWereOrRefused) {
  Random random(3);
  JoinToken token;
  random.fill(token.secret);
  for (std::uint64_t i = 0; i < 10 * kSeeds; ++i) {
    Bytes text = to_bytes(token.text());
    fuzz::mutate(text, random);
    const auto parsed = JoinToken::parse(as_text(text));
    if (parsed) {
      EXPECT_EQ(JoinToken::parse(parsed->text())->psk(), parsed->psk());
    }
  }
}

}  // namespace
}  // namespace dunlin
