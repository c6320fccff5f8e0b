#include "dht/router.h"

#include <gtest/gtest.h>

#include "dht/raft_cluster.h"

namespace dunlin {
namespace {

constexpr GroupId kRouted{0};

// Five hosts, one group: two of them hold no replica of it.
class RouterTest : public ::testing::Test {
 protected:
  RouterTest() : cluster_({.nodes = 5, .groups = 1}) {
    cluster_.found(0);
    for (std::size_t i = 1; i < 5; ++i) cluster_.start(i);
    const bool grown = cluster_.run_until(
        [&] {
          leader_ = cluster_.leader_of(kRouted).value_or(99);
          return leader_ != 99 && cluster_.groups(leader_).config(kRouted)->voters.size() == 3 &&
                 !cluster_.groups(leader_).config(kRouted)->is_joint();
        },
        seconds(10));
    EXPECT_TRUE(grown);
    cluster_.run_for(seconds(5));
    leader_ = *cluster_.leader_of(kRouted);
  }

  std::size_t outsider() {
    for (std::size_t i = 0; i < 5; ++i) {
      if (!cluster_.groups(i).config(kRouted)) return i;
    }
    return 99;
  }

  // The one answer, when it has come.
  const Result<Bytes>* wait(std::uint64_t token, Duration most) {
    cluster_.run_until([&] { return !cluster_.answers(token).empty(); }, most);
    const auto& answers = cluster_.answers(token);
    return answers.size() == 1 ? &answers[0] : nullptr;
  }

  Cluster cluster_;
  std::size_t leader_ = 99;
};

TEST_F(RouterTest, FindsTheLeaderFromEveryNode) {
  for (std::size_t i = 0; i < 5; ++i) {
    const auto* answer = wait(cluster_.request(i, kRouted, "echo", seconds(5)), seconds(5));
    ASSERT_NE(answer, nullptr) << "from node " << i;
    ASSERT_TRUE(answer->has_value());
    EXPECT_EQ(to_text(**answer), "from " + std::to_string(leader_));
  }
}

TEST_F(RouterTest, PassesOnTheLeadersOwnErrors) {
  const auto* answer =
      wait(cluster_.request(outsider(), kRouted, "refuse", seconds(5)), seconds(5));
  ASSERT_NE(answer, nullptr);
  ASSERT_FALSE(answer->has_value());
  EXPECT_EQ(answer->error().code, Code::kConflict);
  EXPECT_EQ(answer->error().message, "no");
}

TEST_F(RouterTest, AsksTheNextLeaderWhenOneDies) {
  const std::size_t from = outsider();
  const std::uint64_t token = cluster_.request(from, kRouted, "silence", seconds(30));
  cluster_.run_for(seconds(1));
  const std::uint64_t before = cluster_.requests_served();
  EXPECT_EQ(before, 1U);
  cluster_.crash(leader_);
  cluster_.run_until([&] { return cluster_.requests_served() > before; }, seconds(10));
  EXPECT_EQ(cluster_.requests_served(), before + 1);
  EXPECT_TRUE(cluster_.answers(token).empty());
  const auto* answer = wait(cluster_.request(from, kRouted, "payload", seconds(5)), seconds(5));
  ASSERT_NE(answer, nullptr);
  EXPECT_TRUE(answer->has_value());
}

TEST_F(RouterTest, NamesTheMissingHostsAtTheDeadline) {
  const GroupConfig config = *cluster_.groups(leader_).config(kRouted);
  std::vector<std::size_t> others;
  for (const Seat& seat : config.voters) {
    if (seat.node != cluster_.id(leader_)) others.push_back(cluster_.index_of(seat.node));
  }
  for (const std::size_t node : others) cluster_.crash(node);
  cluster_.run_for(seconds(4));
  const auto* answer = wait(cluster_.request(leader_, kRouted, "payload", seconds(3)), seconds(4));
  ASSERT_NE(answer, nullptr);
  ASSERT_FALSE(answer->has_value());
  EXPECT_EQ(answer->error().code, Code::kTimeout);
  for (const std::size_t node : others) {
    EXPECT_NE(answer->error().message.find(cluster_.id(node).text()), std::string::npos)
        << answer->error().message;
  }
}

TEST_F(RouterTest, AnswersOnceHoweverManyCopiesArrive) {
  cluster_.set_loss(0.3, 0.5, 0.2);
  std::vector<std::uint64_t> tokens;
  for (std::size_t i = 0; i < 40; ++i) {
    tokens.push_back(cluster_.request(i % 5, kRouted, "work " + std::to_string(i), seconds(20)));
    cluster_.run_for(milliseconds(50));
  }
  cluster_.set_loss(0, 0, 0);
  cluster_.run_for(seconds(21));
  for (const std::uint64_t token : tokens) {
    ASSERT_EQ(cluster_.answers(token).size(), 1U);
    EXPECT_TRUE(cluster_.answers(token)[0].has_value());
  }
  EXPECT_EQ(cluster_.violation(), "");
}

TEST_F(RouterTest, RefusesWhatIsOverItsLimits) {
  Effects out;
  cluster_.router(0).request(cluster_.now(), 1, kRouted, Bytes(Router::kMaxBody + 1),
                             cluster_.now() + seconds(1), out);
  cluster_.router(0).request(cluster_.now(), 2, GroupId{77}, {}, cluster_.now() + seconds(1), out);
  const std::vector<RouterEvent> events = cluster_.router(0).take_events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(std::get<RouterReply>(events[0]).result.error().code, Code::kLimit);
  EXPECT_EQ(std::get<RouterReply>(events[1]).result.error().code, Code::kNotFound);
}

TEST_F(RouterTest, ForgetsACancelledRequest) {
  const std::uint64_t token = cluster_.request(outsider(), kRouted, "echo", seconds(1));
  cluster_.router(outsider()).cancel(token);
  cluster_.run_for(seconds(2));
  EXPECT_TRUE(cluster_.answers(token).empty());
  EXPECT_EQ(cluster_.router(outsider()).next_deadline(), Instant::never());
}

TEST_F(RouterTest, DropsMalformedFrames) {
  Random random(5);
  Effects out;
  for (int i = 0; i < 2000; ++i) {
    Bytes frame(1 + random.below(60));
    random.fill(frame);
    frame[0] = static_cast<std::uint8_t>(Module::kRouter);
    cluster_.router(1).receive(cluster_.now(), cluster_.id(2), frame, out);
  }
  EXPECT_TRUE(cluster_.router(1).take_events().empty());
}

}  // namespace
}  // namespace dunlin
