#include "node/status.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

NodeId node(std::uint8_t n) {
  NodeId id;
  id.raw[0] = n;
  return id;
}

std::map<NodeId, Member> members(std::uint8_t alive, std::uint8_t dead) {
  std::map<NodeId, Member> all;
  for (std::uint8_t n = 1; n <= alive + dead; ++n) {
    Member member;
    member.facts.id = node(n);
    member.state = n <= alive ? MemberState::kAlive : MemberState::kDead;
    all[node(n)] = member;
  }
  return all;
}

StatusShare leads(std::uint16_t group, std::vector<NodeId> voters) {
  StatusShare share;
  share.led.push_back({{group}, std::move(voters)});
  return share;
}

StatusShare share_of(std::uint64_t query) {
  StatusShare share;
  share.query = query;
  return share;
}

TEST(Status, OneHostCanLoseNoneAndIsFullyReplicatedAllTheSame) {
  const client::Status status =
      sum_of_shares({}, 1, {{node(1), leads(0, {node(1)})}}, members(1, 0));
  EXPECT_EQ(status.can_lose, 0U);
  EXPECT_EQ(status.groups_fully_replicated, 1U);
  EXPECT_EQ(status.groups_with_quorum, 1U);
}

TEST(Status, OnlyWhoIsThereDrains) {
  std::map<NodeId, Member> all = members(2, 0);
  for (auto& [id, member] : all) member.load.draining = true;
  all[node(2)].state = MemberState::kLeft;
  EXPECT_EQ(sum_of_shares({}, 1, {{node(1), leads(0, {node(1)})}}, all).draining, 1U);
}

TEST(Status, WhileAGroupsVotersChangeBothSetsAreNeeded) {
  StatusShare share = leads(0, {node(1), node(2), node(3)});
  share.led.push_back({{0}, {node(1)}});
  const client::Status status = sum_of_shares({}, 1, {{node(1), share}}, members(3, 0));
  EXPECT_EQ(status.groups_with_quorum, 1U);
  EXPECT_EQ(status.groups_fully_replicated, 0U);
  EXPECT_EQ(status.can_lose, 0U);
}

TEST(Status, ThreeVotersCanLoseOne) {
  const client::Status status =
      sum_of_shares({}, 1, {{node(1), leads(0, {node(1), node(2), node(3)})}}, members(3, 0));
  EXPECT_EQ(status.can_lose, 1U);
}

TEST(Status, AGroupStillOnOneVoterMeansThatNothingCanBeLost) {
  StatusShare share = leads(0, {node(1), node(2), node(3)});
  share.led.push_back({{1}, {node(1)}});
  const client::Status status = sum_of_shares({}, 2, {{node(1), share}}, members(3, 0));
  EXPECT_EQ(status.can_lose, 0U);
  EXPECT_EQ(status.groups_fully_replicated, 1U);
}

TEST(Status, ADeadVoterUsesUpTheSpare) {
  const client::Status status =
      sum_of_shares({}, 1, {{node(1), leads(0, {node(1), node(2), node(4)})}}, members(3, 1));
  EXPECT_EQ(status.can_lose, 0U);
  EXPECT_EQ(status.groups_fully_replicated, 0U);
}

TEST(Status, AGroupThatNobodyLeadsIsNamedAndEndsTheSpare) {
  const client::Status status =
      sum_of_shares({}, 2, {{node(1), leads(0, {node(1), node(2), node(3)})}}, members(3, 0));
  EXPECT_EQ(status.groups_with_quorum, 1U);
  EXPECT_EQ(status.silent_groups, 1U);
  EXPECT_EQ(status.can_lose, 0U);
}

TEST(Status, UnderReplicatedBlobsEndTheSpare) {
  StatusShare share = leads(0, {node(1), node(2), node(3)});
  share.blobs = 10;
  share.blobs_under_replicated = 1;
  EXPECT_EQ(sum_of_shares({}, 1, {{node(1), share}}, members(3, 0)).can_lose, 0U);
}

// A leader died: the next one is elected while the status is gathered.
TEST(Status, AGroupThatIsElectingALeaderIsGivenTime) {
  StatusGatherer gatherer(node(1), {}, 2);
  const auto all = members(2, 1);
  Effects out;
  ASSERT_TRUE(gatherer.begin(Instant{}, 7, all, out));
  EXPECT_EQ(out.sends.size(), 2U);
  StatusShare first = leads(0, {node(1), node(2)});
  StatusShare second = leads(1, {node(1), node(2)});
  first.query = second.query = 1;
  gatherer.on_share(node(1), first, all);
  gatherer.on_share(node(2), share_of(1), all);
  EXPECT_TRUE(gatherer.take_ended().empty());

  gatherer.tick(gatherer.next_deadline(), all, out);
  EXPECT_EQ(out.sends.size(), 4U) << "both are asked again";
  gatherer.on_share(node(2), second, all);
  const auto ended = gatherer.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].request, 7U);
  EXPECT_EQ(ended[0].status.groups_with_quorum, 2U);
}

TEST(Status, AGroupThatStaysWithoutALeaderIsSaidInTheEnd) {
  StatusGatherer gatherer(node(1), {}, 1);
  const auto all = members(1, 2);
  Effects out;
  ASSERT_TRUE(gatherer.begin(Instant{}, 7, all, out));
  gatherer.on_share(node(1), share_of(1), all);
  for (int i = 0; i < 20 && gatherer.next_deadline() != Instant::never(); ++i) {
    gatherer.tick(gatherer.next_deadline(), all, out);
  }
  const auto ended = gatherer.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].status.silent_groups, 1U);
}

}  // namespace
}  // namespace dunlin
