// Hosts that a job avoids.
#include <gtest/gtest.h>

#include "sched/bad_hosts.h"
#include "sched/named.h"
#include "sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

constexpr GroupId kBadHostsGroup{0};

TEST(BadHosts, AreThoseOnWhichThreeTasksFailedThatSucceededElsewhere) {
  BadHosts hosts;
  for (std::uint32_t task = 0; task < 2; ++task) {
    hosts.failed(named(1), task, seconds(1));
    hosts.succeeded(named(2), task);
  }
  EXPECT_TRUE(hosts.avoided().empty());
  hosts.failed(named(1), 2, seconds(1));
  EXPECT_TRUE(hosts.avoided().empty());
  hosts.succeeded(named(2), 2);
  EXPECT_EQ(hosts.avoided(), std::set<NodeId>{named(1)});
  hosts.forgive();
  EXPECT_TRUE(hosts.avoided().empty());
}

TEST(BadHosts, AreNotThoseWhereTasksFailLateOrSucceedTheNextTime) {
  BadHosts hosts;
  for (std::uint32_t task = 0; task < 9; ++task) {
    hosts.failed(named(1), task, kQuickFailure + seconds(1));
    hosts.succeeded(named(2), task);
    hosts.failed(named(3), task, seconds(1));
    hosts.succeeded(named(3), task);
  }
  EXPECT_TRUE(hosts.avoided().empty());
  EXPECT_FALSE(hosts.has_suspects());
}

TEST(BadHosts, GetNoMoreTasksOfTheJobAndAllOfOthers) {
  Cluster cluster({.nodes = 3});
  cluster.lead(kBadHostsGroup, 0);
  JobSpec spec = cluster.spec({"fails-on", "n2", "100"}, 200);
  spec.retries = 20;
  const JobId job = cluster.submit(0, kBadHostsGroup, spec);
  std::set<ProcessKey> begun;
  ASSERT_TRUE(cluster.run_until(
      [&] {
        for (const SimProcess& process : cluster.processes(2)) begun.insert(process.key);
        return cluster.is_final(job);
      },
      seconds(120)));
  EXPECT_EQ(cluster.show(job).state, JobState::kDone);
  // A third of the 200 would go there, and more for the retries, if it were as good as the others.
  EXPECT_LT(begun.size(), 40u);
  EXPECT_GE(begun.size(), 3u);
  const JobId other = cluster.submit(0, kBadHostsGroup, cluster.spec({"work", "500"}, 12));
  ASSERT_TRUE(cluster.run_until([&] { return !cluster.processes(2).empty(); }, seconds(5)));
  ASSERT_TRUE(cluster.ends(other, seconds(20)));
  EXPECT_EQ(cluster.violations(), std::vector<std::string>{});
}

TEST(BadHosts, AreNamedByExplainAndUsedWhereThereIsNoOther) {
  Cluster cluster({.nodes = 3});
  cluster.lead(kBadHostsGroup, 0);
  JobSpec spec = cluster.spec({"fails-on", "n1", "500"}, 100);
  spec.retries = 20;
  spec.placement.nodes = {cluster.id(1), cluster.id(2)};
  const JobId job = cluster.submit(0, kBadHostsGroup, spec);
  const auto is_bad = [&] {
    const Result<JobAnswer> answer = cluster.call(0, ExplainTask{job}, seconds(5));
    for (const NodeVerdict& node : std::get<Explained>(*answer).nodes) {
      if (node.node == cluster.id(1)) return node.verdict == FitVerdict::kBadForJob;
    }
    return false;
  };
  for (int i = 0; i < 20 && !is_bad(); ++i) cluster.run_for(milliseconds(500));
  EXPECT_TRUE(is_bad());
  EXPECT_TRUE(cluster.processes(1).empty());
  ASSERT_FALSE(cluster.is_final(job));
  cluster.crash(2, seconds(2));
  EXPECT_TRUE(cluster.run_until([&] { return !cluster.processes(1).empty(); }, seconds(30)));
}

}  // namespace
}  // namespace dunlin::sched::testing
