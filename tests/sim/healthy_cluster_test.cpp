// Clusters without any fault, whole nodes: they form, run jobs, and come to rest.
#include <gtest/gtest.h>

#include "sim/sim_jobs.h"

namespace dunlin::sim {
namespace {

class HealthyCluster : public testing::TestWithParam<std::size_t> {};

TEST_P(HealthyCluster, RunsAnArrayAndComesToRest) {
  WorldOptions options;
  options.seed = 100 + GetParam();
  SimWorld world(options);
  ASSERT_TRUE(world.form(GetParam()));
  world.run_for(seconds(20));
  const Result<JobId> id =
      submit(world, GetParam() - 1, array_of({"simulate", "200ms", "out=300"}, 50));
  ASSERT_TRUE(id.has_value()) << id.error().message;
  const JobSummary done = end_of(world, 0, *id);
  EXPECT_EQ(done.state, JobState::kDone);
  EXPECT_EQ(done.tasks.done, 50u);
  world.run_for(seconds(60));
  const std::uint64_t groups = world.frames(Module::kGroups);
  const std::uint64_t sched = world.frames(Module::kSched);
  const std::uint64_t store = world.frames(Module::kStore);
  world.run_for(seconds(30));
  EXPECT_EQ(world.frames(Module::kGroups), groups);
  EXPECT_EQ(world.frames(Module::kSched), sched);
  EXPECT_EQ(world.frames(Module::kStore), store);
  for (const std::string& line : world.verdict().lines()) ADD_FAILURE() << line;
}

INSTANTIATE_TEST_SUITE_P(Sizes, HealthyCluster, testing::Values(1, 2, 3, 5),
                         [](const auto& size) { return std::to_string(size.param) + "Nodes"; });

}  // namespace
}  // namespace dunlin::sim
