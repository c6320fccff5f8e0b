// What this host is: its name, cores, memory and address, for those facts that `up` was not told.
#pragma once

#include <string>

#include "base/result.h"
#include "gossip/gossip.h"
#include "os/node_options.h"

namespace dunlin {

// All but id and key. kUsage when no address can be found that others could reach.
Result<NodeFacts> host_facts(const NodeOptions& options);

}  // namespace dunlin
