// Which hosts may stay dead. A bare quorum is a set of hosts from which none can be taken without
// some group losing its majority or some blob its last copy: what the promises still hold with.
// Majorities are counted by what the disks hold, since that is what remains: in the newest
// configuration of a group, and in the one before it too while the newest may not be committed.
#pragma once

#include <optional>
#include <vector>

#include "base/random.h"
#include "sim/sim_world.h"

namespace dunlin::sim {

// Its disk still is the one of a member, as far as its last process knew: it was neither emptied,
// nor rotten, nor left for good.
bool has_member_disk(const SimHost& host);

// All groups are led and have `voters` of them, all running; every blob lies sound on two running
// hosts: one more disk may be lost for good.
bool is_settled(const SimWorld& world, std::size_t voters);

// Nothing when not even all hosts together suffice: the faults have gone beyond the promises.
std::optional<std::vector<HostIndex>> bare_quorum(const SimWorld& world, Random& random);

// A leader that does not know yet who is dead may have begun a change of its group that needs
// them: that change is the group's configuration now, and its majority the one that must live.
// The hosts of `core`, and of the others as many as that takes.
std::vector<HostIndex> complete(const SimWorld& world, std::vector<HostIndex> core);

}  // namespace dunlin::sim
