// What this host is: its name, cores, memory and address, for those facts that `up` was not told.
#pragma once

#include <string>

#include "base/result.h"
#include "gossip/gossip.h"
#include "os/node_options.h"

namespace dunlin {

// All but id and key; 127.0.0.1 where no network is found. kUsage: over a limit (validate_facts).
Result<NodeFacts> host_facts(const NodeOptions& options);

}  // namespace dunlin
