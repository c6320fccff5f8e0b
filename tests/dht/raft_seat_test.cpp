// A leader and a learner whose node can never take its seat, and says so.
#include <gtest/gtest.h>

#include <algorithm>

#include "dht/lone_raft.h"

namespace dunlin {
namespace {

struct DeniedSeat : public ::testing::Test, LoneRaft {
  NodeId other = named(2);

  void SetUp() override {
    raft->found(turn);
    settle();
    raft->campaign(turn);  // votes for itself
    settle();              // and leads when that is durable
    settle();              // its first entry too
    ASSERT_TRUE(raft->is_established());
    peers.heard(other, 1, 0, turn.now);
    seat(3);
  }
  void settle() {
    turn.durable_row = ++turn.out.row;
    raft->on_durable(turn);
    raft->tick(turn);
  }
  void seat(Generation generation) {
    ASSERT_EQ(raft->last() + 1, generation);
    raft->change_config(turn, {{raft->self()}, {}, {{other, generation}}});
    settle();
  }
  void say_gone(Generation generation) {
    raft->receive(turn, other, {GroupId{0}, 1, generation, raft->term(), Gone{}});
  }
  std::size_t messages_within(Duration time) {
    turn.messages.clear();
    const Instant end = turn.now + time;
    for (; turn.now <= end; turn.now = turn.now + milliseconds(100)) raft->tick(turn);
    return turn.messages.size();
  }
};

TEST_F(DeniedSeat, IsWrittenToNoMore) {
  EXPECT_GT(messages_within(seconds(60)), 5u);
  say_gone(3);
  EXPECT_TRUE(raft->is_gone({other, 3}));
  raft->peer_recovered(turn, other);
  EXPECT_EQ(messages_within(seconds(60)), 0u);
}

// It never answers that, either.
TEST_F(DeniedSeat, IsToldSoOftenThatItWasRemovedAndNoOftener) {
  const auto farewells = [&] {
    return std::ranges::count_if(turn.messages, [](const auto& sent) {
      return std::holds_alternative<Removed>(sent.message.body);
    });
  };
  turn.messages.clear();
  raft->change_config(turn, {{raft->self()}, {}, {}});
  settle();
  const auto first = farewells();
  messages_within(seconds(600));
  EXPECT_EQ(first + farewells(), 16);
  EXPECT_EQ(messages_within(seconds(600)), 0u);
}

TEST_F(DeniedSeat, IsForgottenWithTheNextOneInItsPlace) {
  say_gone(3);
  seat(4);
  EXPECT_FALSE(raft->is_gone({other, 4}));
  EXPECT_GT(messages_within(seconds(1)), 0u);
  say_gone(3);
  EXPECT_GT(messages_within(seconds(10)), 0u);
  for (const auto& message : turn.messages) EXPECT_EQ(message.message.to, 4u);
  EXPECT_FALSE(raft->is_gone({other, 4}));
}

}  // namespace
}  // namespace dunlin
