// Clusters without any fault, whole nodes: they form, run jobs, and come to rest.
#include <gtest/gtest.h>

#include "sim/sim_world.h"

namespace dunlin::sim {
namespace {

JobId submit(SimWorld& world, HostIndex at, const JobSpec& spec) {
  const Result<client::Answer> picked = world.call(at, client::Request(client::PickGroup{}));
  if (!picked) {
    ADD_FAILURE() << picked.error().message;
    return {};
  }
  const auto& group = std::get<client::PickedGroup>(*picked);
  std::array<std::uint8_t, 10> chance{};
  world.fork_random().fill(chance);
  SubmitJob job;
  job.id = JobId::make(group.group, group.group_count, chance);
  job.user = "u";
  job.spec = spec;
  const Result<client::Answer> answer = world.call(at, client::Request(JobRequest(job)));
  EXPECT_TRUE(answer.has_value()) << answer.error().message;
  return job.id;
}

JobSummary wait(SimWorld& world, HostIndex at, const JobId& id) {
  JobSummary last;
  for (int i = 0; i < 1000; ++i) {
    WatchJob watch;
    watch.id = id;
    watch.seen = last.version;
    const Result<client::Answer> answer = world.call(at, client::Request(JobRequest(watch)));
    if (!answer) {
      ADD_FAILURE() << answer.error().message;
      return last;
    }
    last = std::get<JobChanged>(std::get<JobAnswer>(*answer)).job;
    if (is_final(last.state)) return last;
  }
  return last;
}

class HealthyCluster : public testing::TestWithParam<std::size_t> {};

TEST_P(HealthyCluster, RunsAnArrayAndComesToRest) {
  WorldOptions options;
  options.seed = 100 + GetParam();
  SimWorld world(options);
  ASSERT_TRUE(world.form(GetParam()));
  world.run_for(seconds(20));
  JobSpec spec;
  spec.argv = {"simulate", "200ms", "out=300"};
  spec.tasks = {{1, 50, 1}};
  spec.many = true;
  const JobId id = submit(world, GetParam() - 1, spec);
  const JobSummary done = wait(world, 0, id);
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
