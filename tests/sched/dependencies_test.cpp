// Jobs that wait for others, in one group and across groups, with coordinators dying meanwhile.
#include <gtest/gtest.h>

#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

struct Dependencies : public ::testing::Test {
  Cluster cluster{options()};
  GroupId near{1}, far{2};

  static ClusterOptions options() {
    ClusterOptions some;
    some.nodes = 4;
    return some;
  }
  void SetUp() override {
    cluster.lead(near, 0);
    cluster.lead(far, 1);
  }
  void TearDown() override {
    for (const std::string& line : cluster.violations()) ADD_FAILURE() << line;
  }
  bool is_done_within(const JobId& job, Duration most) {
    for (Duration waited; waited < most; waited = waited + milliseconds(100)) {
      cluster.run_for(milliseconds(100));
      if (cluster.show(job).state == JobState::kDone) return true;
    }
    return false;
  }
  JobId submit_after(GroupId group, const JobId& first, bool any = false) {
    JobSpec spec = cluster.spec({"work", "100"}, 3);
    spec.after = {{first, any}};
    return cluster.submit(2, group, spec);
  }
};

TEST_F(Dependencies, AJobBeginsWhenTheOtherIsDone) {
  for (const GroupId group : {near, far}) {
    const JobId first = cluster.submit(0, near, cluster.spec({"work", "2000"}, 2));
    const JobId second = submit_after(group, first);
    cluster.run_for(milliseconds(1500));
    EXPECT_EQ(cluster.show(second).reason, Reason::kDependency);
    EXPECT_EQ(cluster.show(second).tasks.waiting, 3u);
    ASSERT_TRUE(cluster.ends(second, seconds(6)));
    EXPECT_EQ(cluster.show(second).state, JobState::kDone);
    EXPECT_EQ(cluster.show(first).state, JobState::kDone);
  }
}

TEST_F(Dependencies, OneThatIsOverAlreadyCountsAtOnce) {
  const JobId first = cluster.submit(0, near, cluster.spec({"work", "10"}));
  ASSERT_TRUE(cluster.ends(first));
  const JobId second = submit_after(far, first);
  EXPECT_TRUE(cluster.ends(second, seconds(5)));
  EXPECT_EQ(cluster.show(second).state, JobState::kDone);
}

TEST_F(Dependencies, NoJobWaitsForOneThatIsDeletedMeanwhile) {
  for (int i = 0; i < 40; ++i) {
    const JobId first = cluster.submit(0, near, cluster.spec({"work", "10"}));
    ASSERT_TRUE(cluster.ends(first));
    JobSpec spec = cluster.spec({"work", "100"});
    spec.after = {{first, false}};
    const JobId second = cluster.make_id(far);
    cluster.ask(1, SubmitJob{second, "u", "", spec});
    cluster.run_for(microseconds(100 * i));
    cluster.ask(0, OrderJob{first, {}, "u", false, DeleteJob{}});
    EXPECT_TRUE(cluster.ends(second, seconds(10))) << i;
  }
}

TEST_F(Dependencies, AJobIsCancelledWhenTheOtherFails) {
  const JobId first = cluster.submit(0, near, cluster.spec({"exit", "1", "1000"}));
  const JobId second = submit_after(far, first);
  const JobId third = submit_after(near, second);
  const JobId whatever = submit_after(far, first, true);
  ASSERT_TRUE(cluster.ends(second, seconds(6)));
  EXPECT_EQ(cluster.show(second).state, JobState::kCancelled);
  EXPECT_EQ(cluster.show(second).reason, Reason::kDependencyFailed);
  ASSERT_TRUE(cluster.ends(third, seconds(6)));
  EXPECT_EQ(cluster.show(third).reason, Reason::kDependencyFailed);
  ASSERT_TRUE(cluster.ends(whatever, seconds(6)));
  EXPECT_EQ(cluster.show(whatever).state, JobState::kDone);
}

// The one that waited is over when it is told, and runs again before it is known to have heard:
// around the end of the first, at each moment once.
TEST_F(Dependencies, AJobThatRunsAgainIsToldAgain) {
  for (int i = 0; i < 200; ++i) {
    const JobId first = cluster.submit(0, near, cluster.spec({"work", "50"}));
    const JobId second = submit_after(far, first);
    cluster.ask(2, CancelTasks{second, {}, "u", false, 0});
    cluster.run_for(milliseconds(40) + microseconds(100 * i));
    cluster.ask(2, OrderJob{second, {}, "u", false, RetryTasks{}});
    ASSERT_TRUE(is_done_within(second, seconds(10))) << i;
  }
}

TEST_F(Dependencies, OneThatIsThereNoMoreCancelsTheJob) {
  const JobId second = submit_after(far, cluster.make_id(near));
  ASSERT_TRUE(cluster.ends(second, seconds(10)));
  EXPECT_EQ(cluster.show(second).reason, Reason::kDependencyFailed);
}

TEST_F(Dependencies, OutliveBothCoordinators) {
  const JobId first = cluster.submit(0, near, cluster.spec({"work", "12000"}, 2));
  const JobId second = submit_after(far, first);
  cluster.run_for(seconds(1));
  cluster.crash(1);
  cluster.run_for(seconds(8));
  cluster.restart(1);
  EXPECT_EQ(cluster.show(second).reason, Reason::kDependency);
  cluster.crash(0);
  ASSERT_TRUE(cluster.ends(second, seconds(90)));
  EXPECT_EQ(cluster.show(second).state, JobState::kDone);
  EXPECT_EQ(cluster.show(first).state, JobState::kDone);
}

TEST_F(Dependencies, AJobIsKeptUntilAllHaveHeardHowItEnded) {
  JobSpec brief = cluster.spec({"work", "100"});
  brief.keep = {};
  const JobId first = cluster.submit(0, near, brief);
  const JobId second = submit_after(far, first);
  cluster.lead(far, std::nullopt);
  ASSERT_TRUE(cluster.ends(first));
  cluster.run_for(seconds(300));
  EXPECT_NE(cluster.job(first), nullptr);
  cluster.lead(far, 1);
  ASSERT_TRUE(cluster.ends(second, seconds(60)));
  EXPECT_EQ(cluster.show(second).state, JobState::kDone);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.job(first) == nullptr; }, seconds(400)));
}

}  // namespace
}  // namespace dunlin::sched::testing
