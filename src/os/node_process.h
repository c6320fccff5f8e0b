// A node as a process: everything between `dunlin up` and the exit code.
#pragma once

#include "os/node_options.h"

namespace dunlin {

// Runs until the node is told to stop; the process's exit code. Says on stdout, once it can take
// jobs, the one line `ready NODE_ID ADDRESS CLUSTER_ID`; logs to stderr.
int run_node(const NodeOptions& options);

}  // namespace dunlin
