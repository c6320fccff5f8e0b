// What people may order about a job that is accepted already, on a small healthy cluster.
#include <gtest/gtest.h>

#include "sched/coordinator.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

struct Orders : public ::testing::Test {
  Cluster cluster{ClusterOptions{}};
  GroupId group{1};

  void SetUp() override { cluster.lead(group, 0); }
  void TearDown() override {
    for (const std::string& line : cluster.violations()) ADD_FAILURE() << line;
  }

  Result<JobAnswer> order(const JobId& job, JobOrder what, std::vector<TaskRange> tasks = {}) {
    return cluster.call(1, OrderJob{job, std::move(tasks), "u", false, std::move(what)});
  }
  JobSummary ordered(const JobId& job, JobOrder what, std::vector<TaskRange> tasks = {}) {
    const Result<JobAnswer> answer = order(job, std::move(what), std::move(tasks));
    EXPECT_TRUE(answer.has_value()) << answer.error().message;
    return answer ? std::get<Ordered>(*answer).job : JobSummary{};
  }
};

// ---- pause, freeze, resume ----------------------------------------------------------------------

TEST_F(Orders, APausedJobStartsNothingAndGoesOnWhenItIsResumed) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "100"}, 40));
  cluster.run_for(milliseconds(150));
  EXPECT_EQ(ordered(job, PauseTasks{}).state, JobState::kPaused);
  cluster.run_for(seconds(2));
  const JobSummary paused = cluster.show(job);
  EXPECT_EQ(paused.state, JobState::kPaused);
  EXPECT_EQ(paused.reason, Reason::kPaused);
  EXPECT_EQ(paused.tasks.running, 0u);
  EXPECT_GT(paused.tasks.waiting, 0u);
  EXPECT_EQ(cluster.task(job, 40).state, TaskState::kWaiting);
  EXPECT_EQ(cluster.task(job, 40).reason, Reason::kPaused);
  cluster.run_for(seconds(20));
  EXPECT_EQ(cluster.show(job).tasks.done, paused.tasks.done);
  ordered(job, ResumeTasks{});
  EXPECT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).tasks.done, 40u);
}

TEST_F(Orders, APausedJobBeganWhenItBegan) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "60000"}, 4));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 4; }, seconds(5)));
  cluster.run_for(seconds(2));
  const WallTime began = cluster.show(job).started_at;
  EXPECT_NE(began.ms, 0);
  EXPECT_EQ(ordered(job, PauseTasks{}).started_at, began) << "it runs on";
  ordered(job, PauseTasks{.freezes = true});
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.show(job).started_at, began) << "it stands still";
}

TEST_F(Orders, AJobStaysPausedUnderTheNextCoordinator) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "100"}, 40));
  ordered(job, PauseTasks{});
  cluster.run_for(seconds(1));
  const std::uint32_t done = cluster.show(job).tasks.done;
  cluster.crash(0);
  cluster.run_for(seconds(20));
  EXPECT_EQ(cluster.show(job).state, JobState::kPaused);
  EXPECT_EQ(cluster.show(job).tasks.done, done);
  ordered(job, ResumeTasks{});
  EXPECT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).tasks.done, 40u);
}

TEST_F(Orders, FrozenTasksStandStillAndTheirTimeLimitsToo) {
  JobSpec spec = cluster.spec({"work", "3000"}, 4);
  spec.time_limit = seconds(4);
  const JobId job = cluster.submit(0, group, spec);
  cluster.run_for(seconds(1));
  ordered(job, PauseTasks{true});
  cluster.run_for(seconds(1));
  EXPECT_EQ(cluster.show(job).tasks.paused, 4u);
  EXPECT_EQ(cluster.task(job, 1).state, TaskState::kPaused);
  cluster.run_for(seconds(30));
  EXPECT_EQ(cluster.show(job).tasks.paused, 4u);
  ordered(job, ResumeTasks{});
  EXPECT_TRUE(cluster.ends(job, seconds(10)));
  EXPECT_EQ(cluster.show(job).tasks.done, 4u);
  EXPECT_EQ(cluster.task(job, 1).attempt, 1u);
}

TEST_F(Orders, FrozenTasksCanBeCancelled) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "60000"}, 4));
  cluster.run_for(seconds(1));
  ordered(job, PauseTasks{true});
  cluster.run_for(seconds(2));
  ASSERT_TRUE(cluster.call(1, CancelTasks{job, {}, "u", false}).has_value());
  EXPECT_TRUE(cluster.run_until([&] { return cluster.show(job).state == JobState::kCancelled; },
                                seconds(8)));
}

TEST_F(Orders, TasksArePausedOneByOne) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "200"}, 60));
  ordered(job, PauseTasks{}, {{41, 60, 1}});
  cluster.run_for(seconds(10));
  EXPECT_EQ(cluster.show(job).tasks.done, 40u);
  EXPECT_EQ(cluster.show(job).reason, Reason::kPaused);
  ordered(job, ResumeTasks{}, {{51, 60, 1}});
  cluster.run_for(seconds(5));
  EXPECT_EQ(cluster.show(job).tasks.done, 50u);
  ordered(job, PauseTasks{});
  const Result<JobAnswer> refused = order(job, ResumeTasks{}, {{45, 45, 1}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kConflict);
  ordered(job, ResumeTasks{});
  EXPECT_TRUE(cluster.ends(job));
}

TEST_F(Orders, WhatIsHeldOfALongArrayHoldsUpNothingBehindIt) {
  const JobId paused = cluster.submit(0, group, cluster.spec({"work", "100"}, 20'000));
  ordered(paused, PauseTasks{}, {{1, 19'940, 1}});
  const JobId cancelled = cluster.submit(0, group, cluster.spec({"work", "100"}, 20'000));
  ASSERT_TRUE(cluster.call(1, CancelTasks{cancelled, {{1, 19'940, 1}}, "u", false}).has_value());
  cluster.run_for(seconds(60));
  EXPECT_GE(cluster.show(paused).tasks.done, 60u);
  EXPECT_TRUE(cluster.is_final(cancelled));
  ordered(paused, ResumeTasks{}, {{1, 20, 1}});
  cluster.run_for(seconds(20));
  EXPECT_GE(cluster.show(paused).tasks.done, 80u);
}

TEST_F(Orders, WhatIsBoundAndHasNotBegunBeginsOnceTheJobIsResumed) {
  for (std::size_t host = 0; host < 3; ++host) cluster.slow_staging(host, seconds(3));
  const Bytes text = to_bytes(as_bytes("input"));
  for (const bool freezes : {false, true}) {
    JobSpec spec = cluster.spec({"work", "300"}, 4);
    spec.files = {{"in" + std::to_string(freezes), 0644, text.size(), {cluster.store(text)}}};
    const JobId job = cluster.submit(0, group, spec);
    cluster.run_for(seconds(1));
    ordered(job, PauseTasks{freezes});
    cluster.run_for(seconds(20));
    EXPECT_EQ(cluster.starts(job), 0u) << freezes;
    ordered(job, ResumeTasks{});
    EXPECT_TRUE(cluster.ends(job));
    EXPECT_EQ(cluster.show(job).tasks.done, 4u);
  }
}

TEST_F(Orders, WhatIsSetWhileTasksAreFrozenLeavesThemTheirTime) {
  JobSpec spec = cluster.spec({"work", "60000"}, 4);
  spec.time_limit = seconds(30);
  const JobId job = cluster.submit(0, group, spec);
  cluster.run_for(seconds(1));
  ordered(job, PauseTasks{true});
  cluster.run_for(seconds(45));
  ordered(job, ChangeJob{5, std::nullopt, std::nullopt, std::nullopt});
  cluster.run_for(seconds(5));
  ordered(job, ResumeTasks{});
  EXPECT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_EQ(cluster.show(job).tasks.done, 4u);
}

TEST_F(Orders, AsManySeparateRangesArePausedAsAreKeptAndMoreAreRefused) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "600000"}, 10'000));
  ordered(job, PauseTasks{}, {{1001, 10'000, 1}});
  // Each of them cuts one in two, and comes between.
  ASSERT_FALSE(order(job, PauseTasks{true}, {{1002, 5500, 2}}).has_value());
  EXPECT_EQ(cluster.job(job)->hold_of(1001), Hold::kPaused);
  ordered(job, PauseTasks{true}, {{1002, 5000, 2}});
  EXPECT_EQ(cluster.job(job)->hold_of(1001), Hold::kFrozen);
  EXPECT_EQ(cluster.job(job)->hold_of(1002), Hold::kPaused);
  EXPECT_EQ(cluster.job(job)->hold_of(4999), Hold::kFrozen);
  const Result<JobAnswer> refused = order(job, PauseTasks{true}, {{5002, 6000, 2}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kLimit);
  ordered(job, ResumeTasks{}, {{1001, 9000, 1}});
  EXPECT_EQ(cluster.job(job)->head.held, (std::vector<HeldRun>{{9000, 1000, Hold::kPaused}}));
}

TEST_F(Orders, OfTwoOrdersAtOnceNoneIsAcknowledgedThatHadNoEffect) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "600000"}, 10));
  const OrderJob all{job, {}, "u", false, PauseTasks{}};
  const OrderJob one{job, {{9, 9, 1}}, "u", false, PauseTasks{true}};
  const std::uint64_t first = cluster.ask(0, all);
  const std::uint64_t second = cluster.ask(0, one);
  cluster.run_for(seconds(1));
  ASSERT_TRUE(cluster.answers.at(first).has_value());
  ASSERT_FALSE(cluster.answers.at(second).has_value());
  EXPECT_EQ(cluster.answers.at(second).error().code, Code::kConflict);
}

// ---- retry --------------------------------------------------------------------------------------

TEST_F(Orders, WhatIsCancelledRunsAgainAlthoughItStillHasItsGrace) {
  const JobId job = cluster.submit(0, group, cluster.spec({"stubborn", "3000"}, 20));
  cluster.run_for(milliseconds(500));
  ASSERT_TRUE(cluster.call(1, CancelTasks{job, {}, "u", false}).has_value());
  cluster.run_for(milliseconds(500));
  ASSERT_GT(cluster.running(job), 0u);
  ordered(job, RetryTasks{});
  EXPECT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).tasks.done, 20u);
}

TEST_F(Orders, AJobOfWhichAPartIsRetriedKeepsTheReasonOfTheRest) {
  const JobId job = cluster.submit(0, group, cluster.spec({"flaky", "1", "50"}, 3));
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).reason, Reason::kExit);
  ordered(job, RetryTasks{}, {{2, 2, 1}});
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).state, JobState::kFailed);
  EXPECT_EQ(cluster.show(job).reason, Reason::kExit);
  EXPECT_EQ(cluster.show(job).tasks.failed, 2u);
}

TEST_F(Orders, FailedTasksRunAgainUnderTheSameIdAndTheirAttemptsGoOn) {
  JobSpec spec = cluster.spec({"flaky", "2", "50"}, 3);
  spec.retries = 1;
  const JobId job = cluster.submit(0, group, spec);
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).tasks.failed, 3u);
  const JobSummary again = ordered(job, RetryTasks{});
  EXPECT_FALSE(is_final(again.state));
  EXPECT_EQ(again.tasks.failed, 0u);
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).state, JobState::kDone);
  EXPECT_EQ(cluster.task(job, 2).attempt, 3u);
}

TEST_F(Orders, RetriesBeginAnewInTheNextRound) {
  JobSpec spec = cluster.spec({"flaky", "3", "50"}, 1);
  spec.retries = 1;
  const JobId job = cluster.submit(0, group, spec);
  ASSERT_TRUE(cluster.ends(job));
  ordered(job, RetryTasks{});
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).state, JobState::kDone);
  EXPECT_EQ(cluster.task(job, 1).attempt, 4u);
}

TEST_F(Orders, CancelledTasksRunAgainAndWhatIsDoneStaysDone) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "100"}, 30));
  cluster.run_for(milliseconds(250));
  ASSERT_TRUE(cluster.call(1, CancelTasks{job, {}, "u", false}).has_value());
  ASSERT_TRUE(cluster.ends(job));
  const std::uint32_t done = cluster.show(job).tasks.done;
  EXPECT_LT(done, 30u);
  const JobSummary again = ordered(job, RetryTasks{});
  EXPECT_EQ(again.tasks.done, done);
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).tasks.done, 30u);
  EXPECT_EQ(cluster.show(job).state, JobState::kDone);
}

TEST_F(Orders, WithAllEveryTaskRunsAgainOnceTheJobIsOver) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "100"}, 6));
  const Result<JobAnswer> early = order(job, RetryTasks{true});
  ASSERT_FALSE(early.has_value());
  EXPECT_EQ(early.error().code, Code::kConflict);
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.task(job, 4).attempt, 1u);
  ordered(job, RetryTasks{true});
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.show(job).tasks.done, 6u);
  EXPECT_EQ(cluster.task(job, 4).attempt, 2u);
}

TEST_F(Orders, OutputIsThatOfTheNewestRoundAndEarlierOnesStayReadable) {
  const JobId job = cluster.submit(0, group, cluster.spec({"print", "40", "100"}, 2));
  ASSERT_TRUE(cluster.ends(job));
  ordered(job, RetryTasks{true});
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.task(job, 2).attempt, 2u);
  EXPECT_EQ(cluster.read_log(1, job, 2).size(), 40u);
  ReadLog first;
  first.id = job;
  first.task = 2;
  first.attempt = 1;
  const Result<JobAnswer> answer = cluster.call(1, first);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<LogChunk>(*answer).data.size(), 40u);
}

TEST_F(Orders, OneTaskOfARunningJobIsRetriedWhileOthersGoOn) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "3000"}, 4));
  cluster.run_for(milliseconds(500));
  ASSERT_TRUE(cluster.call(1, CancelTasks{job, {{2, 2, 1}}, "u", false}).has_value());
  cluster.run_for(milliseconds(500));
  ordered(job, RetryTasks{});
  ASSERT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_EQ(cluster.show(job).tasks.done, 4u);
  EXPECT_EQ(cluster.task(job, 1).attempt, 1u);
  EXPECT_EQ(cluster.task(job, 2).attempt, 2u);
}

TEST_F(Orders, ARetryOutlivesItsCoordinator) {
  const JobId job = cluster.submit(0, group, cluster.spec({"exit", "3", "300"}, 8));
  ASSERT_TRUE(cluster.ends(job));
  ordered(job, RetryTasks{});
  cluster.run_for(milliseconds(200));
  cluster.crash(0);
  ASSERT_TRUE(cluster.ends(job, seconds(60)));
  EXPECT_EQ(cluster.show(job).tasks.failed, 8u);
  EXPECT_GE(cluster.task(job, 3).attempt, 2u);
}

TEST_F(Orders, AnOrderThatIsAskedForAgainIsCarriedOutOnce) {
  const JobId job = cluster.submit(0, group, cluster.spec({"exit", "3", "100"}, 2));
  ASSERT_TRUE(cluster.ends(job));
  const OrderJob retry{job, {}, "u", false, RetryTasks{}, 77};
  ASSERT_TRUE(cluster.call(1, retry).has_value());
  ASSERT_TRUE(cluster.ends(job));
  ASSERT_TRUE(cluster.call(2, retry).has_value());
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.task(job, 1).attempt, 2u);
  ASSERT_TRUE(cluster.call(1, OrderJob{job, {}, "u", false, RetryTasks{}, 78}).has_value());
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(cluster.task(job, 1).attempt, 3u);
}

// ---- delete, set --------------------------------------------------------------------------------

TEST_F(Orders, AFinishedJobIsDeletedAtOnceAndNoOther) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "500"}));
  const Result<JobAnswer> early = order(job, DeleteJob{});
  ASSERT_FALSE(early.has_value());
  EXPECT_EQ(early.error().code, Code::kConflict);
  ASSERT_TRUE(cluster.ends(job));
  EXPECT_EQ(ordered(job, DeleteJob{}).state, JobState::kDone);
  const Result<JobAnswer> gone = cluster.call(2, ShowJob{job, false});
  ASSERT_FALSE(gone.has_value());
  EXPECT_EQ(gone.error().code, Code::kNotFound);
}

TEST_F(Orders, NobodyElseMayOrder) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "500"}));
  const Result<JobAnswer> refused =
      cluster.call(1, OrderJob{job, {}, "mallory", false, PauseTasks{}});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kRefused);
  EXPECT_TRUE(cluster.call(1, OrderJob{job, {}, "root", true, PauseTasks{}}).has_value());
  EXPECT_TRUE(cluster.call(1, OrderJob{job, {}, "root", true, ResumeTasks{}}).has_value());
}

TEST_F(Orders, ANewTimeLimitHoldsForWhatRunsToo) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "60000"}, 3));
  cluster.run_for(seconds(2));
  ordered(job, ChangeJob{std::nullopt, std::nullopt, seconds(5), std::nullopt});
  ASSERT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_EQ(cluster.task(job, 1).reason, Reason::kTimeLimit);
}

TEST_F(Orders, ANewLimitLetsMoreRunAtOnce) {
  JobSpec spec = cluster.spec({"work", "1000"}, 12);
  spec.limit = 1;
  const JobId job = cluster.submit(0, group, spec);
  cluster.run_for(milliseconds(1500));
  EXPECT_EQ(cluster.show(job).tasks.running, 1u);
  ordered(job, ChangeJob{7, 4, std::nullopt, std::nullopt});
  cluster.run_for(milliseconds(800));
  EXPECT_EQ(cluster.show(job).tasks.running, 4u);
  EXPECT_EQ(cluster.show(job).priority, 7);
  EXPECT_TRUE(cluster.ends(job));
}

TEST_F(Orders, AJobThatWasChangedIsStillTheOneThatWasSubmitted) {
  const JobId id = cluster.make_id(group);
  const SubmitJob once{id, "u", "key", cluster.spec({"work", "600000"})};
  ASSERT_TRUE(cluster.call(0, once).has_value());
  ordered(id, ChangeJob{5, 2, seconds(700), seconds(9000)});
  EXPECT_TRUE(cluster.call(1, once).has_value());
  SubmitJob other = once;
  other.spec.argv[1] = "20";
  const Result<JobAnswer> refused = cluster.call(1, other);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kConflict);
}

TEST_F(Orders, TimesBeyondAllReasonAreRefused) {
  const JobId job = cluster.submit(0, group, cluster.spec({"work", "600000"}));
  const ChangeJob forever{std::nullopt, std::nullopt, std::nullopt, Duration{INT64_MAX}};
  const Result<JobAnswer> refused = order(job, forever);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kLimit);
  JobSpec spec = cluster.spec({"work", "1"});
  spec.begin = {INT64_MAX};
  const Result<JobAnswer> late = cluster.call(0, SubmitJob{cluster.make_id(group), "u", "", spec});
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::kLimit);
}

// ---- max-fails, crash-limit, begin --------------------------------------------------------------

TEST_F(Orders, WithTooManyFailedTasksTheRestIsCancelledAndTheJobFails) {
  JobSpec spec = cluster.spec({"exit", "3", "100"}, 50);
  spec.max_fails = 2;
  const JobId job = cluster.submit(0, group, spec);
  ASSERT_TRUE(cluster.ends(job));
  const JobSummary summary = cluster.show(job);
  EXPECT_EQ(summary.state, JobState::kFailed);
  EXPECT_EQ(summary.reason, Reason::kMaxFails);
  EXPECT_GE(summary.tasks.failed, 3u);
  EXPECT_LE(summary.tasks.failed, 20u);
  EXPECT_EQ(summary.tasks.failed + summary.tasks.cancelled, 50u);
  EXPECT_EQ(cluster.task(job, 50).reason, Reason::kMaxFails);
  // Some were cut off while they ran: each says where, and what it has used.
  std::uint32_t cut_off = 0;
  for (std::uint32_t task = 1; task <= 50; ++task) {
    const TaskView view = cluster.task(job, task);
    if (view.state != TaskState::kCancelled || view.attempt == 0) continue;
    ++cut_off;
    EXPECT_TRUE(view.node.has_value());
    EXPECT_EQ(view.max_rss, 1U << 20);
  }
  EXPECT_GT(cut_off, 0u);
}

TEST_F(Orders, AJobBeginsAtItsTime) {
  JobSpec spec = cluster.spec({"work", "100"}, 3);
  spec.begin = {cluster.wall().ms + 90'000};
  const JobId job = cluster.submit(0, group, spec);
  cluster.run_for(seconds(80));
  EXPECT_EQ(cluster.show(job).reason, Reason::kBegin);
  EXPECT_EQ(cluster.show(job).tasks.waiting, 3u);
  cluster.run_for(seconds(12));
  EXPECT_EQ(cluster.show(job).tasks.done, 3u);
}

}  // namespace
}  // namespace dunlin::sched::testing
