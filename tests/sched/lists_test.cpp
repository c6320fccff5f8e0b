// Lists of jobs and counts of them, gathered from whoever leads or follows each group.
#include <gtest/gtest.h>

#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

TEST(Lists, GatherAllGroupsAndNameTheSilentOnes) {
  Cluster cluster({.nodes = 3, .groups = 6});
  for (std::uint16_t g = 0; g < 6; ++g) {
    cluster.submit(0, GroupId{g}, cluster.spec({"work", "10"}));
  }
  cluster.run_for(seconds(1));
  ListJobs all;
  Result<JobAnswer> answer = cluster.call(1, all);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<JobList>(*answer).jobs.size(), 6u);
  EXPECT_EQ(std::get<JobList>(*answer).silent_groups, 0u);
  const std::uint64_t counting = cluster.count(2);
  cluster.run_for(milliseconds(100));
  ASSERT_TRUE(cluster.counted.contains(counting));
  EXPECT_EQ(cluster.counted[counting].by_state[static_cast<std::size_t>(JobState::kDone)], 6u);

  cluster.crash(1);
  cluster.lead(GroupId{4}, std::nullopt);
  answer = cluster.call(0, all, seconds(3));
  ASSERT_TRUE(answer.has_value());
  EXPECT_GE(std::get<JobList>(*answer).jobs.size(), 5u);
}

TEST(Lists, WaitAMomentForGroupsThatElect) {
  Cluster cluster({.nodes = 3, .groups = 6});
  for (std::uint16_t g = 0; g < 6; ++g) cluster.lead(GroupId{g}, g == 4 ? 1 : 0);
  cluster.run_for(seconds(1));
  cluster.crash(1);
  cluster.run_for(seconds(20));
  cluster.lead(GroupId{4}, std::nullopt);
  const std::uint64_t moment = cluster.ask(0, ListJobs{});
  cluster.run_for(milliseconds(500));
  EXPECT_FALSE(cluster.answers.contains(moment));
  cluster.lead(GroupId{4}, 2);
  cluster.run_for(milliseconds(500));
  ASSERT_TRUE(cluster.answers.contains(moment));
  EXPECT_EQ(std::get<JobList>(*cluster.answers.at(moment)).silent_groups, 0U);
}

TEST(Lists, AGroupThatWasLedHereUntilAMomentAgoIsNotWhole) {
  ClusterOptions options;
  options.nodes = 1;
  Cluster cluster(options);
  cluster.submit(0, GroupId{1}, cluster.spec({"true"}));
  cluster.lead(GroupId{1}, std::nullopt);
  const Result<JobAnswer> answer = cluster.call(0, ListJobs{});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<JobList>(*answer).silent_groups, 1U);
  EXPECT_EQ(std::get<JobList>(*answer).jobs.size(), 1U) << "what is known is told all the same";
}

// Where most hosts are gone there is nobody to call them dead.
TEST(Lists, AGroupWhoseLeaderIsSuspectedIsNotWhole) {
  Cluster cluster({});
  cluster.submit(0, GroupId{1}, cluster.spec({"true"}));
  cluster.lead(GroupId{1}, 1);
  cluster.run_for(seconds(1));
  cluster.lead(GroupId{1}, std::nullopt);
  cluster.suspect(1);
  const Result<JobAnswer> answer = cluster.call(0, ListJobs{});
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(std::get<JobList>(*answer).silent_groups, 1U);
}

}  // namespace
}  // namespace dunlin::sched::testing
