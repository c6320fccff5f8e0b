// Are the nodes that `up --join` names of this node's own cluster? Asked by one that has one
// already, since what it was told may mean that it is to move to another.
#pragma once

#include <uv.h>

#include <optional>
#include <string>
#include <vector>

#include "base/keyring.h"
#include "base/session.h"
#include "base/time.h"

namespace dunlin {

// For all of them together: a cluster that starts as a whole must not wait for itself.
constexpr Duration kClusterCheckTimeout = milliseconds(1500);
constexpr std::size_t kMaxClusterChecks = 16;  // of the servers; the rest is not asked

// The first of `servers` (each HOST:PORT) that answers as a node of another cluster; nothing when
// there is none, or when one of them is of `self`'s own. Runs the loop.
std::optional<std::string> server_of_other_cluster(uv_loop_t* loop, const Identity& self,
                                                   const KeyRing& keys,
                                                   const std::vector<std::string>& servers);

}  // namespace dunlin
