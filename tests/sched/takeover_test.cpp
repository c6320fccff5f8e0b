// Coordinators that die, nodes that vanish or come back, processes that outlive their node process.
#include <gtest/gtest.h>

#include <map>

#include "sched/commands.h"
#include "sched/messages.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

TEST(LostHost, WhatItWroteStaysItsAttemptsAlthoughItsCoordinatorDiesWithIt) {
  Cluster cluster({.nodes = 4});
  cluster.lead(GroupId{1}, 0);
  JobSpec spec = cluster.spec({"slow-print", "6000", "60000"});
  spec.placement.nodes = {cluster.id(1)};
  const JobId job = cluster.submit(2, GroupId{1}, spec);
  const auto detail = [&] { return cluster.job(job)->detail(0); };
  ASSERT_TRUE(cluster.run_until(
      [&] { return detail() != nullptr && !detail()->attempts.at(0).pieces.empty(); },
      seconds(60)));
  cluster.crash(1);
  cluster.crash(0);
  ASSERT_TRUE(cluster.run_until([&] { return detail()->attempts.at(0).end == AttemptEnd::kLost; },
                                seconds(30)));
  EXPECT_EQ(detail()->closed, 1u);
  EXPECT_EQ(detail()->lost_on, std::vector<NodeId>{cluster.id(1)});
  EXPECT_EQ(cluster.task(job, 1).state, TaskState::kQueued);
  EXPECT_EQ(cluster.task(job, 1).attempt, 1u);
  ReadLog former;
  former.id = job;
  former.attempt = 1;
  const Result<JobAnswer> answer = cluster.call(2, former);
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(std::get<LogChunk>(*answer).data.empty());
  cluster.restart(1);
  ASSERT_TRUE(cluster.ends(job, seconds(120)));
  EXPECT_EQ(cluster.task(job, 1).attempt, 2u);
  EXPECT_EQ(cluster.read_log(2, job, 1).size(), 6000u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(LostHost, TheJobWaitsAndKeepsTheTimeOfItsFirstStart) {
  Cluster cluster({.nodes = 3});
  JobSpec spec = cluster.spec({"work", "60000"});
  spec.placement.nodes = {cluster.id(2)};
  spec.begin = {cluster.wall().ms + 20'000};
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 1; }, seconds(30)));
  cluster.run_for(seconds(5));
  const JobSummary running = cluster.show(job);
  EXPECT_EQ(running.state, JobState::kRunning);
  EXPECT_GE(running.started_at.ms, spec.begin.ms);
  EXPECT_LT(running.started_at.ms, spec.begin.ms + 2000);
  cluster.crash(2);
  cluster.run_for(seconds(20));
  const JobSummary waiting = cluster.show(job);
  EXPECT_EQ(waiting.state, JobState::kWaiting);
  EXPECT_EQ(waiting.tasks.queued, 1u);
  EXPECT_NE(waiting.reason, Reason::kNone);
  EXPECT_EQ(waiting.started_at.ms, running.started_at.ms);
  cluster.restart(2);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 1; }, seconds(30)));
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.show(job).state, JobState::kRunning);
  EXPECT_EQ(cluster.show(job).started_at.ms, running.started_at.ms);
  ASSERT_TRUE(cluster.ends(job, seconds(90)));
  EXPECT_EQ(cluster.show(job).started_at.ms, running.started_at.ms);
}

TEST(Takeover, RestartsNoneOfAHundredLongTasks) {
  Cluster cluster({.nodes = 5, .cpus = 20});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "60000"}, 100));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 100; }, seconds(5)));
  cluster.lead(GroupId{1}, 3);
  EXPECT_TRUE(cluster.ends(job, seconds(70)));
  EXPECT_EQ(cluster.starts(job), 100u);
  EXPECT_EQ(cluster.show(job).tasks.done, 100u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Takeover, ATaskThatRunsOnBeganWhenItBeganWhoeverLeads) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "60000"}, 12));
  const auto starts = [&] {
    std::map<std::uint32_t, std::int64_t> told;
    const Result<JobAnswer> answer = cluster.call(0, ListTasks{job, {}, std::nullopt, 0, 12});
    if (!answer) return told;
    for (const TaskView& view : std::get<TaskList>(*answer).tasks) {
      told[view.task] = view.started_at.ms;
    }
    return told;
  };
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 12; }, seconds(5)));
  cluster.run_for(seconds(3));
  const std::map<std::uint32_t, std::int64_t> before = starts();
  ASSERT_EQ(before.size(), 12u);
  for (const auto& [task, ms] : before) EXPECT_GT(ms, 0) << task;
  cluster.lead(GroupId{1}, 2);
  cluster.run_for(seconds(3));
  EXPECT_EQ(starts(), before);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Takeover, RunsAgainOnlyWhatTheDeadCoordinatorsHostHeld) {
  Cluster cluster({.nodes = 5, .cpus = 20});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "60000"}, 80));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 80; }, seconds(5)));
  const std::size_t held = cluster.processes(1).size();
  EXPECT_GT(held, 0u);
  cluster.crash(1);
  EXPECT_TRUE(cluster.ends(job, seconds(90)));
  EXPECT_EQ(cluster.starts(job), 80u + held);
  EXPECT_EQ(cluster.show(job).tasks.done, 80u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Takeover, BindsTasksThatNobodyCanHoldWhileANodeIsSilent) {
  Cluster cluster({.nodes = 5, .cpus = 2});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "50"}, 2500));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.job(job)->head.done > 500; }, seconds(20)));
  cluster.crash(1, seconds(60));
  cluster.run_for(seconds(4));
  const std::uint32_t before = cluster.job(job)->head.done;
  cluster.run_for(seconds(10));
  EXPECT_GT(cluster.job(job)->head.done, before + 500);
}

TEST(Takeover, NewTasksGoToTheLivingAtOnceAlthoughTheDeadNodeIsNotDeclaredDead) {
  Cluster cluster({.nodes = 4, .cpus = 2});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "400"}, 120));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.job(job)->head.done >= 40; }, seconds(10)));
  const std::size_t before = cluster.starts(job);
  cluster.crash(1, seconds(600));
  // The group elects another leader after one second: until then no node gets work, and all are
  // idle when it comes. A quarter of a second later they are not.
  cluster.run_for(milliseconds(1250));
  EXPECT_EQ(cluster.running(job), 6u);
  EXPECT_GE(cluster.starts(job), before + 6);
  // Only what may run at the dead node, and the few tasks that might have been next, wait for it.
  cluster.run_for(seconds(30));
  EXPECT_GE(cluster.job(job)->head.done, 120u - 16u);
  EXPECT_LT(cluster.job(job)->head.done, 120u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Takeover, AnIdleNodeThatDiesUnansweredIsAskedNoMoreWhenTheJobsAreOver) {
  Cluster cluster({.nodes = 4, .cpus = 4});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "2000"}, 4));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 4; }, seconds(5)));
  const std::size_t leader = *cluster.leader(GroupId{1});
  std::size_t idle = 0;
  while (idle == leader || !cluster.processes(idle).empty()) ++idle;
  ASSERT_LT(idle, 4u);
  cluster.crash(idle, seconds(20));
  cluster.lead(GroupId{1}, leader);  // in a new term: it asks all who were probed
  ASSERT_TRUE(cluster.ends(job, seconds(10)));
  cluster.run_for(seconds(40));
  const std::size_t messages = cluster.messages();
  cluster.run_for(seconds(20));
  EXPECT_EQ(cluster.messages(), messages);
}

TEST(Takeover, ALimitHoldsWhileWhatTheDeadNodeRunsIsNotKnown) {
  Cluster cluster({.nodes = 4, .cpus = 4});
  JobSpec spec = cluster.spec({"work", "300"}, 100);
  spec.limit = 6;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.job(job)->head.done >= 30; }, seconds(10)));
  const std::size_t lost = cluster.processes(1).size();
  cluster.crash(1, seconds(8));
  std::size_t most = 0;
  cluster.run_until(
      [&] {
        most = std::max(most, cluster.running(job));
        return false;
      },
      seconds(7));
  EXPECT_EQ(most, 6u - lost);
  ASSERT_TRUE(cluster.ends(job, seconds(30)));
  EXPECT_EQ(cluster.job(job)->head.done, 100u);
}

TEST(Takeover, ACancellationAcknowledgedBeforeItReachesWhatTheNewCoordinatorFinds) {
  Cluster cluster({.nodes = 4, .cpus = 2});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "600000"}, 20));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 8; }, seconds(5)));
  // Nobody hears the coordinator any more, but for its group.
  for (const std::size_t host : {0, 2, 3}) cluster.cut(1, host, true);
  const Result<JobAnswer> answer = cluster.call(1, CancelTasks{job, {{1, 20, 1}}, "u", false});
  ASSERT_TRUE(answer.has_value());
  cluster.run_for(milliseconds(200));
  EXPECT_EQ(cluster.running(job), 6u);
  cluster.crash(1);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.running(job) == 0; }, seconds(4)));
  cluster.run_for(seconds(10));
  EXPECT_EQ(cluster.starts(job), 8u);
  EXPECT_EQ(cluster.job(job)->head.state, JobState::kCancelled);
}

TEST(Takeover, ACancellationThatDiesWithTheCoordinatorMayBeAskedForAgain) {
  Cluster cluster({.nodes = 4, .cpus = 2});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "600000"}, 20));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 8; }, seconds(5)));
  const std::uint64_t request = cluster.ask(2, CancelTasks{job, {}, "u", false});
  cluster.run_for(microseconds(300));
  cluster.crash(1);
  // The router asks the next leader; the answer is that of a job that is over.
  ASSERT_TRUE(cluster.run_until([&] { return cluster.answers.contains(request); }, seconds(20)));
  ASSERT_TRUE(cluster.answers.at(request).has_value());
  EXPECT_EQ(cluster.job(job)->head.state, JobState::kCancelled);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.running(job) == 0; }, seconds(5)));
}

TEST(Takeover, FailuresBeforeItStillUseUpTheRetries) {
  Cluster cluster({.nodes = 3, .cpus = 2});
  JobSpec spec = cluster.spec({"exit", "1", "100"});
  spec.retries = 3;
  spec.backoff = milliseconds(500);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  for (std::size_t i = 0; !cluster.is_final(job) && i < 40; ++i) {
    cluster.run_for(milliseconds(700));
    cluster.lead(GroupId{1}, i % 3);
  }
  EXPECT_EQ(cluster.job(job)->head.state, JobState::kFailed);
  EXPECT_EQ(cluster.starts(job), 4u);
}

TEST(Takeover, ManyInARowLoseAndDoubleNothing) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "300"}, 200));
  for (int i = 0; i < 20; ++i) {
    cluster.run_for(milliseconds(170));
    cluster.lead(GroupId{1}, static_cast<std::size_t>(i) % 3);
  }
  EXPECT_TRUE(cluster.ends(job, seconds(60)));
  EXPECT_EQ(cluster.starts(job), 200u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfTheNodeProcessAloneGoesOnWithItsTasks) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "20000"}, 30));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 30; }, seconds(5)));
  cluster.crash_process(2);
  cluster.run_for(milliseconds(800));
  cluster.restart(2);
  EXPECT_TRUE(cluster.ends(job, seconds(40)));
  EXPECT_EQ(cluster.starts(job), 30u);
  EXPECT_TRUE(cluster.violations().empty());
}

// It handed its tasks back, and died before it could tell.
TEST(Restart, WhatAnEarlierLifeWasToldToEndHasNotFailed) {
  Cluster cluster({.nodes = 3, .cpus = 10, .time_to_end = milliseconds(100)});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "20000"}, 30));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 30; }, seconds(5)));
  cluster.hand_back(2);
  cluster.crash_process(2);
  cluster.run_for(milliseconds(800));
  cluster.restart(2);
  EXPECT_TRUE(cluster.ends(job, seconds(60)));
  EXPECT_EQ(cluster.show(job).tasks.done, 30u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfANodeProcessTakenForDeadGoesOnWithItsTasksAndEndsTheNewerAttempts) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "200000"}, 15));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(5)));
  const auto pids = [&] {
    std::set<std::int32_t> found;
    for (const SimProcess& process : cluster.processes(2)) found.insert(process.pid);
    return found;
  };
  const std::set<std::int32_t> before = pids();
  ASSERT_FALSE(before.empty());
  cluster.crash_process(2, seconds(4));
  ASSERT_TRUE(
      cluster.run_until([&] { return cluster.starts(job) == 15 + before.size(); }, seconds(15)));
  cluster.run_for(seconds(10));
  cluster.restart(2);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(15)));
  EXPECT_EQ(pids(), before);
  // The next coordinator knows of it from the log and the nodes alone.
  cluster.lead(GroupId{1}, 1);
  cluster.run_for(seconds(20));
  EXPECT_EQ(pids(), before);
  EXPECT_TRUE(cluster.ends(job, seconds(250)));
  EXPECT_EQ(cluster.starts(job), 15 + before.size()) << "none began a third time";
  EXPECT_EQ(cluster.show(job).tasks.done, 15u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfTheCoordinatorsProcessTakenForDeadGoesOnWithItsTasks) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  cluster.lead(GroupId{1}, 2);
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "200000"}, 15));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(5)));
  const auto pids = [&] {
    std::set<std::int32_t> found;
    for (const SimProcess& process : cluster.processes(2)) found.insert(process.pid);
    return found;
  };
  const std::set<std::int32_t> before = pids();
  ASSERT_FALSE(before.empty());
  cluster.crash_process(2, seconds(4));
  cluster.lead(GroupId{1}, 0);
  ASSERT_TRUE(
      cluster.run_until([&] { return cluster.starts(job) == 15 + before.size(); }, seconds(15)));
  cluster.run_for(seconds(10));
  cluster.restart(2);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(15)));
  EXPECT_EQ(pids(), before);
  cluster.run_for(seconds(5));
  cluster.lead(GroupId{1}, 1);
  cluster.run_for(seconds(20));
  EXPECT_EQ(pids(), before);
  EXPECT_TRUE(cluster.ends(job, seconds(250)));
  EXPECT_EQ(cluster.starts(job), 15 + before.size()) << "none began a third time";
  EXPECT_EQ(cluster.show(job).tasks.done, 15u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfTheCoordinatorsProcessGoesOnWithItsTasksHoweverManyHaveLedSince) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  cluster.lead(GroupId{1}, 2);
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "200000"}, 15));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(5)));
  const auto pids = [&] {
    std::set<std::int32_t> found;
    for (const SimProcess& process : cluster.processes(2)) found.insert(process.pid);
    return found;
  };
  const std::set<std::int32_t> before = pids();
  ASSERT_FALSE(before.empty());
  cluster.crash_process(2, seconds(4));
  cluster.lead(GroupId{1}, 0);
  ASSERT_TRUE(
      cluster.run_until([&] { return cluster.starts(job) == 15 + before.size(); }, seconds(15)));
  cluster.lead(GroupId{1}, 1);
  cluster.run_for(seconds(10));
  cluster.restart(2);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(15)));
  EXPECT_EQ(pids(), before);
  EXPECT_TRUE(cluster.ends(job, seconds(250)));
  EXPECT_EQ(cluster.starts(job), 15 + before.size()) << "none began a third time";
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfANodeProcessTakenForDeadForLongLeavesTheTasksWhereTheyAre) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "200000"}, 15));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(5)));
  cluster.crash_process(2, seconds(4));
  cluster.run_for(seconds(70));
  ASSERT_FALSE(cluster.processes(2).empty());
  cluster.restart(2);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.processes(2).empty(); }, seconds(30)));
  EXPECT_EQ(cluster.running(job), 15u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, AnAttemptThatGoesOnMayFailAndIsRunAgain) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"exit", "3", "60000"}, 15));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 15; }, seconds(5)));
  cluster.crash_process(2, seconds(4));
  cluster.run_for(seconds(15));
  cluster.restart(2);
  EXPECT_TRUE(cluster.ends(job, seconds(200)));
  EXPECT_EQ(cluster.show(job).tasks.failed, 15u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfTheCoordinatorsOwnProcessGoesOnWithItsTasks) {
  Cluster cluster({.nodes = 1, .cpus = 10});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "100", "20000"}, 10));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 10; }, seconds(5)));
  cluster.crash_process(0);
  cluster.run_for(seconds(25));
  cluster.restart(0);
  EXPECT_TRUE(cluster.ends(job, seconds(10)));
  EXPECT_EQ(cluster.starts(job), 10u);
  EXPECT_EQ(cluster.read_log(0, job, 4).size(), 100u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Restart, OfTheNodeProcessAloneKeepsTheTimeLimit) {
  Cluster cluster({.nodes = 2, .cpus = 1});
  JobSpec spec = cluster.spec({"stubborn", "600000"}, 2);
  spec.time_limit = seconds(8);
  spec.grace = seconds(2);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 2; }, seconds(5)));
  const Instant started = cluster.now();
  cluster.run_for(seconds(4));
  cluster.crash_process(0);
  cluster.run_for(seconds(1));
  cluster.restart(0);
  EXPECT_TRUE(cluster.ends(job, seconds(8)));
  EXPECT_GE((cluster.now() - started).milliseconds(), 9'900);
  EXPECT_LT((cluster.now() - started).milliseconds(), 11'000);
  EXPECT_EQ(cluster.job(job)->head.reason, Reason::kTimeLimit);
  EXPECT_EQ(cluster.starts(job), 2u);
}

TEST(Restart, OfAHostLosesItsTasksWithoutUsingUpARetry) {
  Cluster cluster({.nodes = 3, .cpus = 10});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "5000"}, 30));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 30; }, seconds(5)));
  const std::size_t held = cluster.processes(2).size();
  cluster.crash(2);
  cluster.run_for(milliseconds(300));
  cluster.restart(2);
  EXPECT_TRUE(cluster.ends(job, seconds(40)));
  EXPECT_EQ(cluster.starts(job), 30u + held);
  EXPECT_EQ(cluster.show(job).tasks.done, 30u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Loss, ATaskThatKillsThreeHostsFailsAndNamesThem) {
  Cluster cluster({.nodes = 6, .groups = 1, .cpus = 1});
  const JobId job = cluster.submit(0, GroupId{0}, cluster.spec({"work", "600000"}));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 1; }, seconds(20)));
    std::size_t host = 0;
    while (cluster.processes(host).empty()) ++host;
    // The coordinator must see the loss: keep it off the host that dies.
    cluster.lead(GroupId{0}, host == 0 ? 5 : 0);
    cluster.run_for(seconds(1));
    cluster.crash(host);
    cluster.run_for(seconds(5));
  }
  EXPECT_TRUE(cluster.ends(job, seconds(20)));
  const JobSummary summary = cluster.show(job);
  EXPECT_EQ(summary.state, JobState::kFailed);
  EXPECT_EQ(summary.reason, Reason::kCrashLimit);
}

TEST(Loss, OfANodeWhoseResultsTheGroupHadNoRoomForRunsItsTasksAgain) {
  Cluster cluster({.nodes = 3, .cpus = 1});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "500"}, 3));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 3; }, seconds(5)));
  cluster.refuse(GroupId{1}, true);
  cluster.run_for(milliseconds(700));
  EXPECT_EQ(cluster.job(job)->head.done, 0u);
  cluster.crash(2);
  cluster.run_for(milliseconds(100));
  cluster.refuse(GroupId{1}, false);
  EXPECT_TRUE(cluster.ends(job, seconds(30)));
  EXPECT_EQ(cluster.show(job).tasks.done, 3u);
  EXPECT_EQ(cluster.starts(job), 4u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Cancel, OfAMillionTasksAtAThousandNodesIsToldToEachOnce) {
  constexpr std::uint32_t kTasks = 1'000'000;
  constexpr std::uint32_t kNodes = 1000;
  const GroupId group{1};
  const JobId id = *JobId::from_text("ab00000000");
  std::map<NodeId, SchedMember> members;
  std::vector<RingNode> ring;
  const auto node_of = [](std::uint32_t n) {
    NodeId node;
    node.raw[0] = static_cast<std::uint8_t>(n);
    node.raw[1] = static_cast<std::uint8_t>(n >> 8);
    node.raw[2] = 1;
    return node;
  };
  for (std::uint32_t n = 0; n < kNodes; ++n) {
    members[node_of(n)].boot = 1;
    members[node_of(n)].cpus = 16;
    ring.push_back({node_of(n), "", 1});
  }
  Scheduler scheduler(node_of(0), 1, SchedConfig{}, Random(1));
  Effects out;
  scheduler.set_members(Instant{1}, members, Ring(ring), out);
  scheduler.leading(Instant{2}, group, 5, out);
  const std::uint64_t token = std::get<ReadGroup>(scheduler.take_events().at(0)).token;
  scheduler.on_read_ready(Instant{3}, group, token, true, out);
  JobSpec spec;
  spec.argv = {"x"};
  spec.tasks = {{1, kTasks, 1}};
  SubmitCommand submit{id, "u", "", encode(spec), {1}, {}, kTasks};
  for (std::uint32_t n = 0; n < kNodes; ++n) submit.probed.push_back(node_of(n));
  scheduler.apply(Instant{4}, group, 1, 5, encode_command(submit), out);
  for (std::uint32_t n = 0; n < kNodes; ++n) {
    const Bytes frame = encode_frame(Pull{group, id, 1, 1, 16, false});
    scheduler.receive(Instant{5}, node_of(n), frame, out);
  }
  const CancelCommand cancel{id, {{1, kTasks - 1}}, {1}, "u", {}};
  scheduler.apply(Instant{6}, group, 2, 5, encode_command(cancel), out);
  std::multiset<NodeId> ordered;
  Effects drops;
  scheduler.tick(Instant{7}, {1}, drops);
  for (const Send& sent : drops.sends) {
    const Result<SchedMessage> message = decode_frame(sent.frame);
    if (message && std::holds_alternative<Drop>(*message)) ordered.insert(sent.to);
  }
  EXPECT_EQ(ordered.size(), kNodes);
  EXPECT_EQ(std::set<NodeId>(ordered.begin(), ordered.end()).size(), kNodes);
}

TEST(Loss, OfMessagesOfAllKindsDelaysAndLosesNothing) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    Cluster cluster({.nodes = 4,
                     .cpus = 3,
                     .seed = seed,
                     .loss = 0.15,
                     .duplication = 0.15,
                     .least_delay = microseconds(100),
                     .most_delay = milliseconds(30)});
    const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "9", "40"}, 120));
    const JobId other = cluster.submit(1, GroupId{2}, cluster.spec({":"}, 3000));
    const bool done = cluster.run_until(
        [&] { return cluster.is_final(job) && cluster.is_final(other); }, seconds(120));
    EXPECT_TRUE(done) << "seed " << seed;
    EXPECT_EQ(cluster.job(job)->head.done, 120u) << "seed " << seed;
    for (const std::string& line : cluster.violations()) ADD_FAILURE() << seed << ": " << line;
  }
}

}  // namespace
}  // namespace dunlin::sched::testing
