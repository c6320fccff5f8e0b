// Cancellation, through whole clusters.
#include <gtest/gtest.h>

#include "base/codec.h"
#include "sched/process_label.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

TEST(Cancel, EndsEveryProcessOfTheJobEvenAStubbornOne) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  JobSpec spec = cluster.spec({"stubborn", "600000"}, 30);
  spec.grace = seconds(2);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 12; }, seconds(5)));
  const Result<JobAnswer> answer = cluster.call(2, CancelTasks{job, {}, "u", false});
  ASSERT_TRUE(answer.has_value());
  // What has its grace still runs, and is counted so; what had not begun is over.
  const JobSummary ending = std::get<Cancelled>(*answer).job;
  EXPECT_EQ(ending.state, JobState::kRunning);
  EXPECT_EQ(ending.reason, Reason::kCancelled);
  EXPECT_EQ(ending.tasks.running, 12u);
  EXPECT_EQ(ending.tasks.cancelled, 18u);
  JobSummary seen = ending;
  for (int changes = 0; !dunlin::is_final(seen.state) && changes < 20; ++changes) {
    const Result<JobAnswer> next = cluster.call(1, WatchJob{job, seen.version, seconds(20), false});
    ASSERT_TRUE(next.has_value());
    seen = std::get<JobChanged>(*next).job;
  }
  EXPECT_EQ(cluster.running(job), 0u);
  EXPECT_LT(cluster.now().us, seconds(6).us);
  const JobSummary over = cluster.show(job);
  EXPECT_EQ(over.state, JobState::kCancelled);
  EXPECT_EQ(over.tasks.cancelled, 30u);
  const TaskView first = cluster.task(job, 1);
  EXPECT_EQ(first.attempt, 1u);
  EXPECT_TRUE(first.node.has_value());
  EXPECT_GT(first.started_at.ms, 0);
  EXPECT_EQ(first.cpu_ms, 1) << "told once it was gone";
  EXPECT_EQ(first.max_rss, 1U << 20);
  cluster.run_for(seconds(5));
  EXPECT_EQ(cluster.starts(job), 12u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_TRUE(cluster.processes(i).empty());
}

TEST(Cancel, ReachesAProcessAlthoughTheOrderIsLostAndTheCoordinatorChanges) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "600000"}, 12));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 12; }, seconds(5)));
  cluster.cut(1, 0, true);
  ASSERT_TRUE(cluster.call(2, CancelTasks{job, {}, "u", false}).has_value());
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.running(job), 4u);
  cluster.lead(GroupId{1}, 2);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.running(job) == 0; }, seconds(5)));
}

TEST(Cancel, WhatIsCancelledTellsWhatItHasUsedToTheNextCoordinatorToo) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  JobSpec spec = cluster.spec({"stubborn", "600000"}, 4);
  spec.grace = seconds(2);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 4; }, seconds(5)));
  ASSERT_TRUE(cluster.call(2, CancelTasks{job, {}, "u", false}).has_value());
  cluster.run_for(seconds(1));
  cluster.lead(GroupId{1}, 2);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 0; }, seconds(6)));
  cluster.run_for(seconds(3));
  for (std::uint32_t task = 1; task <= 4; ++task) EXPECT_EQ(cluster.task(job, task).cpu_ms, 1);
  EXPECT_EQ(cluster.show(job).state, JobState::kCancelled);
}

TEST(Cancel, WhatItHasUsedIsToldToTheNextCoordinatorThoughNobodyHeardItWhenItEnded) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  JobSpec spec = cluster.spec({"stubborn", "600000"}, 12);
  spec.grace = seconds(2);
  cluster.lead(GroupId{1}, 0);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 12; }, seconds(5)));
  ASSERT_TRUE(cluster.call(2, CancelTasks{job, {}, "u", false}).has_value());
  cluster.run_for(seconds(1));
  cluster.cut(1, 0, true);
  cluster.run_for(seconds(12));
  EXPECT_EQ(cluster.running(job), 0u);
  cluster.lead(GroupId{1}, 2);
  cluster.run_for(seconds(3));
  for (std::uint32_t task = 1; task <= 12; ++task) EXPECT_EQ(cluster.task(job, task).cpu_ms, 1);
  EXPECT_EQ(cluster.show(job).state, JobState::kCancelled);
}

// Whichever is first when both can be heard again: the order to end it, or its result.
TEST(Cancel, OfWhatHasEndedAndCouldNotTellSaysWhatItUsed) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Cluster cluster({.nodes = 2, .cpus = 2, .seed = seed, .most_delay = milliseconds(300)});
    cluster.lead(GroupId{1}, 0);
    const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "10", "1500"}, 4));
    ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 4; }, seconds(5)));
    cluster.cut(1, 0, true);
    cluster.run_for(seconds(1));
    ASSERT_TRUE(cluster.call(0, CancelTasks{job, {}, "u", false}).has_value());
    cluster.run_for(seconds(1));
    cluster.cut(1, 0, false);
    ASSERT_TRUE(cluster.ends(job, seconds(20))) << "seed " << seed;
    cluster.run_for(seconds(4));
    for (std::uint32_t task = 1; task <= 4; ++task) {
      EXPECT_EQ(cluster.task(job, task).cpu_ms, 1) << "seed " << seed << ", task " << task;
    }
    EXPECT_EQ(cluster.show(job).state, JobState::kCancelled);
  }
}

TEST(Cancel, OfShortTasksOneByOneWhileMoreAreFetchedAhead) {
  Cluster cluster({.nodes = 2, .cpus = 4, .time_to_end = milliseconds(1)});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "20"}, 2000));
  std::size_t cancelled = 0;
  for (int round = 0; round < 50; ++round) {
    cluster.run_for(milliseconds(30));
    if (cluster.processes(1).empty()) continue;
    const Result<ProcessLabel> label = decode<ProcessLabel>(cluster.processes(1).back().label);
    const std::uint32_t task = label->index + 1;
    ASSERT_TRUE(cluster.call(0, CancelTasks{job, {{task, task, 1}}, "u", false}).has_value());
    ++cancelled;
  }
  EXPECT_GT(cancelled, 20u);
  ASSERT_TRUE(cluster.ends(job, seconds(60)));
  EXPECT_EQ(cluster.show(job).tasks.done + cluster.show(job).tasks.cancelled, 2000u);
}

TEST(Cancel, OfSomeTasksLeavesTheOthers) {
  Cluster cluster({.nodes = 2, .cpus = 4});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "1000"}, 20));
  cluster.run_for(milliseconds(100));
  ASSERT_TRUE(cluster.call(0, CancelTasks{job, {{1, 2, 1}, {19, 20, 1}}, "u", false}).has_value());
  ASSERT_TRUE(cluster.ends(job, seconds(10)));
  const JobSummary summary = cluster.show(job);
  EXPECT_EQ(summary.tasks.cancelled, 4u);
  EXPECT_EQ(summary.tasks.done, 16u);
  EXPECT_EQ(summary.state, JobState::kCancelled);
}

TEST(Cancel, ByAnotherUserIsRefused) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "1000"}));
  const Result<JobAnswer> answer = cluster.call(0, CancelTasks{job, {}, "mallory", false});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kRefused);
}

}  // namespace
}  // namespace dunlin::sched::testing
