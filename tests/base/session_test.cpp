#include "base/session.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "base/token.h"

namespace dunlin {
namespace {

Key32 session_key_of(std::uint64_t seed) {
  Random random(seed);
  Key32 key;
  random.fill(key);
  return key;
}

ClusterId cluster_of(std::uint8_t n) {
  ClusterId cluster;
  cluster.raw[0] = n;
  return cluster;
}

Identity identity(std::uint64_t seed, ClusterId cluster = cluster_of(1)) {
  return {key_pair_from_seed(session_key_of(seed)), 7, cluster};
}

const Key32 kMemberPsk = session_key_of(100);
const KeyName kKeyName = key_name_of_epoch(3);

Session::Target target(std::uint64_t listener_seed) {
  return {SessionMode::kMember, kKeyName, kMemberPsk, identity(listener_seed).keys.public_key};
}

std::optional<Key32> session_lookup(SessionMode mode, const KeyName& name) {
  if (mode == SessionMode::kMember && name == kKeyName) return kMemberPsk;
  if (mode == SessionMode::kJoin && name.raw[0] == 9) return session_key_of(101);
  if (mode == SessionMode::kClient && name.raw[0] == 9) return client_psk(session_key_of(101));
  return std::nullopt;
}

// Two ends and the bytes between them, handed over whole or in crumbs.
struct Pair {
  Session dialer;
  Session listener;
  std::vector<Bytes> at_dialer;
  std::vector<Bytes> at_listener;
  Result<void> dialer_result;
  Result<void> listener_result;
  std::size_t to_listener = 0;
  std::size_t to_dialer = 0;
  std::size_t crumb = 1 << 20;

  Pair(Session d, Session l) : dialer(std::move(d)), listener(std::move(l)) {}

  static void feed(Session& to, ByteView bytes, std::size_t crumb, std::vector<Bytes>& frames,
                   Result<void>& result) {
    while (!bytes.empty() && result) {
      const std::size_t n = std::min(crumb, bytes.size());
      result = to.receive(bytes.first(n), frames);
      bytes = bytes.subspan(n);
    }
  }

  void run(Verdict verdict = Verdict::kAdmitted) {
    while (dialer.has_output() || listener.has_output()) {
      const Bytes forth = dialer.take_output(4096);
      to_listener += forth.size();
      feed(listener, forth, crumb, at_listener, listener_result);
      if (listener.phase() == Session::Phase::kDeciding) {
        listener.decide(verdict);
      }
      const Bytes back = listener.take_output(4096);
      to_dialer += back.size();
      feed(dialer, back, crumb, at_dialer, dialer_result);
    }
  }
};

Pair member_pair() {
  return {Session::dial(identity(1), target(2), session_key_of(11)),
          Session::listen(identity(2), session_lookup, session_key_of(12))};
}

Bytes bytes_of(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  random.fill(bytes);
  return bytes;
}

TEST(Session, TellsBothEndsWhoTheOtherIs) {
  Pair pair = member_pair();
  pair.run();
  ASSERT_EQ(pair.dialer.phase(), Session::Phase::kOpen);
  ASSERT_EQ(pair.listener.phase(), Session::Phase::kOpen);
  EXPECT_EQ(pair.dialer.peer().id, identity(2).id());
  EXPECT_EQ(pair.dialer.peer().key, identity(2).keys.public_key);
  EXPECT_EQ(pair.dialer.peer().boot, 7U);
  EXPECT_EQ(pair.listener.peer().id, identity(1).id());
  EXPECT_EQ(pair.listener.peer().mode, SessionMode::kMember);
  EXPECT_EQ(pair.listener.peer().key_name, kKeyName);
}

TEST(Session, CarriesFramesOfAllSizesBothWaysInOrder) {
  for (const std::size_t crumb : {std::size_t{1} << 20, std::size_t{65536}, std::size_t{1000}}) {
    Pair pair = member_pair();
    pair.crumb = crumb;
    std::vector<Bytes> frames;
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kMaxRecord - 1, kMaxRecord,
                                   kMaxRecord + 1, std::size_t{3} * kMaxRecord, kMaxFrame}) {
      frames.push_back(bytes_of(size, size));
    }
    for (const Bytes& frame : frames) {
      pair.dialer.send(frame);
      pair.listener.send(frame);
    }
    pair.run();
    EXPECT_EQ(pair.at_listener, frames);
    EXPECT_EQ(pair.at_dialer, frames);
    EXPECT_EQ(pair.dialer.queued_bytes(), 0U);
  }
}

TEST(Session, WorksWhenBytesComeOneByOne) {
  Pair pair = member_pair();
  pair.crumb = 1;
  pair.dialer.send(bytes_of(100, 1));
  pair.listener.send(bytes_of(kMaxRecord + 5, 2));
  pair.run();
  EXPECT_EQ(pair.at_listener.size(), 1U);
  ASSERT_EQ(pair.at_dialer.size(), 1U);
  EXPECT_EQ(pair.at_dialer[0], bytes_of(kMaxRecord + 5, 2));
}

TEST(Session, TakesNoMoreOutputThanAskedForAndOneRecord) {
  Pair pair = member_pair();
  pair.run();
  pair.dialer.send(bytes_of(kMaxFrame, 1));
  EXPECT_LE(pair.dialer.take_output(1000).size(), 1000 + kMaxRecord + 64);
}

TEST(Session, RefusesAnotherClusterInFewBytes) {
  Pair pair = {Session::dial(identity(1, cluster_of(2)), target(2), session_key_of(11)),
               Session::listen(identity(2), session_lookup, session_key_of(12))};
  pair.run();
  ASSERT_FALSE(pair.dialer_result);
  ASSERT_FALSE(pair.listener_result);
  EXPECT_EQ(pair.dialer_result.error().code, Code::kConflict);
  EXPECT_EQ(pair.dialer_result.error().message, "the two ends belong to different clusters");
  EXPECT_LE(pair.to_dialer, 4U);
}

TEST(Session, RefusesAWrongKeyInFewBytes) {
  Session::Target wrong = target(2);
  wrong.psk = session_key_of(999);
  Pair pair = {Session::dial(identity(1), wrong, session_key_of(11)),
               Session::listen(identity(2), session_lookup, session_key_of(12))};
  pair.run();
  ASSERT_FALSE(pair.listener_result);
  EXPECT_EQ(pair.listener_result.error().message, "a hello that does not prove its key");
  ASSERT_FALSE(pair.dialer_result);
  EXPECT_EQ(pair.dialer_result.error().code, Code::kRefused);
  EXPECT_LE(pair.to_dialer, 4U);
}

TEST(Session, RefusesAnUnknownTokenInFewBytes) {
  KeyName token;
  token.raw[0] = 8;
  Pair pair = {
      Session::dial(identity(1), {SessionMode::kJoin, token, kMemberPsk, {}}, session_key_of(11)),
      Session::listen(identity(2), session_lookup, session_key_of(12))};
  pair.run();
  ASSERT_FALSE(pair.dialer_result);
  EXPECT_EQ(pair.dialer_result.error().message, "the token is not valid there (any more)");
  EXPECT_LE(pair.to_dialer, 4U);
}

TEST(Session, AdmitsAHolderOfATokenWithASmallerLimit) {
  KeyName token;
  token.raw[0] = 9;
  Pair pair = {Session::dial(identity(1), {SessionMode::kJoin, token, session_key_of(101), {}},
                             session_key_of(11)),
               Session::listen(identity(2), session_lookup, session_key_of(12))};
  pair.dialer.send(bytes_of(kMaxJoinFrame, 5));
  pair.run();
  EXPECT_EQ(pair.listener.peer().mode, SessionMode::kJoin);
  EXPECT_EQ(pair.listener.peer().key_name, token);
  ASSERT_EQ(pair.at_listener.size(), 1U);
  EXPECT_EQ(pair.at_listener[0].size(), kMaxJoinFrame);
  EXPECT_EQ(pair.listener.max_frame(), kMaxJoinFrame);
}

TEST(Session, TellsTheDialerWhichVersionTheListenerSpeaks) {
  Session dialer = Session::dial(identity(1), target(2), session_key_of(11));
  Session listener = Session::listen(identity(2), session_lookup, session_key_of(12));
  Bytes hello = dialer.take_output(1000);
  hello[6] = 9;
  std::vector<Bytes> frames;
  const auto at_listener = listener.receive(hello, frames);
  ASSERT_FALSE(at_listener);
  const std::string ours = ", this one " + std::to_string(kProtocolVersion);
  EXPECT_EQ(at_listener.error().message, "the other end speaks protocol version 9" + ours);
  Bytes refusal = listener.take_output(1000);
  ASSERT_EQ(refusal.size(), 4U);
  refusal[2] = 42;  // as a later version would say
  const auto at_dialer = dialer.receive(refusal, frames);
  ASSERT_FALSE(at_dialer);
  EXPECT_EQ(at_dialer.error().code, Code::kRefused);
  EXPECT_EQ(at_dialer.error().message, "the other end speaks protocol version 42" + ours);
}

TEST(Session, TellsTheDialerThatItIsNotAdmitted) {
  Pair pair = member_pair();
  pair.run(Verdict::kNotAdmitted);
  EXPECT_EQ(pair.listener.phase(), Session::Phase::kClosed);
  ASSERT_FALSE(pair.dialer_result);
  EXPECT_EQ(pair.dialer_result.error().message, "the cluster does not admit this node");

  Pair another = member_pair();
  another.run(Verdict::kBusy);
  ASSERT_FALSE(another.dialer_result);
  EXPECT_EQ(another.dialer_result.error().code, Code::kLimit);
  EXPECT_FALSE(another.dialer.is_outlived());

  Pair copy = member_pair();
  copy.run(Verdict::kOutlived);
  ASSERT_FALSE(copy.dialer_result);
  EXPECT_TRUE(copy.dialer.is_outlived());
}

TEST(Session, ShowsThatAnotherNodeAnswers) {
  Pair pair = {Session::dial(identity(1), target(3), session_key_of(11)),
               Session::listen(identity(2), session_lookup, session_key_of(12))};
  pair.run();
  ASSERT_FALSE(pair.dialer_result);
  EXPECT_EQ(pair.dialer_result.error().code, Code::kConflict);
}

TEST(Session, ShowsThatANodeTalksToItself) {
  Pair pair = {Session::dial(identity(1), {SessionMode::kMember, kKeyName, kMemberPsk, {}},
                             session_key_of(11)),
               Session::listen(identity(1), session_lookup, session_key_of(12))};
  pair.run();
  ASSERT_FALSE(pair.dialer_result);
  EXPECT_EQ(pair.dialer_result.error().code, Code::kConflict);
}

// A member that knows the key still cannot pass for another.
TEST(Session, RefusesAnIdentityThatIsNotTheSendersOwn) {
  Identity liar = identity(1);
  liar.keys.public_key = identity(3).keys.public_key;
  Pair pair = {Session::dial(liar, target(2), session_key_of(11)),
               Session::listen(identity(2), session_lookup, session_key_of(12))};
  pair.run();
  ASSERT_FALSE(pair.listener_result);
  EXPECT_EQ(pair.listener_result.error().message,
            "the other end claims an identity that is not its own");
}

TEST(Session, NoticesAnyChangedByteOfTheHandshake) {
  const Bytes hello = Session::dial(identity(1), target(2), session_key_of(11)).take_output(1000);
  for (std::size_t i = 0; i < hello.size(); ++i) {
    Session listener = Session::listen(identity(2), session_lookup, session_key_of(12));
    Bytes changed = hello;
    changed[i] ^= 0x10;
    std::vector<Bytes> frames;
    EXPECT_FALSE(listener.receive(changed, frames)) << i;
    EXPECT_LE(listener.take_output(1000).size(), 4U);
  }
}

TEST(Session, NoticesAnyChangedByteOfARecord) {
  const std::size_t size = 2 + 4 + 10 + kTagSize;
  for (std::size_t i = 0; i < size; ++i) {
    Pair pair = member_pair();
    pair.run();
    pair.dialer.send(bytes_of(10, 1));
    Bytes record = pair.dialer.take_output(1000);
    ASSERT_EQ(record.size(), size);
    record[i] ^= 0x01;
    append(record, Bytes(300));  // so that a longer length is not merely waited for
    EXPECT_FALSE(pair.listener.receive(record, pair.at_listener)) << i;
    EXPECT_TRUE(pair.at_listener.empty());
  }
}

TEST(Session, RefusesARepeatedRecord) {
  Pair pair = member_pair();
  pair.run();
  pair.dialer.send(bytes_of(10, 1));
  const Bytes record = pair.dialer.take_output(1000);
  EXPECT_TRUE(pair.listener.receive(record, pair.at_listener));
  EXPECT_FALSE(pair.listener.receive(record, pair.at_listener));
  EXPECT_EQ(pair.at_listener.size(), 1U);
}

TEST(Session, NeverSendsAStrangerMoreThanItGot) {
  Random random(5);
  for (int i = 0; i < 3000; ++i) {
    Bytes hello = Session::dial(identity(1), target(2), session_key_of(11)).take_output(1000);
    const std::uint64_t kind = random.below(3);
    if (kind == 0) random.fill(hello);
    if (kind == 1) hello[random.below(hello.size())] ^= static_cast<std::uint8_t>(random.next());
    hello.resize(random.below(hello.size() + 1));
    Session listener = Session::listen(identity(2), session_lookup, session_key_of(12));
    std::vector<Bytes> frames;
    (void)listener.receive(hello, frames);
    EXPECT_LE(listener.take_output(1 << 20).size(), hello.size());
    EXPECT_TRUE(frames.empty());
  }
}

Pair client_pair(const Key32& psk, std::uint8_t token = 9) {
  KeyName name;
  name.raw[0] = token;
  return {Session::dial(identity(1), {SessionMode::kClient, name, psk, std::nullopt},
                        session_key_of(11)),
          Session::listen(identity(2), session_lookup, session_key_of(12))};
}

TEST(Session, CarriesTheBytesOfAClientThatProvesItsToken) {
  Pair pair = client_pair(client_psk(session_key_of(101)));
  pair.run();
  ASSERT_EQ(pair.dialer.phase(), Session::Phase::kOpen);
  EXPECT_EQ(pair.listener.peer().mode, SessionMode::kClient);
  EXPECT_EQ(pair.listener.peer().key_name.raw[0], 9);
  EXPECT_EQ(pair.listener.max_frame(), kMaxClientFrame);
  pair.dialer.send(bytes_of(kMaxClientFrame, 5));
  pair.listener.send(bytes_of(100, 6));
  pair.run();
  EXPECT_EQ(pair.at_listener.at(0), bytes_of(kMaxClientFrame, 5));
  EXPECT_EQ(pair.at_dialer.at(0), bytes_of(100, 6));
}

TEST(Session, TellsAClientNothingBeforeItHasProvedItsToken) {
  // A token that is not known; and what proves a joiner proves no client.
  for (const bool is_known : {false, true}) {
    Pair pair = is_known ? client_pair(session_key_of(101))
                         : client_pair(client_psk(session_key_of(101)), 8);
    pair.run();
    ASSERT_FALSE(pair.dialer_result);
    EXPECT_EQ(pair.dialer_result.error().message, "the token is not known there");
    EXPECT_LE(pair.to_dialer, 4U);
  }
}

TEST(Session, TellsAClientWhyItsTokenIsOfNoUse) {
  const std::pair<Verdict, const char*> verdicts[] = {
      {Verdict::kTokenExpired, "the token has expired"},
      {Verdict::kTokenRevoked, "the token was revoked"},
      {Verdict::kTokenOfNode, "the token is one for nodes, not for users"}};
  for (const auto& [verdict, line] : verdicts) {
    Pair pair = client_pair(client_psk(session_key_of(101)));
    pair.run(verdict);
    ASSERT_FALSE(pair.dialer_result);
    EXPECT_EQ(pair.dialer_result.error().code, Code::kRefused);
    EXPECT_EQ(pair.dialer_result.error().message, line);
  }
}

}  // namespace
}  // namespace dunlin
