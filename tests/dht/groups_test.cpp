#include "dht/groups.h"

#include <gtest/gtest.h>

#include "dht/raft_cluster.h"

namespace dunlin {
namespace {

constexpr GroupId kGroup{0};

TEST(Groups, AFounderAloneCommitsAtOnce) {
  Cluster cluster({.nodes = 1});
  cluster.found(0);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.leader_of(kGroup).has_value(); }, seconds(1)));
  EXPECT_TRUE(cluster.propose(kGroup));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.acknowledged() == 1; }, seconds(1)));
  EXPECT_EQ(cluster.violation(), "");
}

// Every group comes to have three voters.
bool grows(Cluster& cluster) {
  cluster.found(0);
  cluster.start(1);
  cluster.start(2);
  return cluster.run_until(
      [&] {
        for (std::uint16_t g = 0; g < 3; ++g) {
          const auto leader = cluster.leader_of(GroupId{g});
          if (!leader) return false;
          const auto config = cluster.groups(*leader).config(GroupId{g});
          if (config->voters.size() != 3 || config->is_joint()) return false;
        }
        return true;
      },
      seconds(5));
}

TEST(Groups, ThreeHostsGiveEveryGroupThreeVoters) {
  Cluster cluster({.nodes = 3, .trace = true});
  EXPECT_TRUE(grows(cluster)) << cluster.trace();
  EXPECT_EQ(cluster.violation(), "") << cluster.trace();
}

// A leader that nobody followed any more had seated it, in an entry that never was committed. The
// next one's log is shorter, so that its seats are of earlier generations.
TEST(Groups, ANodeThatHasLeftALaterSeatIsSeatedAgainUntilItCanBe) {
  Cluster cluster({.nodes = 3, .trace = true});
  cluster.set_disk(2, {{vote_key(kGroup), encode(VoteFact{9, true, 0, {}})}}, {});
  EXPECT_TRUE(grows(cluster)) << cluster.trace();
  const auto leader = cluster.leader_of(kGroup);
  ASSERT_TRUE(leader);
  EXPECT_GT(cluster.groups(*leader).config(kGroup)->generation_of(cluster.id(2)), 9U);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.has_converged(); }, seconds(5)));
  EXPECT_EQ(cluster.violation(), "") << cluster.trace();
}

// ---- one node, and frames made by hand ----------------------------------------------------------

NodeId named(std::uint8_t name) {
  NodeId id;
  id.raw[0] = name;
  return id;
}

Bytes framed(GroupMessage message) {
  Bytes frame{static_cast<std::uint8_t>(Module::kGroups)};
  append(frame, encode(Envelope{1, 0, {}, {std::move(message)}}));
  return frame;
}

Bytes framed(NodeNote note) {
  Bytes frame{static_cast<std::uint8_t>(Module::kGroups)};
  append(frame, encode(Envelope{1, 0, {std::move(note)}, {}}));
  return frame;
}

class GroupsAlone : public ::testing::Test {
 protected:
  explicit GroupsAlone(Boot boot = 1) : groups_(named(1), boot, one_group(), Random(1)) {}

  // The group messages answered, and whether they wait for the disk.
  std::vector<std::pair<GroupMessage, bool>> hear(GroupMessage message) {
    Effects out;
    out.row = ++row_;
    groups_.receive(Instant{1}, named(2), framed(std::move(message)), out);
    groups_.on_durable(Instant{1}, {Module::kGroups, row_, 0, 0}, out);
    std::vector<std::pair<GroupMessage, bool>> answers;
    for (const auto& [sends, waits] :
         {std::pair(out.sends, false), std::pair(out.sends_when_durable, true)}) {
      for (const Send& send : sends) {
        const auto envelope = decode<Envelope>(ByteView(send.frame).subspan(1));
        for (const GroupMessage& held : envelope->messages) answers.emplace_back(held, waits);
      }
    }
    facts_ = out.facts;
    return answers;
  }

  static GroupsConfig one_group() {
    GroupsConfig config;
    config.group_count = 1;
    return config;
  }

  std::uint64_t row_ = 0;
  Groups groups_;
  std::vector<Fact> facts_;
};

// It may be a copy from before it had any seat, and have promised things that it knows nothing of.
class GroupsRestarted : public GroupsAlone {
 protected:
  GroupsRestarted() : GroupsAlone(2) {
    Effects out;
    groups_.recover(Instant{1}, {}, out);
  }
};

// Else the leader would tell it for ever; and what is still under way must not bring it to life.
TEST_F(GroupsAlone, AReplicaThatNeverCameToBeSaysThatItIsGone) {
  const auto answers = hear({kGroup, 5, 1, 3, Removed{9}});
  ASSERT_EQ(answers.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Gone>(answers[0].first.body));
  EXPECT_EQ(answers[0].first.from, 5U);
  EXPECT_TRUE(answers[0].second) << "not before it is durable";
  ASSERT_EQ(facts_.size(), 1U);
  EXPECT_TRUE(decode<VoteFact>(*facts_[0].value)->removed);

  const auto late = hear({kGroup, 5, 1, 3, Append{6, 3, 6, {}}});
  ASSERT_EQ(late.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Gone>(late[0].first.body));
  EXPECT_TRUE(groups_.may_leave()) << "it has no replica";
  hear({kGroup, 12, 1, 3, Append{6, 3, 6, {}}});
  EXPECT_FALSE(groups_.may_leave()) << "a later one is another";
}

// It counts its seats on in entries that are not committed, and may not have heard of this one.
TEST_F(GroupsAlone, ALeaderWhoseTermIsOverReplacesNoReplica) {
  hear({kGroup, 5, 1, 8, Append{6, 3, 6, {}}});
  const auto answers = hear({kGroup, 7, 3, 7, Append{6, 3, 6, {}}});
  ASSERT_EQ(answers.size(), 1U);
  const GroupMessage& answer = answers[0].first;
  EXPECT_TRUE(std::holds_alternative<AppendReply>(answer.body));
  EXPECT_EQ(answer.term, 8U) << "so that it knows";
  EXPECT_EQ(answer.from, 7U);
  EXPECT_EQ(answer.to, 3U);
  EXPECT_EQ(groups_.applied(kGroup)->generation, 5U);
  hear({kGroup, 7, 1, 8, Append{6, 3, 6, {}}});
  EXPECT_EQ(groups_.applied(kGroup)->generation, 7U);
}

TEST_F(GroupsAlone, AReplicaFoundedInTheFirstLifeAnswersAtOnce) {
  EXPECT_EQ(hear({kGroup, 5, 1, 3, Append{6, 3, 6, {}}}).size(), 1U);
}

TEST_F(GroupsRestarted, AReplicaFoundedPromisesNothingBeforeItsVotersHaveAnswered) {
  const GroupMessage append{kGroup, 5, 1, 3, Append{6, 3, 6, {}}};
  const GroupMessage request{kGroup, 5, 1, 4, VoteRequest{false, false, 6, 3}};
  EXPECT_TRUE(hear(append).empty());
  EXPECT_TRUE(groups_.applied(kGroup).has_value()) << "it is there";
  EXPECT_TRUE(hear(append).empty());
  EXPECT_TRUE(hear(request).empty());
  GroupPromise nothing;
  nothing.by = 1;
  nothing.committed = 6;
  nothing.committed_term = 3;
  nothing.config.voters = {{named(2), 1}};
  Effects out;
  groups_.receive(Instant{1}, named(2), framed(PromiseReply{2, 2, 0, {nothing}, {}}), out);
  EXPECT_EQ(hear(append).size(), 1U);
}

// Restarted where its log ends with a joint configuration: its voters are 1 to 3, of whom it is the
// first, and others are to be left behind.
class GroupsRestartedAmidAChange : public GroupsAlone {
 protected:
  GroupsRestartedAmidAChange() : GroupsAlone(2) {}

  void begin(const std::vector<Seat>& outgoing) {
    joint_.voters = {{named(1), 5}, {named(2), 5}, {named(3), 5}};
    joint_.outgoing = outgoing;
    GroupsRecovery recovery;
    recovery.facts[vote_key(kGroup)] = encode(VoteFact{5, false, 3, {}});
    recovery.records = {{1, encode(GroupRecord{SnapshotRecord{kGroup, 5, 8, 3, joint_, {}}})}};
    recovery.last_row = row_ = 1;
    Effects out;
    groups_.recover(Instant{1}, std::move(recovery), out);
  }

  // Named 2 has the same of the log, and knows no more of it to be committed than this.
  void answer_as_voter(const GroupConfig& committed, LogIndex index = 8) {
    GroupPromise nothing;
    nothing.by = 5;
    nothing.committed = index;
    nothing.committed_term = 3;
    nothing.config = committed;
    Effects out;
    groups_.receive(Instant{1}, named(2), framed(PromiseReply{2, 2, 0, {nothing}, {}}), out);
  }
  void answer_as_retired(std::uint8_t name, Generation generation) {
    Effects out;
    groups_.receive(Instant{1}, named(name),
                    framed(PromiseReply{2, 2, 0, {}, {{kGroup, generation}}}), out);
  }
  bool votes() { return !hear({kGroup, 5, 5, 4, VoteRequest{true, false, 9, 4}}).empty(); }

  const std::vector<Seat> others_ = {{named(4), 1}, {named(5), 1}, {named(6), 1}};
  GroupConfig joint_;
};

TEST_F(GroupsRestartedAmidAChange, OutgoingVotersThatAreNoMoreAreNotWaitedFor) {
  begin(others_);
  answer_as_voter(joint_);
  EXPECT_FALSE(votes()) << "a majority of the outgoing ones may still decide";
  answer_as_retired(4, 1);
  EXPECT_TRUE(votes());
}

TEST_F(GroupsRestartedAmidAChange, AnEarlierConfigurationOfTheSameVotersProvesNothing) {
  begin(others_);
  answer_as_voter(joint_, 7);
  answer_as_retired(4, 1);
  EXPECT_FALSE(votes());
}

// As versions before `retired` say it.
TEST(Promises, OfEarlierVersionsAreUnderstood) {
  struct Before {
    Boot to_boot = 2, heard_boot = 3;
    std::uint64_t row = 4;
    std::vector<GroupPromise> groups;
    static constexpr auto fields() {
      return Fields<&Before::to_boot, &Before::heard_boot, &Before::row, &Before::groups>{};
    }
  };
  const Result<PromiseReply> now = decode<PromiseReply>(encode(Before{}));
  ASSERT_TRUE(now.has_value());
  EXPECT_EQ(now->row, 4U);
  EXPECT_TRUE(now->retired.empty());
}

TEST_F(GroupsRestartedAmidAChange, NobodyIsPassedOverForAChangeThatMayNotHaveBeen) {
  begin(others_);
  answer_as_retired(4, 1);
  answer_as_retired(5, 1);
  answer_as_retired(6, 1);
  EXPECT_FALSE(votes()) << "they may have been left for others than 1 to 3";
  answer_as_voter(GroupConfig{{{named(2), 5}}, {}, {}});
  EXPECT_FALSE(votes()) << "another configuration";
}

TEST_F(GroupsRestartedAmidAChange, WhoStaysAVoterProvesNothingByAnEarlierReplica) {
  begin({{named(2), 5}, {named(4), 2}, {named(5), 1}});
  answer_as_voter(joint_);
  answer_as_retired(2, 4);
  answer_as_retired(4, 1);
  EXPECT_FALSE(votes());
}

TEST_F(GroupsAlone, ARemovalFromBeforeTheReplicaIsNotBelieved) {
  EXPECT_TRUE(hear({kGroup, 5, 1, 3, Removed{4}}).empty());
  EXPECT_TRUE(facts_.empty());
}

TEST_F(GroupsAlone, WhoIsSuspectedStaysWatchedUntilItRecoversOrIsGoneForGood) {
  Effects out;
  const auto tell = [&](GroupMemberState state) {
    groups_.set_members(Instant{1}, {{named(1), {}, 1, {}}, {named(2), {}, 1, state}}, out);
  };
  tell(GroupMemberState::kAlive);
  EXPECT_FALSE(groups_.peers().contains(named(2)));
  groups_.peer_suspected(Instant{1}, named(2), out);
  tell(GroupMemberState::kDead);
  EXPECT_TRUE(groups_.peers().contains(named(2)));
  groups_.peer_recovered(Instant{1}, named(2), out);
  EXPECT_FALSE(groups_.peers().contains(named(2)));
  groups_.peer_suspected(Instant{1}, named(2), out);
  tell(GroupMemberState::kLeft);
  EXPECT_FALSE(groups_.peers().contains(named(2)));
}

}  // namespace
}  // namespace dunlin
