// Where tasks run: zones, labels, named nodes, gpus and named resources.
#include <gtest/gtest.h>

#include "sched/members.h"
#include "sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

constexpr GroupId kPlacementGroup{0};

// Runs until the job is final, and tells on which hosts its tasks were seen.
std::set<std::size_t> hosts_of(Cluster& cluster, const JobId& job) {
  std::set<std::size_t> hosts;
  EXPECT_TRUE(cluster.run_until(
      [&] {
        for (std::size_t host = 0; host < 3; ++host) {
          for (const SimProcess& process : cluster.processes(host)) {
            if (process.environment.at("DUNLIN_JOB_ID") == job.text()) hosts.insert(host);
          }
        }
        return cluster.is_final(job);
      },
      seconds(120)));
  return hosts;
}

std::string detail_of(Cluster& cluster, const JobId& job) {
  const Result<JobAnswer> answer = cluster.call(0, ListTasks{job, {}, {}});
  const TaskView& task = std::get<TaskList>(*answer).tasks.at(0);
  EXPECT_EQ(task.reason, Reason::kImpossible);
  return task.detail;
}

TEST(Placement, TasksRunWhereTheyMay) {
  Cluster cluster({.nodes = 3,
                   .labels = {{1, {{"disk", "ssd"}, {"os", "old"}}}, {2, {{"disk", "ssd"}}}},
                   .zones = {{0, "east"}, {1, "west"}, {2, "west"}}});
  JobSpec spec = cluster.spec({"work", "50"}, 12);
  spec.placement.zone = "east";
  EXPECT_EQ(hosts_of(cluster, cluster.submit(0, kPlacementGroup, spec)), std::set<std::size_t>{0});
  spec.placement = {};
  spec.placement.labels = {{"disk", "ssd"}};
  EXPECT_EQ(hosts_of(cluster, cluster.submit(0, kPlacementGroup, spec)),
            (std::set<std::size_t>{1, 2}));
  spec.placement.labels = {{"disk", "ssd"}, {"os", "old"}};
  EXPECT_EQ(hosts_of(cluster, cluster.submit(0, kPlacementGroup, spec)), std::set<std::size_t>{1});
  spec.placement = {};
  spec.placement.nodes = {cluster.id(0), cluster.id(2)};
  spec.placement.excluded = {cluster.id(0)};
  EXPECT_EQ(hosts_of(cluster, cluster.submit(0, kPlacementGroup, spec)), std::set<std::size_t>{2});
  EXPECT_EQ(cluster.violations(), std::vector<std::string>{});
}

TEST(Placement, WhatNoNodeHasIsSaidInOneLine) {
  Cluster cluster({.nodes = 2,
                   .cpus = 2,
                   .devices = {{0, {1, {}}}, {1, {0, {{"license", 3}}}}},
                   .labels = {{0, {{"disk", "ssd"}}}},
                   .zones = {{0, "east"}}});
  const auto why = [&](const std::function<void(JobSpec&)>& ask) {
    JobSpec spec = cluster.spec({"work", "50"});
    ask(spec);
    return detail_of(cluster, cluster.submit(0, kPlacementGroup, spec));
  };
  EXPECT_EQ(why([](JobSpec& s) { s.placement.zone = "north"; }),
            "it asks for the zone 'north', and no node is there");
  EXPECT_EQ(why([](JobSpec& s) {
              s.placement.labels = {{"disk", "hdd"}};
            }),
            "it asks for the label disk=hdd, and no node has it");
  EXPECT_EQ(why([](JobSpec& s) { s.cpus = 3; }), "it asks for 3 cpus, and no node has more than 2");
  EXPECT_EQ(why([](JobSpec& s) { s.devices.gpus = 2; }),
            "it asks for 2 gpus, and no node has more than 1");
  EXPECT_EQ(why([](JobSpec& s) {
              s.devices.resources = {{"license", 4}};
            }),
            "it asks for 4 of 'license', and no node has more than 3");
  EXPECT_EQ(why([](JobSpec& s) {
              s.devices.resources = {{"tape", 1}};
            }),
            "it asks for 1 of 'tape', and no node has any");
  EXPECT_EQ(why([](JobSpec& s) {
              s.devices = {1, {{"license", 1}}};
            }),
            "no node has all that it asks for at once");
  EXPECT_EQ(why([&](JobSpec& s) {
              s.placement.excluded = {cluster.id(0), cluster.id(1)};
            }),
            "it excludes every node that takes tasks");
  EXPECT_EQ(why([](JobSpec& s) { s.placement.nodes = {NodeId{}}; }),
            "none of the nodes that it names takes tasks");
}

TEST(Placement, ANamedResourceBoundsWhatRunsAtOnce) {
  Cluster cluster({.nodes = 2, .cpus = 8, .devices = {{0, {0, {{"license", 3}}}}}});
  JobSpec spec = cluster.spec({"work", "200"}, 12);
  spec.devices.resources = {{"license", 1}};
  const JobId ones = cluster.submit(0, kPlacementGroup, spec);
  spec.devices.resources = {{"license", 2}};
  const JobId twos = cluster.submit(1, kPlacementGroup, spec, "other");
  std::size_t most = 0;
  ASSERT_TRUE(cluster.run_until(
      [&] {
        most = std::max(most, cluster.running(ones) + 2 * cluster.running(twos));
        EXPECT_TRUE(cluster.processes(1).empty());
        return cluster.is_final(ones) && cluster.is_final(twos);
      },
      seconds(60)));
  EXPECT_EQ(most, 3u);
  EXPECT_EQ(cluster.violations(), std::vector<std::string>{});
}

// The gpus that the processes of a host see, those with none left out; each of them once.
std::vector<std::string> gpus_in_use(const Cluster& cluster, std::size_t host) {
  std::vector<std::string> used;
  std::set<char> numbers;
  for (const SimProcess& process : cluster.processes(host)) {
    const std::string& visible = process.environment.at("CUDA_VISIBLE_DEVICES");
    if (visible.empty() || process.exit) continue;
    used.push_back(visible);
    for (const char number : visible) {
      EXPECT_TRUE(number == ',' || numbers.insert(number).second) << visible;
    }
  }
  std::sort(used.begin(), used.end());
  return used;
}

TEST(Placement, GpusAreAssigned) {
  Cluster cluster({.nodes = 1, .cpus = 8, .devices = {{0, {3, {}}}}});
  JobSpec spec = cluster.spec({"work", "500"}, 6);
  spec.devices.gpus = 1;
  const JobId ones = cluster.submit(0, kPlacementGroup, spec);
  spec = cluster.spec({"work", "500"}, 2);
  spec.devices.gpus = 2;
  const JobId twos = cluster.submit(0, kPlacementGroup, spec, "other");
  const JobId none = cluster.submit(0, kPlacementGroup, cluster.spec({"work", "500"}, 2), "third");
  std::set<std::string> seen;
  ASSERT_TRUE(cluster.run_until(
      [&] {
        const std::vector<std::string> used = gpus_in_use(cluster, 0);
        seen.insert(used.begin(), used.end());
        for (const SimProcess& process : cluster.processes(0)) {
          if (process.environment.at("DUNLIN_JOB_ID") == none.text()) {
            EXPECT_EQ(process.environment.at("CUDA_VISIBLE_DEVICES"), "");
          }
        }
        return cluster.is_final(ones) && cluster.is_final(twos) && cluster.is_final(none);
      },
      seconds(60)));
  EXPECT_TRUE(seen.contains("0"));
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const auto& s) { return s.size() == 3; }));
  EXPECT_EQ(cluster.violations(), std::vector<std::string>{});
}

TEST(Placement, AdoptedTasksKeepTheirGpus) {
  Cluster cluster({.nodes = 1, .cpus = 8, .devices = {{0, {2, {{"license", 2}}}}}});
  JobSpec spec = cluster.spec({"work", "20000"});
  spec.devices = {1, {{"license", 2}}};
  const JobId first = cluster.submit(0, kPlacementGroup, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(first) == 1; }, seconds(5)));
  cluster.crash_process(0);
  cluster.run_for(seconds(2));
  cluster.restart(0);
  spec.devices = {1, {}};
  const JobId second = cluster.submit(0, kPlacementGroup, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(second) == 1; }, seconds(5)));
  EXPECT_EQ(gpus_in_use(cluster, 0), (std::vector<std::string>{"0", "1"}));
  spec.devices = {0, {{"license", 1}}};
  const JobId third = cluster.submit(0, kPlacementGroup, spec);
  cluster.run_for(seconds(3));
  EXPECT_EQ(cluster.running(third), 0u);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(third) == 1; }, seconds(30)));
  EXPECT_EQ(cluster.running(first), 0u);
  EXPECT_EQ(cluster.violations(), std::vector<std::string>{});
}

TEST(Placement, WhereNoGpusAreToldOfOnlyWhoNamesThemHimselfSeesThem) {
  Cluster cluster({.nodes = 1, .cpus = 1});
  JobSpec spec = cluster.spec({"work", "500"});
  const auto seen = [&] {
    const JobId job = cluster.submit(0, kPlacementGroup, spec);
    EXPECT_TRUE(cluster.run_until([&] { return cluster.running(job) == 1; }, seconds(5)));
    return cluster.processes(0).back().environment.at("CUDA_VISIBLE_DEVICES");
  };
  EXPECT_EQ(seen(), "");
  spec.environment["CUDA_VISIBLE_DEVICES"] = "1";
  EXPECT_EQ(seen(), "1");
}

TEST(Room, WhatItDoesNotHaveCannotBeTaken) {
  Room room{4, 1000, {1, {{"a", 5}}}};
  EXPECT_EQ(room.fits({2, 100, {0, {{"a", 2}}}}), 2u);
  EXPECT_EQ(room.fits({}), UINT64_MAX);
  EXPECT_FALSE(room.holds({1, 0, {0, {{"b", 1}}}}));
  room.take({3, 400, {1, {{"a", 2}}}}, 2);
  EXPECT_EQ(room, (Room{0, 200, {0, {{"a", 1}}}}));
}

}  // namespace
}  // namespace dunlin::sched::testing
