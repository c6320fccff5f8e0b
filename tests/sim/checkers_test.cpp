// Every checker is shown to fire: on a world whose disks lie, on frames no node would send, on
// histories that were altered, on a network that is never healed.
#include <gtest/gtest.h>

#include "base/codec.h"
#include "dht/messages.h"
#include "dht/records.h"
#include "gossip/messages.h"
#include "sim/checkers/history.h"
#include "sim/checkers/leaders.h"
#include "sim/checkers/promises.h"
#include "sim/checkers/replicas.h"
#include "sim/seed_run.h"
#include "sim/sim_runner.h"
#include "sim/sim_world.h"
#include "sim/workload.h"

namespace dunlin::sim {
namespace {

constexpr GroupId kGroup{3};

NodeId node(std::uint8_t number) {
  NodeId id;
  id.raw[0] = number;
  return id;
}

Bytes frame_of(Term term, GroupBody body) {
  Envelope envelope;
  GroupMessage message;
  message.group = kGroup;
  message.from = 1;
  message.term = term;
  message.body = std::move(body);
  envelope.messages.push_back(std::move(message));
  Bytes frame = encode(envelope);
  frame.insert(frame.begin(), static_cast<std::uint8_t>(Module::kGroups));
  return frame;
}

Bytes vote(Term term) {
  VoteReply reply;
  reply.granted = true;
  return frame_of(term, reply);
}
Bytes acknowledgement(Term term, LogIndex index) {
  AppendReply reply;
  reply.ok = true;
  reply.index = index;
  return frame_of(term, reply);
}
Recovered disk_with_vote(Term term, const NodeId& candidate) {
  Recovered recovered;
  recovered.facts[vote_key(kGroup)] = encode(VoteFact{1, false, term, candidate});
  return recovered;
}

TEST(Checkers, TwoLeadersInOneTermAreSeen) {
  Verdict verdict;
  LeaderChecker checker(verdict);
  checker.leads({}, node(1), kGroup, 7);
  checker.leads({}, node(1), kGroup, 7);
  checker.leads({}, node(2), kGroup, 8);
  EXPECT_TRUE(verdict.is_clean());
  checker.leads({}, node(2), kGroup, 7);
  EXPECT_TRUE(verdict.names("Q1"));
}

TEST(Checkers, ReplicasThatDifferAreSeen) {
  Verdict verdict;
  ReplicaChecker checker(verdict);
  checker.stands({}, node(1), kGroup, 5, 111);
  checker.stands({}, node(2), kGroup, 5, 111);
  EXPECT_TRUE(verdict.is_clean());
  checker.stands({}, node(3), kGroup, 5, 112);
  EXPECT_TRUE(verdict.names("Q3"));
}

TEST(Checkers, TwoVotesInOneTermAreSeen) {
  Verdict verdict;
  PromiseChecker checker(verdict);
  checker.on_send({}, node(1), 1, node(2), vote(4));
  checker.on_send({}, node(1), 1, node(2), vote(4));
  checker.on_send({}, node(1), 1, node(3), vote(5));
  EXPECT_TRUE(verdict.is_clean());
  checker.on_send({}, node(1), 1, node(3), vote(4));
  EXPECT_TRUE(verdict.names("Q3"));
}

TEST(Checkers, AVoteThatWasNotDurableIsSeenAtTheNextStart) {
  Verdict verdict;
  PromiseChecker checker(verdict);
  checker.on_send({}, node(1), 1, node(2), vote(4));
  checker.on_start({}, node(1), 2, disk_with_vote(4, node(2)), true);
  EXPECT_TRUE(verdict.is_clean());
  checker.on_start({}, node(1), 3, disk_with_vote(3, node(2)), true);
  EXPECT_TRUE(verdict.names("Q2"));
}

TEST(Checkers, AnEntryThatWasNotDurableIsSeenAtTheNextStart) {
  Verdict verdict;
  PromiseChecker checker(verdict);
  checker.on_send({}, node(1), 1, node(2), acknowledgement(4, 2));
  Recovered recovered = disk_with_vote(4, node(2));
  const EntryRecord entry{kGroup, 1, 2, Entry{4, EntryKind::kNoop, {}}};
  recovered.records.push_back({1, Module::kGroups, encode(GroupRecord(entry))});
  checker.on_start({}, node(1), 2, recovered, true);
  EXPECT_TRUE(verdict.is_clean());
  recovered.records.clear();
  checker.on_start({}, node(1), 3, recovered, true);
  EXPECT_TRUE(verdict.names("Q2"));
}

TEST(Checkers, AVoteOfANodeThatForgotIsSeen) {
  Verdict verdict;
  PromiseChecker checker(verdict);
  checker.on_send({}, node(1), 1, node(2), vote(4));
  checker.on_start({}, node(1), 2, disk_with_vote(2, node(2)), false);
  EXPECT_TRUE(verdict.is_clean());
  checker.on_send({}, node(1), 2, node(2), vote(6));
  EXPECT_TRUE(verdict.names("Q8"));
}

// Nobody lets it come back, though it forgot no promise.
TEST(Checkers, ALogThatEndsBeforeARowItToldOfIsKnown) {
  Verdict verdict;
  PromiseChecker checker(verdict);
  gossip::Heartbeat beat;
  beat.durable = 8;
  checker.on_send({}, node(1), 1, node(2), gossip::encode_frame(beat));
  Recovered recovered;
  recovered.next_row = 8;  // that of the start itself
  EXPECT_FALSE(checker.would_forget(node(1), recovered));
  recovered.next_row = 7;
  EXPECT_TRUE(checker.would_forget(node(1), recovered));
  EXPECT_FALSE(checker.would_forget(node(2), recovered));
  checker.on_start({}, node(1), 2, recovered, false);
  EXPECT_TRUE(checker.is_forgetful(2));
  EXPECT_TRUE(verdict.is_clean());
  checker.on_start({}, node(1), 3, recovered, true);
  EXPECT_TRUE(verdict.names("Q2")) << "no disk but an honest one may lose it";
}

TEST(Checkers, ACandidateThatVotesForAnotherTooIsSeen) {
  Verdict verdict;
  PromiseChecker checker(verdict);
  checker.on_send({}, node(1), 1, node(2), frame_of(4, VoteRequest{}));
  checker.on_send({}, node(1), 1, node(3), frame_of(4, VoteRequest{}));
  VoteRequest pre;
  pre.pre = true;
  checker.on_send({}, node(2), 2, node(1), frame_of(4, pre));
  checker.on_send({}, node(2), 2, node(1), vote(4));
  EXPECT_TRUE(verdict.is_clean());
  checker.on_send({}, node(1), 1, node(2), vote(4));
  EXPECT_TRUE(verdict.names("Q3"));
}

TEST(Checkers, AReplicaThatGoesBackIsSeen) {
  Verdict verdict;
  ReplicaChecker checker(verdict);
  checker.advances({}, 1, kGroup, 1, 5);
  checker.advances({}, 1, kGroup, 1, 5);
  checker.advances({}, 2, kGroup, 1, 4);  // another life
  checker.advances({}, 1, kGroup, 2, 1);  // another replica
  EXPECT_TRUE(verdict.is_clean());
  checker.advances({}, 1, kGroup, 1, 4);
  EXPECT_TRUE(verdict.names("Q3"));
}

// ---- histories
// ------------------------------------------------------------------------------------

struct History {
  Verdict verdict;
  HistoryChecker checker{verdict};
  JobSummary job;

  History() {
    std::array<std::uint8_t, 10> chance{};
    job.id = JobId::make(kGroup, 8, chance);
    job.tasks.total = 1;
    job.tasks.done = 1;
    job.state = JobState::kDone;
    checker.acknowledged(job.id, JobSpec{});
  }
};

TEST(Checkers, CountsThatDoNotAddUpAreSeen) {
  History history;
  history.checker.seen({}, {}, history.job);
  EXPECT_TRUE(history.verdict.is_clean());
  ++history.job.tasks.running;
  history.checker.seen({}, {}, history.job);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, AFinalJobThatChangesIsSeen) {
  History history;
  history.checker.seen({}, {}, history.job);
  history.job.state = JobState::kFailed;
  history.checker.seen({}, {}, history.job);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, AnAnswerOnItsWayWhileTheJobEndedIsNoChange) {
  History history;
  JobSummary before = history.job;
  before.state = JobState::kRunning;
  before.tasks.done = 0;
  before.tasks.running = 1;
  history.checker.seen(Instant{50}, Instant{40}, history.job);
  history.checker.seen(Instant{60}, Instant{45}, before);
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.seen(Instant{70}, Instant{55}, before);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, ALostJobIsSeen) {
  History history;
  history.checker.unknown({}, JobId{});
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.unknown({}, history.job.id);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, ACancelledJobThatGoesOnIsSeen) {
  History history;
  JobSummary then = history.job;
  then.tasks.done = 0;
  then.tasks.cancelled = 1;
  then.state = JobState::kCancelled;
  history.checker.cancelled({}, {}, then);
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.seen({}, {}, history.job);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, AFinalTaskThatChangesIsSeen) {
  History history;
  TaskView task;
  task.state = TaskState::kDone;
  task.attempt = 1;
  history.checker.tasks({}, {}, history.job.id, {task});
  history.checker.tasks({}, {}, history.job.id, {task});
  EXPECT_TRUE(history.verdict.is_clean());
  task.attempt = 2;
  history.checker.tasks({}, {}, history.job.id, {task});
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, AFinalTaskThatRunsAgainIsSeen) {
  History history;
  TaskView task;
  task.state = TaskState::kDone;
  history.checker.tasks(Instant{50}, Instant{40}, history.job.id, {task});
  task.state = TaskState::kRunning;
  history.checker.tasks(Instant{60}, Instant{45}, history.job.id, {task});
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.tasks(Instant{70}, Instant{55}, history.job.id, {task});
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, WhatARetryOpensMayChangeAndWhatWasDoneMayNot) {
  History history;
  JobSpec spec;
  spec.tasks = {{1, 2, 1}};
  history.checker.acknowledged(history.job.id, spec);
  JobSummary job = history.job;
  job.tasks.total = 2;
  job.tasks.failed = 1;
  job.state = JobState::kFailed;
  history.checker.seen(Instant{50}, Instant{40}, job);
  history.checker.retry_asked(history.job.id);
  history.checker.seen(Instant{60}, Instant{55}, job);  // of which round, nobody knows
  history.checker.retried(Instant{70}, history.job.id);
  job.state = JobState::kRunning;
  job.tasks.failed = 0;
  job.tasks.running = 1;
  history.checker.seen(Instant{80}, Instant{75}, job);
  EXPECT_TRUE(history.verdict.is_clean());
  job.tasks.done = 0;
  job.tasks.running = 2;
  history.checker.seen(Instant{90}, Instant{85}, job);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

// One job that waited for another: how both ended.
bool is_noticed(JobState first, bool any, JobState second, Reason why) {
  History history;
  history.job.state = first;
  if (first != JobState::kDone) {
    history.job.tasks.done = 0;
    history.job.tasks.failed = 1;
  }
  history.checker.seen({}, {}, history.job);
  JobSummary later = history.job;
  later.id.raw[9] = 'x';
  JobSpec spec;
  spec.after = {{history.job.id, any}};
  history.checker.acknowledged(later.id, spec);
  later.state = second;
  later.reason = why;
  later.tasks = {};
  later.tasks.total = 1;
  (second == JobState::kDone ? later.tasks.done : later.tasks.cancelled) = 1;
  history.checker.seen({}, {}, later);
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.dependencies({});
  return history.verdict.names("Q4");
}

TEST(Checkers, AJobThatRanAgainstWhatItWaitedForIsSeen) {
  const Reason failed = Reason::kDependencyFailed;
  EXPECT_FALSE(is_noticed(JobState::kDone, false, JobState::kDone, Reason::kNone));
  EXPECT_FALSE(is_noticed(JobState::kFailed, false, JobState::kCancelled, failed));
  EXPECT_FALSE(is_noticed(JobState::kFailed, true, JobState::kDone, Reason::kNone));
  EXPECT_TRUE(is_noticed(JobState::kFailed, false, JobState::kDone, Reason::kNone));
  EXPECT_TRUE(is_noticed(JobState::kDone, false, JobState::kCancelled, failed));
  EXPECT_TRUE(is_noticed(JobState::kFailed, true, JobState::kCancelled, failed));
}

TEST(Checkers, ResultsThatGoBackWhileAJobRunsAreSeen) {
  History history;
  JobSpec spec;
  spec.tasks = {{1, 2, 1}};
  history.checker.acknowledged(history.job.id, spec);
  JobSummary job = history.job;
  job.state = JobState::kRunning;
  job.tasks.total = 2;
  job.tasks.running = 1;
  history.checker.seen(Instant{50}, Instant{40}, job);
  job.tasks.done = 0;
  job.tasks.running = 2;
  history.checker.seen(Instant{60}, Instant{45}, job);
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.seen(Instant{70}, Instant{55}, job);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, AnAnswerAboutAnotherJobIsSeen) {
  History history;
  history.job.id = JobId{};
  history.checker.seen({}, {}, history.job);
  EXPECT_TRUE(history.verdict.names("Q4"));
}

TEST(Checkers, ABlobThatDiffersIsSeen) {
  History history;
  const Bytes content = to_bytes("as it was put");
  history.checker.stored(blob_id_of(content), content);
  history.checker.fetched({}, blob_id_of(content), content);
  EXPECT_TRUE(history.verdict.is_clean());
  history.checker.fetched({}, blob_id_of(content), to_bytes("otherwise"));
  EXPECT_TRUE(history.verdict.names("Q5"));
}

TEST(Checkers, ALogWithAGapIsSeen) {
  History history;
  Bytes log;
  for (std::uint64_t i = 0; i < 100; ++i) log.push_back(task_byte(i));
  history.checker.written({}, "a log", log, 100);
  EXPECT_TRUE(history.verdict.is_clean());
  log.erase(log.begin() + 40);
  log.push_back(task_byte(99));
  history.checker.written({}, "a log", log, 100);
  EXPECT_TRUE(history.verdict.names("Q5"));
}

// ---- mutated worlds
// -------------------------------------------------------------------------------

TEST(Checkers, DisksThatConfirmBeforeTheyWriteAreSeen) {
  SimWorld world(WorldOptions{});
  ASSERT_TRUE(world.form(3));
  world.run_for(seconds(15));
  Workload workload(world, {milliseconds(300), seconds(60), 5}, world.fork_random());
  workload.begin();
  for (HostIndex i = 0; i < 3; ++i) world.host(i).set_lying_disk(true);
  world.run_for(seconds(5));
  for (HostIndex i = 0; i < 3; ++i) world.host(i).crash(Crash{});
  for (HostIndex i = 0; i < 3; ++i) world.host(i).set_lying_disk(false);
  for (HostIndex i = 0; i < 3; ++i) world.host(i).resume();
  world.run_for(seconds(5));
  EXPECT_TRUE(world.verdict().names("Q2"));
}

TEST(Checkers, AClusterThatIsNeverHealedIsSeen) {
  SeedOptions options;
  options.chaos = seconds(10);
  options.plan = FaultPlan{};
  const auto lines_of_q7 = [&] {
    std::string lines;
    for (const std::string& line : run_seed(options).violations) {
      if (line.starts_with("Q7 ")) lines += line + "\n";
    }
    return lines;
  };
  EXPECT_EQ(lines_of_q7(), "");
  options.never_heal = true;
  EXPECT_NE(lines_of_q7().find(": membership did not converge\n"), std::string::npos);
}

TEST(Seeds, OneSeedGoesOneWay) {
  SeedOptions options;
  options.chaos = seconds(30);
  const SeedReport first = run_seed(options);
  const SeedReport second = run_seed(options);
  EXPECT_EQ(first.trace, second.trace);
  EXPECT_EQ(first.events, second.events);
  options.seed = 2;
  EXPECT_NE(run_seed(options).trace, first.trace);
}

}  // namespace
}  // namespace dunlin::sim
