#include "gossip/messages.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "people.h"

namespace dunlin::gossip {
namespace {

using test::card;
using test::id_of;
using test::person;

Record record(std::uint8_t number) {
  return {card(number), {1, 2, MemberState::kAlive, 0}, 7, 1, 99, 3};
}

std::vector<Message> one_of_each() {
  const Bytes update =
      encode_update(Status{id_of(1), {3, 4, MemberState::kSuspect, 1}, {id_of(2)}});
  SyncReply reply;
  reply.bucket_count = 64;
  reply.buckets = {1, 63};
  reply.records = {record(1), record(2)};
  reply.route_bucket_count = 16;
  reply.route_buckets = {15};
  reply.routes = {{GroupId{15}, 2, id_of(1), 1}};
  return {Ping{1, 2, {update}},
          Ack{1, 2, 3, {update, update}},
          PingRequest{5, id_of(3), 400, {}},
          PingReport{5, true},
          News{{update}},
          SyncRequest{{card(1), {1, 0, MemberState::kAlive, 0}},
                      std::vector<std::uint64_t>(64, 1),
                      std::vector<std::uint64_t>(16, 2)},
          reply,
          SyncPush{{record(3)}, reply.routes},
          Heartbeat{1, 1000, true, true, 7, 8}};
}

TEST(Messages, EveryOneSurvivesItsEncoding) {
  for (const Message& message : one_of_each()) {
    const Bytes frame = encode_frame(message);
    const Result<Message> back = decode_frame(frame);
    ASSERT_TRUE(back.has_value()) << message.index();
    EXPECT_EQ(back->index(), message.index());
    EXPECT_EQ(encode_frame(*back), frame);
  }
}

TEST(Messages, OnlyHeartbeatsAreToldToBeHeartbeats) {
  for (const Message& message : one_of_each()) {
    EXPECT_EQ(is_heartbeat(encode_frame(message)), std::holds_alternative<Heartbeat>(message));
  }
  EXPECT_FALSE(is_heartbeat({}));
}

TEST(Messages, APingAtRestIsAFewBytes) {
  EXPECT_EQ(to_hex(encode_frame(Ping{5, 2, {}})),
            "0192009305"
            "0290");
  EXPECT_LE(encode_frame(Ack{70000, 300, ~0ULL, {}}).size(), 24U);
}

TEST(Messages, NoBytesCrashTheDecoder) {
  Random random(1);
  std::size_t decoded = 0;
  for (const Message& message : one_of_each()) {
    const Bytes frame = encode_frame(message);
    for (int i = 0; i < 2000; ++i) {
      Bytes bad = frame;
      const std::uint64_t flips = 1 + random.below(4);
      for (std::uint64_t f = 0; f < flips; ++f) {
        bad[random.below(bad.size())] = static_cast<std::uint8_t>(random.next());
      }
      if (random.chance(0.2)) bad.resize(random.below(bad.size() + 1));
      decoded += decode_frame(bad).has_value() ? 1 : 0;
      decode_update(bad);
    }
  }
  EXPECT_GT(decoded, 0U);
}

TEST(Messages, LimitsAreHeldByTheDecoder) {
  auto is_refused = [](const Message& message) {
    return !decode_frame(encode_frame(message)).has_value();
  };
  News news;
  news.news.resize(kMaxNews + 1);
  EXPECT_TRUE(is_refused(news));
  SyncRequest request{{card(1), {}}, std::vector<std::uint64_t>(63), {1}};
  EXPECT_TRUE(is_refused(request)) << "63 is no power of two";
  request.members.resize(512);
  EXPECT_TRUE(is_refused(request)) << "too many buckets";
  request.members.resize(64);
  EXPECT_FALSE(is_refused(request));
  SyncReply reply;
  reply.bucket_count = 4;
  reply.buckets = {4};
  EXPECT_TRUE(is_refused(reply)) << "no such bucket";
  reply.buckets = {3};
  reply.records = {record(1)};
  EXPECT_FALSE(is_refused(reply));
  reply.records[0].card.facts.id = id_of(2);
  EXPECT_TRUE(is_refused(reply)) << "a member with another's key";
  EXPECT_TRUE(is_refused(PingRequest{1, id_of(1), 3'600'000, {}})) << "waits for an hour";

  Status status{id_of(1), {}, std::vector<NodeId>(kMaxAccusers + 1)};
  EXPECT_FALSE(decode_update(encode_update(status)).has_value());
  status.accusers.resize(kMaxAccusers);
  EXPECT_TRUE(decode_update(encode_update(status)).has_value());
  status.standing.patience = kMaxPatience + 1;
  EXPECT_FALSE(decode_update(encode_update(status)).has_value());
}

TEST(Standing, TheNewerWins) {
  const Standing alive{1, 5, MemberState::kAlive, 0};
  EXPECT_FALSE(supersedes(alive, alive));
  EXPECT_TRUE(supersedes({1, 5, MemberState::kSuspect, 0}, alive));
  EXPECT_TRUE(supersedes({1, 6, MemberState::kAlive, 0}, {1, 5, MemberState::kDead, 0}));
  EXPECT_TRUE(supersedes({2, 0, MemberState::kAlive, 0}, {1, 9, MemberState::kLeft, 0}));
  EXPECT_TRUE(supersedes({1, 0, MemberState::kLeft, 0}, {1, 9, MemberState::kAlive, 0}));
  EXPECT_FALSE(supersedes({1, 9, MemberState::kAlive, 0}, {1, 0, MemberState::kLeft, 0}));
}

}  // namespace
}  // namespace dunlin::gossip
