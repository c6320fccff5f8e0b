// Jobs on a cluster where nothing goes wrong.
#include <gtest/gtest.h>

#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

TEST(HealthyCluster, RunsASingleTaskAndAnswersFromAnyNode) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "20"}));
  EXPECT_TRUE(cluster.ends(job, seconds(2)));
  const JobSummary summary = cluster.show(job);
  EXPECT_EQ(summary.state, JobState::kDone);
  EXPECT_EQ(summary.exit_code, 0);
  EXPECT_EQ(summary.tasks.done, 1u);
  EXPECT_EQ(cluster.starts(job), 1u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(HealthyCluster, ASingleTaskTakesFewMillisecondsBeyondItsOwn) {
  Cluster cluster({});
  cluster.run_for(milliseconds(10));
  const Instant before = cluster.now();
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "0"}));
  ASSERT_TRUE(cluster.ends(job, seconds(2)));
  EXPECT_LT((cluster.now() - before).milliseconds(), 8);
}

TEST(HealthyCluster, RunsAnArrayOnAllNodesAndStartsEachTaskOnce) {
  Cluster cluster({.nodes = 5});
  const JobId job = cluster.submit(2, GroupId{3}, cluster.spec({"work", "30"}, 300));
  EXPECT_TRUE(cluster.ends(job, seconds(10)));
  EXPECT_EQ(cluster.show(job).tasks.done, 300u);
  EXPECT_EQ(cluster.starts(job), 300u);
  // 300 tasks of 30 ms on 10 processors are 0.9 s of work.
  EXPECT_LT(cluster.now().us, seconds(2).us);
  cluster.run_for(seconds(1));
  cluster.check_replicas();
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(HealthyCluster, CommitsShortTasksInBatches) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{0}, cluster.spec({"work", "1"}, 1000));
  EXPECT_TRUE(cluster.ends(job, seconds(10)));
  EXPECT_LT(cluster.entries(GroupId{0}), 200u);
}

TEST(HealthyCluster, RunsAMillionNoOpsInFewEntriesAndMessages) {
  Cluster cluster({.nodes = 4, .check = true});
  const JobId job = cluster.submit(0, GroupId{0}, cluster.spec({":"}, 1'000'000));
  EXPECT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_EQ(cluster.job(job)->head.done, 1'000'000u);
  EXPECT_LT(cluster.entries(GroupId{0}), 1000u);
  EXPECT_TRUE(cluster.job(job)->details.empty());
}

TEST(HealthyCluster, WorksWithOneNode) {
  Cluster cluster({.nodes = 1});
  const JobId job = cluster.submit(0, GroupId{2}, cluster.spec({"exit", "3", "10"}, 4));
  EXPECT_TRUE(cluster.ends(job, seconds(5)));
  const JobSummary summary = cluster.show(job);
  EXPECT_EQ(summary.state, JobState::kFailed);
  EXPECT_EQ(summary.reason, Reason::kExit);
  EXPECT_EQ(summary.tasks.failed, 4u);
}

}  // namespace
}  // namespace dunlin::sched::testing
