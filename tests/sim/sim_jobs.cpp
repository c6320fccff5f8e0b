#include "sim/sim_jobs.h"

#include <array>

namespace dunlin::sim {

namespace {

constexpr int kMostChanges = 1000;
constexpr int kMostFailures = 10;  // to answer, one after the other

}  // namespace

JobSpec array_of(std::vector<std::string> argv, std::uint32_t tasks) {
  JobSpec spec;
  spec.argv = std::move(argv);
  spec.tasks = {{1, tasks, 1}};
  spec.many = true;
  return spec;
}

Result<JobId> submit(SimWorld& world, HostIndex at, const JobSpec& spec) {
  const Result<client::Answer> picked = world.call(at, client::Request(client::PickGroup{}));
  if (!picked) return tl::unexpected(picked.error());
  const auto& group = std::get<client::PickedGroup>(*picked);
  std::array<std::uint8_t, 10> chance{};
  world.fork_random().fill(chance);
  SubmitJob job;
  job.id = JobId::make(group.group, group.group_count, chance);
  job.user = "u";
  job.spec = spec;
  const Result<client::Answer> answer = world.call(at, client::Request(JobRequest(job)));
  if (!answer) return tl::unexpected(answer.error());
  return job.id;
}

JobSummary end_of(SimWorld& world, HostIndex at, const JobId& id) {
  JobSummary last;
  int failures = 0;
  for (int i = 0; i < kMostChanges && failures < kMostFailures && !is_final(last.state); ++i) {
    WatchJob watch;
    watch.id = id;
    watch.seen = last.version;
    const Result<client::Answer> answer = world.call(at, client::Request(JobRequest(watch)));
    if (answer) last = std::get<JobChanged>(std::get<JobAnswer>(*answer)).job;
    failures = answer ? 0 : failures + 1;
  }
  return last;
}

}  // namespace dunlin::sim
