// What must have come of the replicas when all is healed (Q7): every blob has its copies, and the
// voters of each group stand at one place of its log with one state.
#pragma once

#include <string>
#include <vector>

#include "sim/sim_world.h"

namespace dunlin::sim {

// R, whatever a configuration says.
constexpr std::size_t kReplicasOfABlob = 3;

// In what that is not so on these hosts, all of which run; empty: it is so.
std::string missing_copies(const SimWorld& world, const std::vector<HostIndex>& hosts);
std::string replicas_apart(const SimWorld& world, const std::vector<HostIndex>& hosts);

// Some copy is rotten: what the index names is not there.
std::string unsound_copies(const SimWorld& world, const std::vector<HostIndex>& hosts);

}  // namespace dunlin::sim
