// Jobs of a simulated cluster, as a client of one of its hosts gives and watches them.
#pragma once

#include <string>

#include "sim/sim_world.h"

namespace dunlin::sim {

// An array of tasks 1 to `tasks` with this command (sim_runner.h says which there are).
JobSpec array_of(std::vector<std::string> argv, std::uint32_t tasks);
// Accepts it in a group that has a leader, for user "u".
Result<JobId> submit(SimWorld& world, HostIndex at, const JobSpec& spec);
// Once it is final; what was seen last where nobody answers for so long.
JobSummary end_of(SimWorld& world, HostIndex at, const JobId& id);

}  // namespace dunlin::sim
