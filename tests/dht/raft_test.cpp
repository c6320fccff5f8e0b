// The rules of the consensus core, one at a time, on a small cluster.
#include <gtest/gtest.h>

#include "dht/raft_cluster.h"

namespace dunlin {
namespace {

constexpr GroupId kRafted{0};

// A cluster with one group, grown to its full number of voters and at rest.
class RaftTest : public ::testing::Test {
 protected:
  void grow(int nodes, ClusterOptions options = {}) {
    options.nodes = nodes;
    options.groups = 1;
    cluster_ = std::make_unique<Cluster>(options);
    cluster_->found(0);
    for (std::size_t i = 1; i < cluster_->size(); ++i) cluster_->start(i);
    const std::size_t voters = nodes >= 3 ? 3 : 1;
    ASSERT_TRUE(cluster_->run_until([&] { return settled_with(voters); }, seconds(20)));
    cluster_->run_for(seconds(5));
    leader_ = *cluster_->leader_of(kRafted);
    for (const Seat& seat : config().voters) {
      if (cluster_->index_of(seat.node) != leader_) {
        followers_.push_back(cluster_->index_of(seat.node));
      }
    }
  }

  void TearDown() override {
    ASSERT_TRUE(cluster_);
    EXPECT_EQ(cluster_->violation(), "");
  }

  GroupConfig config() {
    const auto leader = cluster_->leader_of(kRafted);
    return leader ? *cluster_->groups(*leader).config(kRafted) : GroupConfig{};
  }
  bool settled_with(std::size_t voters) {
    const GroupConfig now = config();
    return now.voters.size() == voters && !now.is_joint();
  }
  bool is_voter(std::size_t node) {
    const GroupConfig now = config();
    return std::any_of(now.voters.begin(), now.voters.end(),
                       [&](const Seat& seat) { return seat.node == cluster_->id(node); });
  }
  Term term() { return cluster_->groups(*cluster_->leader_of(kRafted)).leading_term(kRafted); }
  void commit_one(Duration most = seconds(5)) {
    const std::uint64_t before = cluster_->acknowledged();
    const bool done = cluster_->run_until(
        [&] {
          if (cluster_->acknowledged() > before) return true;
          if (!asked_ || cluster_->now() >= ask_again_) {
            asked_ = cluster_->propose(kRafted);
            ask_again_ = cluster_->now() + milliseconds(100);
          }
          return false;
        },
        most);
    EXPECT_TRUE(done) << "nothing commits";
  }

  std::unique_ptr<Cluster> cluster_;
  std::size_t leader_ = 0;
  std::vector<std::size_t> followers_;
  bool asked_ = false;
  Instant ask_again_;
};

// ---- elections ----------------------------------------------------------------------------------

TEST_F(RaftTest, AnotherLeadsSoonAfterTheLeaderIsSuspected) {
  grow(3);
  cluster_->crash(leader_);
  Instant suspected = cluster_->now() + seconds(1);
  ASSERT_TRUE(
      cluster_->run_until([&] { return cluster_->leader_of(kRafted).has_value(); }, seconds(5)));
  // Suspicion takes up to 1.0 s in this harness; the election must not add much.
  EXPECT_LT(cluster_->now(), suspected + milliseconds(400));
  commit_one();
}

TEST_F(RaftTest, AnIsolatedFollowerDoesNotDisturbOnItsReturn) {
  grow(3);
  const Term before = term();
  cluster_->isolate(followers_[0]);
  cluster_->run_for(seconds(20));
  commit_one();
  cluster_->heal();
  cluster_->run_for(seconds(10));
  EXPECT_EQ(cluster_->leader_of(kRafted), leader_);
  EXPECT_EQ(term(), before);
  EXPECT_TRUE(cluster_->has_converged()) << cluster_->apart();
}

TEST_F(RaftTest, APartialPartitionLeavesTheLeaderWithItsQuorum) {
  grow(3);
  const Term before = term();
  cluster_->cut_both(leader_, followers_[0]);
  cluster_->run_for(seconds(15));
  EXPECT_EQ(cluster_->leader_of(kRafted), leader_);
  EXPECT_EQ(term(), before);
  commit_one();
}

TEST_F(RaftTest, ALeaderThatHearsNobodyStepsDownAndAnotherLeads) {
  grow(3);
  for (const std::size_t follower : followers_) cluster_->cut(follower, leader_);
  ASSERT_TRUE(cluster_->run_until(
      [&] { return cluster_->leader_of(kRafted) && *cluster_->leader_of(kRafted) != leader_; },
      seconds(10)));
  cluster_->run_for(seconds(3));
  EXPECT_FALSE(cluster_->groups(leader_).is_leading(kRafted));
  commit_one();
}

TEST_F(RaftTest, ALeaderWithoutQuorumStepsDownWithinItsGrace) {
  grow(3);
  for (const std::size_t follower : followers_) cluster_->crash(follower);
  cluster_->run_for(seconds(3));
  EXPECT_FALSE(cluster_->groups(leader_).is_leading(kRafted));
  for (const std::size_t follower : followers_) cluster_->start(follower);
  commit_one(seconds(10));
}

TEST_F(RaftTest, ARestartedFollowerFollowsWithoutAnElection) {
  grow(3);
  const Term before = term();
  cluster_->crash(followers_[0]);
  cluster_->run_for(seconds(3));
  commit_one();
  cluster_->start(followers_[0]);
  cluster_->run_for(seconds(3));
  EXPECT_EQ(term(), before);
  EXPECT_TRUE(cluster_->has_converged()) << cluster_->apart();
}

TEST_F(RaftTest, ARestartedLeaderIsReplacedAtOnceEvenIfNobodySuspectedIt) {
  grow(3);
  const Term before = term();
  cluster_->crash(leader_);
  cluster_->start(leader_);
  ASSERT_TRUE(
      cluster_->run_until([&] { return cluster_->leader_of(kRafted).has_value(); }, seconds(2)));
  EXPECT_GT(term(), before);
  commit_one();
}

// github.com/etcd-io/etcd/issues/8243 and 8501: one replica has the later term, the other the
// longer log; with pre-votes neither must wait for the other for ever.
TEST_F(RaftTest, ALaterTermAndALongerLogFindTogether) {
  cluster_ = std::make_unique<Cluster>(ClusterOptions{.nodes = 3, .groups = 1});
  GroupConfig three;
  for (std::size_t i = 0; i < 3; ++i) three.voters.push_back({cluster_->id(i), 1});
  std::sort(three.voters.begin(), three.voters.end());
  const EntryRecord first{kRafted, 1, 1, {1, EntryKind::kConfig, encode(three)}};
  const EntryRecord second{kRafted, 1, 2, {1, EntryKind::kNoop, {}}};
  const auto fact = [](Term term) {
    return std::map<std::string, Bytes>{{vote_key(kRafted), encode(VoteFact{1, false, term, {}})}};
  };
  cluster_->set_disk(0, fact(9), {first});
  cluster_->set_disk(1, fact(2), {first, second});
  cluster_->start(0);
  cluster_->start(1);
  ASSERT_TRUE(
      cluster_->run_until([&] { return cluster_->leader_of(kRafted).has_value(); }, seconds(10)));
  EXPECT_EQ(cluster_->leader_of(kRafted), 1U);
  EXPECT_GT(term(), 9U);
}

TEST_F(RaftTest, AHungDiskHandsLeadershipOver) {
  grow(3);
  cluster_->stall_storage(leader_, true);
  ASSERT_TRUE(cluster_->run_until(
      [&] { return cluster_->leader_of(kRafted) && *cluster_->leader_of(kRafted) != leader_; },
      seconds(2)));
  commit_one();
  cluster_->stall_storage(leader_, false);
  cluster_->run_for(seconds(5));
  EXPECT_TRUE(cluster_->has_converged()) << cluster_->apart();
}

// ---- rest ---------------------------------------------------------------------------------------

TEST_F(RaftTest, AGroupAtRestSendsNothing) {
  grow(3);
  commit_one();
  cluster_->run_for(seconds(5));
  const std::uint64_t frames = cluster_->group_frames();
  cluster_->run_for(seconds(300));
  EXPECT_EQ(cluster_->group_frames(), frames);
}

TEST_F(RaftTest, ADeadFollowerIsNotKnockedAtForEver) {
  grow(3);
  cluster_->crash(followers_[0]);
  commit_one();
  cluster_->run_for(seconds(20));
  const std::uint64_t frames = cluster_->group_frames();
  cluster_->run_for(seconds(100));
  EXPECT_EQ(cluster_->group_frames(), frames);
  cluster_->start(followers_[0]);
  cluster_->run_for(seconds(3));
  EXPECT_TRUE(cluster_->has_converged()) << cluster_->apart();
}

// ---- reads and proposals ------------------------------------------------------------------------

TEST_F(RaftTest, ACutOffLeaderAnswersNoReads) {
  grow(3);
  cluster_->isolate(leader_);
  cluster_->read_at(leader_, kRafted);
  const std::uint64_t before = cluster_->reads_done();
  commit_one(seconds(10));
  cluster_->run_for(seconds(10));
  EXPECT_EQ(cluster_->reads_done(), before);
}

TEST_F(RaftTest, ReadsOfOneTurnShareOneConfirmation) {
  grow(3);
  const std::uint64_t before = cluster_->group_frames();
  for (int i = 0; i < 100; ++i) cluster_->read_at(leader_, kRafted);
  cluster_->run_for(seconds(1));
  EXPECT_EQ(cluster_->reads_done(), 100U);
  EXPECT_LE(cluster_->group_frames() - before, 4U);
}

TEST_F(RaftTest, ProposalsOfOneTurnShareTheirFrames) {
  grow(3);
  const std::uint64_t before = cluster_->group_frames();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(cluster_->propose_at(leader_, kRafted));
  cluster_->run_for(seconds(1));
  EXPECT_EQ(cluster_->acknowledged(), 100U);
  // Entries, acknowledgement, commit index, acknowledgement: for two followers.
  EXPECT_LE(cluster_->group_frames() - before, 8U);
}

TEST_F(RaftTest, RefusesWhatIsOverItsLimits) {
  grow(1);
  Effects out;
  Groups& groups = cluster_->groups(0);
  const auto too_big =
      groups.propose(cluster_->now(), kRafted, Bytes(Groups::kMaxPayload + 1), out);
  ASSERT_FALSE(too_big);
  EXPECT_EQ(too_big.error().code, Code::kLimit);
  out.row = 1'000'000;
  int taken = 0;
  while (groups.propose(cluster_->now(), kRafted, Bytes(Groups::kMaxPayload / 2), out)) ++taken;
  EXPECT_EQ(taken, 16) << "8 MiB of backlog";
  EXPECT_FALSE(groups.propose(cluster_->now(), GroupId{9}, {}, out));
}

TEST_F(RaftTest, OnlyTheLeaderTakesProposals) {
  grow(3);
  Effects out;
  const auto refused =
      cluster_->groups(followers_[0]).propose(cluster_->now(), kRafted, Bytes(3), out);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnreachable);
  EXPECT_TRUE(out.is_empty());
}

// ---- growth, leave, death -----------------------------------------------------------------------

TEST_F(RaftTest, WithTwoHostsTheFounderVotesAloneAndTheOtherLearns) {
  grow(2);
  ASSERT_TRUE(cluster_->run_until([&] { return config().learners.size() == 1; }, seconds(5)));
  commit_one();
  cluster_->run_for(seconds(2));
  EXPECT_TRUE(cluster_->has_converged());
  EXPECT_EQ(config().voters.size(), 1U);
  // The learner's death stops nothing.
  cluster_->crash(1);
  cluster_->run_for(seconds(5));
  commit_one();
}

TEST_F(RaftTest, AShortDeathReplacesNobodyALongOneDoes) {
  grow(4);
  const std::size_t victim = followers_[0];
  cluster_->crash(victim);
  cluster_->run_for(seconds(4));
  EXPECT_TRUE(is_voter(victim));
  ASSERT_TRUE(
      cluster_->run_until([&] { return !is_voter(victim) && settled_with(3); }, seconds(30)));
  commit_one();
  // On its return it learns that it was removed, and holds nothing.
  cluster_->start(victim);
  cluster_->run_for(seconds(20));
  EXPECT_EQ(is_voter(victim), cluster_->groups(victim).config(kRafted).has_value());
}

TEST_F(RaftTest, DeathNeverLowersTheNumberOfVoters) {
  grow(3);
  cluster_->crash(followers_[0]);
  cluster_->run_for(seconds(60));
  EXPECT_EQ(config().voters.size(), 3U);
}

TEST_F(RaftTest, ALeaverHandsOverAllItsSeats) {
  grow(4);
  cluster_->leave(leader_);
  ASSERT_TRUE(
      cluster_->run_until([&] { return cluster_->groups(leader_).may_leave(); }, seconds(20)));
  EXPECT_FALSE(cluster_->groups(leader_).config(kRafted).has_value());
  cluster_->forget_member(leader_);
  cluster_->run_for(seconds(2));
  EXPECT_EQ(config().voters.size(), 3U);
  EXPECT_FALSE(is_voter(leader_));
  commit_one();
}

TEST_F(RaftTest, LeavingShrinksToASoleVoterAndTheLastMayNotGo) {
  grow(3);
  const std::size_t first = followers_[0];
  cluster_->leave(first);
  ASSERT_TRUE(
      cluster_->run_until([&] { return cluster_->groups(first).may_leave(); }, seconds(20)));
  cluster_->forget_member(first);
  ASSERT_TRUE(cluster_->run_until([&] { return settled_with(1); }, seconds(20)));
  EXPECT_EQ(config().learners.size(), 1U);
  const std::size_t voter = *cluster_->leader_of(kRafted);
  cluster_->leave(voter);
  ASSERT_TRUE(
      cluster_->run_until([&] { return cluster_->groups(voter).may_leave(); }, seconds(20)));
  cluster_->forget_member(voter);
  commit_one(seconds(10));
  const std::size_t last = *cluster_->leader_of(kRafted);
  cluster_->leave(last);
  cluster_->run_for(seconds(30));
  EXPECT_FALSE(cluster_->groups(last).may_leave());
  commit_one();
}

TEST_F(RaftTest, AReplicaThatComesBackIsAStrangerToItsFormerSelf) {
  grow(4);
  const std::size_t victim = followers_[0];
  const Generation before = config().generation_of(cluster_->id(victim));
  cluster_->crash(victim);
  ASSERT_TRUE(
      cluster_->run_until([&] { return !is_voter(victim) && settled_with(3); }, seconds(30)));
  // Another dies for good; the first, returning, is needed again.
  std::size_t second = 99;
  for (std::size_t i = 0; i < 4; ++i) {
    if (i != victim && i != *cluster_->leader_of(kRafted)) second = i;
  }
  cluster_->start(victim);
  cluster_->run_for(seconds(2));
  cluster_->crash(second);
  ASSERT_TRUE(
      cluster_->run_until([&] { return is_voter(victim) && settled_with(3); }, seconds(40)));
  EXPECT_GT(config().generation_of(cluster_->id(victim)), before);
  commit_one();
}

// ---- snapshots ----------------------------------------------------------------------------------

TEST_F(RaftTest, AFollowerFarBehindIsBroughtUpByASnapshot) {
  grow(3);
  cluster_->crash(followers_[0]);
  cluster_->run_for(seconds(3));
  for (int i = 0; i < 60; ++i) {
    for (int j = 0; j < 5; ++j) cluster_->propose(kRafted, 20'000);
    cluster_->run_for(milliseconds(100));
  }
  cluster_->run_for(seconds(2));
  cluster_->start(followers_[0]);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_converged(); }, seconds(10)))
      << cluster_->apart();
  EXPECT_GT(cluster_->snapshot_pieces(), 8U);
}

TEST_F(RaftTest, ASnapshotGoesOnWhereItWasBrokenOff) {
  grow(3);
  cluster_->crash(followers_[0]);
  cluster_->run_for(seconds(3));
  for (int i = 0; i < 60; ++i) {
    for (int j = 0; j < 5; ++j) cluster_->propose(kRafted, 20'000);
    cluster_->run_for(milliseconds(100));
  }
  cluster_->run_for(seconds(2));
  cluster_->start(followers_[0]);
  cluster_->run_until([&] { return cluster_->snapshot_pieces() >= 5; }, seconds(5));
  cluster_->cut_both(leader_, followers_[0]);
  cluster_->run_for(seconds(3));
  const std::uint64_t before = cluster_->snapshot_pieces();
  cluster_->heal();
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_converged(); }, seconds(10)))
      << cluster_->apart();
  // 6 MB are 12 pieces: about 7 were left.
  EXPECT_LE(cluster_->snapshot_pieces() - before, 10U);
}

// ---- promises (Q8) ------------------------------------------------------------------------------

TEST_F(RaftTest, AllNodesRestartingTogetherGoOn) {
  grow(3);
  commit_one();
  for (std::size_t i = 0; i < 3; ++i) cluster_->crash(i);
  for (std::size_t i = 0; i < 3; ++i) cluster_->start(i);
  commit_one(seconds(10));
  cluster_->run_for(seconds(2));
  cluster_->check_durability();
}

TEST_F(RaftTest, ABareMajorityRestartingTogetherGoesOn) {
  grow(3);
  commit_one();
  for (std::size_t i = 0; i < 3; ++i) cluster_->crash(i);
  cluster_->start(followers_[0]);
  cluster_->start(leader_);
  commit_one(seconds(10));
}

TEST_F(RaftTest, ARestartedReplicaPromisesNothingBeforeAnotherVoterHasAnswered) {
  grow(3);
  for (std::size_t i = 0; i < 3; ++i) cluster_->crash(i);
  cluster_->start(followers_[0]);
  const std::uint64_t frames = cluster_->group_frames();
  const std::uint64_t promises = cluster_->promises_made();
  cluster_->run_for(seconds(10));
  EXPECT_GT(cluster_->group_frames(), frames) << "it asks";
  EXPECT_EQ(cluster_->promises_made(), promises);
  EXPECT_FALSE(cluster_->leader_of(kRafted));
}

// Both other voters it knows of hand over and go while it is cut off.
TEST_F(RaftTest, ARestartedReplicaIsToldWhoVotesNow) {
  grow(5);
  const std::size_t sleeper = followers_[0];
  cluster_->isolate(sleeper);
  for (const std::size_t leaver : {followers_[1], leader_}) {
    cluster_->leave(leaver);
    ASSERT_TRUE(
        cluster_->run_until([&] { return !is_voter(leaver) && settled_with(3); }, seconds(30)));
    cluster_->forget_member(leaver);
  }
  ASSERT_TRUE(is_voter(sleeper));
  cluster_->crash(sleeper);
  cluster_->heal();
  const std::size_t last = *cluster_->leader_of(kRafted);
  for (const Seat& seat : config().voters) {
    const std::size_t voter = cluster_->index_of(seat.node);
    if (voter != last && voter != sleeper) cluster_->crash(voter);
  }
  cluster_->start(sleeper);
  commit_one(seconds(20));
}

TEST_F(RaftTest, ASoleVoterAsksNobody) {
  grow(1);
  cluster_->crash(0);
  const std::uint64_t frames = cluster_->group_frames();
  cluster_->start(0);
  commit_one(seconds(1));
  EXPECT_EQ(cluster_->group_frames(), frames);
}

// Its start has the number of the life that came after the copy was made.
TEST_F(RaftTest, ARestoredCopyOfADirectoryIsFoundOutByWhatItPromised) {
  grow(3);
  const std::size_t victim = followers_[0];
  cluster_->expect_fatal();
  cluster_->crash(victim);
  cluster_->back_up(victim);
  cluster_->start(victim);
  cluster_->run_for(seconds(2));
  for (int i = 0; i < 5; ++i) commit_one();
  cluster_->run_for(seconds(1));
  cluster_->crash(victim);
  cluster_->restore_backup(victim);
  cluster_->start(victim);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_failed(victim); }, seconds(5)));
  EXPECT_NE(cluster_->fatal(victim).find("promised entries"), std::string::npos)
      << cluster_->fatal(victim);
  commit_one();
}

TEST_F(RaftTest, ARestoredCopyOfADirectoryIsFoundOutByItsLaterLives) {
  grow(3);
  const std::size_t victim = followers_[0];
  cluster_->expect_fatal();
  cluster_->crash(victim);
  cluster_->back_up(victim);
  for (int lives = 0; lives < 2; ++lives) {
    cluster_->start(victim);
    cluster_->run_for(seconds(2));
    cluster_->crash(victim);
  }
  cluster_->restore_backup(victim);
  cluster_->start(victim);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_failed(victim); }, seconds(5)));
  EXPECT_NE(cluster_->fatal(victim).find("knows a later life"), std::string::npos)
      << cluster_->fatal(victim);
  commit_one();
}

TEST_F(RaftTest, ALogWithoutItsEndIsFoundOut) {
  grow(3);
  const std::size_t victim = followers_[0];
  cluster_->expect_fatal();
  for (int i = 0; i < 5; ++i) commit_one();
  cluster_->run_for(seconds(1));
  cluster_->crash(victim);
  cluster_->lose_rows(victim, 2);
  cluster_->start(victim);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_failed(victim); }, seconds(5)));
  EXPECT_NE(cluster_->fatal(victim).find("log"), std::string::npos) << cluster_->fatal(victim);
  commit_one();
}

TEST_F(RaftTest, AConfigurationThatMakesNoSenseIsFoundOut) {
  cluster_ = std::make_unique<Cluster>(ClusterOptions{.nodes = 1, .groups = 1});
  cluster_->expect_fatal();
  const EntryRecord first{kRafted, 1, 1, {1, EntryKind::kConfig, Bytes{0xc1, 7}}};
  cluster_->set_disk(0, {{vote_key(kRafted), encode(VoteFact{1, false, 1, {}})}}, {first});
  cluster_->start(0);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_failed(0); }, seconds(1)));
  EXPECT_NE(cluster_->fatal(0).find("makes no sense"), std::string::npos) << cluster_->fatal(0);
}

TEST_F(RaftTest, ALostVoteIsFoundOut) {
  grow(3);
  commit_one();
  cluster_->expect_fatal();
  const std::size_t victim = followers_[0];
  cluster_->crash(victim);
  cluster_->forget_fact(victim, vote_key(kRafted));
  cluster_->start(victim);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->has_failed(victim); }, seconds(5)));
  commit_one();
}

// ---- bad input ----------------------------------------------------------------------------------

TEST_F(RaftTest, SurvivesArbitraryAndAlteredFrames) {
  grow(3);
  cluster_->expect_fatal();
  Random random(11);
  Effects out;
  out.row = 1'000'000;
  std::vector<Bytes> seen = cluster_->some_frames();
  ASSERT_GT(seen.size(), 20U);
  for (int i = 0; i < 20'000; ++i) {
    Bytes frame;
    if (i % 2 == 0) {
      frame.resize(1 + random.below(80));
      random.fill(frame);
      frame[0] = static_cast<std::uint8_t>(Module::kGroups);
    } else {
      frame = seen[random.below(seen.size())];
      for (std::uint64_t flips = 1 + random.below(4); flips > 0; --flips) {
        frame[1 + random.below(frame.size() - 1)] = static_cast<std::uint8_t>(random.next());
      }
    }
    Groups& groups = cluster_->groups(random.below(3));
    groups.receive(cluster_->now(), cluster_->id(random.below(3)), frame, out);
    if (i % 100 == 0) out = Effects{}, out.row = 1'000'001 + static_cast<std::uint64_t>(i);
    groups.take_events();
  }
}

}  // namespace
}  // namespace dunlin
