// Why a task waits, node by node; what happened to it, attempt by attempt.
#include <gtest/gtest.h>

#include "sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

constexpr GroupId kExplainGroup{0};

class Explain : public ::testing::Test {
 protected:
  void begin(ClusterOptions options) {
    cluster_.emplace(std::move(options));
    cluster_->lead(kExplainGroup, 0);
    cluster_->run_for(seconds(1));
  }
  Explained explain(const JobId& job, std::optional<std::uint32_t> task = {}) {
    const Result<JobAnswer> answer = cluster_->call(0, ExplainTask{job, task}, seconds(5));
    if (!answer) {
      ADD_FAILURE() << answer.error().message;
      return {};
    }
    return std::get<Explained>(*answer);
  }
  // What host `host` says.
  NodeVerdict of(const Explained& explained, std::size_t host) {
    for (const NodeVerdict& node : explained.nodes) {
      if (node.node == cluster_->id(host)) return node;
    }
    ADD_FAILURE() << "nothing of host " << host;
    return {};
  }
  // Keeps both cores of the host.
  void occupy(std::size_t host) {
    JobSpec spec = cluster_->spec({"work", "600000"}, 2);
    spec.placement.nodes = {cluster_->id(host)};
    const JobId job = cluster_->submit(0, kExplainGroup, spec, "root");
    ASSERT_TRUE(cluster_->run_until([&] { return cluster_->running(job) == 2; }, seconds(5)));
  }

  std::optional<Cluster> cluster_;
};

TEST_F(Explain, EachNodeSaysWhyATaskWaits) {
  begin({.nodes = 5, .root_jobs_only = {2}, .devices = {{4, {1, {}}}}});
  occupy(0);
  cluster_->crash(3, seconds(2));
  cluster_->run_for(seconds(10));
  JobSpec spec = cluster_->spec({"work", "50"});
  spec.cpus = 2;
  spec.placement.excluded = {cluster_->id(1), cluster_->id(4)};
  const JobId job = cluster_->submit(0, kExplainGroup, spec);
  const Explained told = explain(job);
  EXPECT_EQ(told.task.state, TaskState::kQueued);
  EXPECT_EQ(told.task.reason, Reason::kResources);
  EXPECT_EQ(told.nodes.size(), 5u);
  const NodeVerdict full = of(told, 0);
  EXPECT_EQ(full.verdict, FitVerdict::kFull);
  EXPECT_EQ(told.needs.room.cpus, 2u);
  EXPECT_EQ(full.has->room.cpus, 0u);
  EXPECT_EQ(full.ahead, 0u);
  EXPECT_LT(full.asked_ms_ago.value_or(-1), 5000);
  EXPECT_GE(full.asked_ms_ago.value_or(-1), 0);
  EXPECT_EQ(of(told, 1).verdict, FitVerdict::kExcluded);
  EXPECT_EQ(of(told, 2).verdict, FitVerdict::kRefused);
  const NodeVerdict dead = of(told, 3);
  EXPECT_EQ(dead.verdict, FitVerdict::kUnreachable);
  EXPECT_FALSE(dead.asked_ms_ago.has_value());
  EXPECT_FALSE(dead.has.has_value());
  EXPECT_NE(dead.since.ms, 0);
  EXPECT_EQ(of(told, 4).verdict, FitVerdict::kExcluded);
  EXPECT_TRUE(told.attempts.empty());
}

TEST_F(Explain, ANodeThatLacksSomethingTellsWhatItHas) {
  begin({.nodes = 2, .devices = {{1, {2, {{"license", 4}}}}}, .zones = {{1, "west"}}});
  JobSpec spec = cluster_->spec({"work", "50"});
  spec.devices = {3, {{"license", 1}}};
  spec.placement.zone = "west";
  const Explained told = explain(cluster_->submit(0, kExplainGroup, spec), 1);
  EXPECT_EQ(told.task.reason, Reason::kImpossible);
  EXPECT_EQ(told.task.detail, "it asks for 3 gpus, and no node has more than 2");
  const NodeVerdict other = of(told, 0);
  EXPECT_EQ(other.verdict, FitVerdict::kLacks);
  EXPECT_EQ(other.has->room.devices.gpus, 0u);
  EXPECT_EQ(other.has->zone, "");
  const NodeVerdict nearly = of(told, 1);
  EXPECT_EQ(nearly.verdict, FitVerdict::kLacks);
  EXPECT_EQ(nearly.has->room.devices.gpus, 2u);
  EXPECT_EQ(nearly.has->room.resource("license"), 4u);
  EXPECT_EQ(nearly.has->zone, "west");
}

TEST_F(Explain, WhoStaysSilentIsUnreachableAndHoldsNobodyUp) {
  begin({.nodes = 2});
  occupy(0);
  occupy(1);
  const JobId job = cluster_->submit(0, kExplainGroup, cluster_->spec({"work", "50"}));
  cluster_->cut(0, 1, true);
  const Instant asked = cluster_->now();
  const Explained told = explain(job);
  EXPECT_LT(cluster_->now() - asked, seconds(2));
  EXPECT_EQ(of(told, 0).verdict, FitVerdict::kFull);
  EXPECT_EQ(of(told, 1).verdict, FitVerdict::kUnreachable);
  EXPECT_NE(of(told, 1).since.ms, 0);
}

TEST_F(Explain, WhatHappenedToATaskIsToldAttemptByAttempt) {
  begin({.nodes = 1});
  JobSpec spec = cluster_->spec({"flaky", "1", "50"});
  spec.retries = 1;
  const JobId job = cluster_->submit(0, kExplainGroup, spec);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->is_final(job); }, seconds(20)));
  const Explained told = explain(job);
  EXPECT_EQ(told.task.state, TaskState::kDone);
  EXPECT_TRUE(told.nodes.empty());
  ASSERT_EQ(told.attempts.size(), 2u);
  EXPECT_EQ(told.attempts[0].outcome, "failed");
  EXPECT_EQ(told.attempts[0].reason, Reason::kExit);
  EXPECT_EQ(told.attempts[0].exit_code, 1);
  EXPECT_EQ(told.attempts[1].outcome, "done");
  EXPECT_EQ(told.attempts[1].attempt, 2u);
  EXPECT_EQ(told.attempts[1].node, cluster_->id(0));
}

TEST_F(Explain, WhatRunsIsTheLastAttempt) {
  begin({.nodes = 2});
  const JobId job = cluster_->submit(0, kExplainGroup, cluster_->spec({"work", "600000"}));
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->running(job) == 1; }, seconds(5)));
  const std::size_t host = cluster_->processes(0).empty() ? 1 : 0;
  Explained told = explain(job);
  EXPECT_EQ(told.task.state, TaskState::kRunning);
  ASSERT_EQ(told.attempts.size(), 1u);
  EXPECT_EQ(told.attempts[0].outcome, "running");
  EXPECT_EQ(told.attempts[0].node, cluster_->id(host));
  cluster_->lose_runner(host);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->starts(job) == 2; }, seconds(30)));
  cluster_->run_for(seconds(3));
  told = explain(job);
  ASSERT_EQ(told.attempts.size(), 2u);
  EXPECT_EQ(told.attempts[0].outcome, "lost");
  EXPECT_EQ(told.attempts[0].detail, "given back by its host");
  EXPECT_EQ(told.attempts[1].outcome, "running");
}

TEST_F(Explain, OneThatItsLivingHostGaveBackIsToldFromOneLostWithItsHost) {
  begin({.nodes = 3});
  JobSpec spec = cluster_->spec({"work", "600000"});
  spec.placement.excluded = {cluster_->id(0)};
  const JobId job = cluster_->submit(0, kExplainGroup, spec);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->running(job) == 1; }, seconds(5)));
  const std::size_t host = cluster_->processes(1).empty() ? 2 : 1;
  cluster_->hand_back(host);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->starts(job) == 2; }, seconds(30)));
  cluster_->run_for(seconds(1));
  cluster_->crash(3 - host, seconds(1));
  cluster_->run_for(seconds(60));
  const Explained told = explain(job);
  ASSERT_GE(told.attempts.size(), 2u);
  EXPECT_EQ(told.attempts[0].detail, "given back by its host");
  EXPECT_EQ(told.attempts[1].detail, "its host was lost");
}

TEST_F(Explain, AHostThatWasForgottenIsNotTold) {
  begin({.nodes = 3});
  occupy(0);
  cluster_->crash(2, seconds(1));
  cluster_->run_for(seconds(3));
  JobSpec spec = cluster_->spec({"work", "50"});
  spec.placement.nodes = {cluster_->id(0)};
  const JobId job = cluster_->submit(0, kExplainGroup, spec);
  EXPECT_EQ(explain(job).nodes.size(), 3U);
  cluster_->forget(2);
  EXPECT_EQ(explain(job).nodes.size(), 2U);
}

TEST_F(Explain, ATaskThatMayRunIsNotSaidToWaitForRoomAfterATakeover) {
  begin({.nodes = 3});
  JobSpec spec = cluster_->spec({"work", "600000"});
  spec.placement.nodes = {cluster_->id(2)};
  const JobId job = cluster_->submit(0, kExplainGroup, spec);
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->running(job) == 1; }, seconds(5)));
  cluster_->cut(1, 2, true);
  cluster_->lead(kExplainGroup, 1);
  cluster_->run_for(milliseconds(500));
  const auto shown = cluster_->call(0, ShowJob{job});
  ASSERT_TRUE(shown) << shown.error().message;
  EXPECT_EQ(std::get<JobView>(*shown).job.reason, Reason::kNone);
  const TaskView task = cluster_->task(job, 1);
  EXPECT_EQ(task.reason, Reason::kNone);
  EXPECT_NE(task.detail.find("has not answered"), std::string::npos) << task.detail;
  cluster_->cut(1, 2, false);
  cluster_->run_for(seconds(3));
  EXPECT_EQ(cluster_->task(job, 1).state, TaskState::kRunning);
}

TEST_F(Explain, OfAJobTheFirstTaskThatWaitsIsTold) {
  begin({.nodes = 1});
  const JobId job = cluster_->submit(0, kExplainGroup, cluster_->spec({"work", "600000"}, 5));
  ASSERT_TRUE(cluster_->run_until([&] { return cluster_->running(job) == 2; }, seconds(5)));
  const Explained told = explain(job);
  EXPECT_EQ(told.task.task, 3u);
  EXPECT_EQ(told.task.state, TaskState::kQueued);
  const Result<JobAnswer> none = cluster_->call(0, ExplainTask{job, 6});
  EXPECT_EQ(none.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace dunlin::sched::testing
