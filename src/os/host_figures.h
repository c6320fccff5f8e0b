// What only the process knows of itself, for GET /metrics; added to what the node's core counts.
#pragma once

#include <cstdint>
#include <map>

#include "os/latency_histogram.h"

namespace dunlin {

struct HostFigures {
  LatencyHistogram log_commits;              // each one synced transaction
  std::uint64_t log_backlog = 0;             // bytes that are not durable yet
  std::map<int, std::uint64_t> api_answers;  // by HTTP status
  std::uint64_t api_connections = 0;

  double cpu_seconds = 0;      // of the process, user and system
  double start_time = 0;       // seconds since 1970
  std::uint64_t resident = 0;  // bytes
  std::uint64_t open_descriptors = 0;
  std::uint64_t most_descriptors = 0;
};

// Adds what the kernel says of this process: all from cpu_seconds on.
void add_process_figures(HostFigures& figures);

}  // namespace dunlin
