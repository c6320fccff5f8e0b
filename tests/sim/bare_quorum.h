// Which hosts may stay dead. A bare quorum is a set of hosts from which none can be taken without
// some group losing its majority or some blob its last copy: what the promises still hold with.
#pragma once

#include <optional>
#include <vector>

#include "base/random.h"
#include "sim/sim_world.h"

namespace dunlin::sim {

// Its disk still is the one of a member: it was neither emptied, nor rotten, nor left for good.
bool has_member_disk(const SimHost& host);

// Every group has a majority, in each configuration that may count, among the nodes of `hosts`,
// and every blob that lies on some member's disk lies on one of theirs.
bool suffices(const SimWorld& world, const std::vector<HostIndex>& hosts);

// All groups are led and have `voters` of them, all running; every blob lies on two running
// hosts: one more disk may be lost for good.
bool is_settled(const SimWorld& world, std::size_t voters);

// Nothing when not even all hosts together suffice: the faults have gone beyond the promises.
std::optional<std::vector<HostIndex>> bare_quorum(const SimWorld& world, Random& random);

}  // namespace dunlin::sim
