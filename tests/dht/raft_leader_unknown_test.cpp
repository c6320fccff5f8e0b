// A follower whose leader was made a voter by an entry that has not come here yet. It must watch
// that leader all the same: trusting it for ever, it would refuse its vote to all others (Q7).
#include <gtest/gtest.h>

#include "dht/lone_raft.h"

namespace dunlin {
namespace {

struct UnknownLeader : public ::testing::Test, LoneRaft {
  NodeId old_leader = named(2), third = named(3), new_leader = named(4);

  void SetUp() override {
    for (const NodeId& peer : {old_leader, third, new_leader}) peers.heard(peer, 1, 0, turn.now);
    const GroupConfig voters{{{self, 1}, {old_leader, 1}, {third, 1}}, {}, {}};
    raft->receive(
        turn, old_leader,
        {GroupId{0}, 1, 1, 1, Append{0, 0, 0, {{1, EntryKind::kConfig, encode(voters)}}}});
    ASSERT_TRUE(raft->config().is_voter({self, 1}));
    raft->receive(turn, new_leader, {GroupId{0}, 1, 7, 3, Append{7, 3, 0, {}}});
    ASSERT_EQ(raft->leader(), new_leader);
  }
  bool grants_pre_vote(const NodeId& to) {
    turn.messages.clear();
    raft->receive(turn, to, {GroupId{0}, 1, 1, 4, VoteRequest{true, false, 9, 3}});
    const auto* reply = std::get_if<VoteReply>(&turn.messages.at(0).message.body);
    return reply != nullptr && reply->granted;
  }
};

TEST_F(UnknownLeader, IsWatched) {
  std::set<NodeId> watched;
  raft->add_peers(watched);
  EXPECT_TRUE(watched.contains(new_leader));
}

TEST_F(UnknownLeader, IsAskedWhetherItLeads) {
  turn.messages.clear();
  raft->doubt(turn);
  ASSERT_EQ(turn.messages.size(), 1u);
  EXPECT_EQ(turn.messages[0].to, new_leader);
  EXPECT_EQ(turn.messages[0].message.to, 7u);
}

TEST_F(UnknownLeader, MayBeReplacedOnceItIsSuspected) {
  EXPECT_FALSE(grants_pre_vote(third));
  peers.of(new_leader).suspected = true;
  raft->peer_suspected(turn, new_leader);
  EXPECT_TRUE(grants_pre_vote(third));
}

TEST_F(UnknownLeader, IsWatchedNoMoreWhenItLeadsNoMore) {
  const std::uint64_t before = raft->peers_version();
  raft->receive(turn, new_leader, {GroupId{0}, 1, 7, 3, NotLeading{}});
  EXPECT_GT(raft->peers_version(), before);
  std::set<NodeId> watched;
  raft->add_peers(watched);
  EXPECT_FALSE(watched.contains(new_leader));
}

}  // namespace
}  // namespace dunlin
