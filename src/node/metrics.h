// Figures of one node for monitoring: what it knows anyway, added up when somebody asks. Counters
// begin at 0 with the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "sched/attempt_counts.h"
#include "store/events.h"

namespace dunlin {

// By Module, whose values begin at 1.
struct MessageCounts {
  static constexpr std::size_t kModules = 7;
  std::array<std::uint64_t, kModules> frames{};
  std::array<std::uint64_t, kModules> bytes{};

  void add(ByteView frame) {
    const std::size_t module = frame.empty() ? 0 : frame[0];
    if (module >= kModules) return;
    ++frames[module];
    bytes[module] += frame.size();
  }
};

namespace client {

struct GetMetrics {};
struct Metrics {
  NodeId node;
  std::string name;
  std::string version;
  ClusterId cluster;

  std::array<std::uint32_t, 4> members{};  // by MemberState
  std::uint32_t members_draining = 0;
  std::uint32_t groups = 0;       // of the cluster
  std::uint32_t groups_held = 0;  // of which a replica is here
  std::uint32_t groups_led = 0;
  std::uint32_t groups_with_quorum = 0;  // as far as this node knows
  std::uint64_t entries_committed = 0;   // of groups held here

  std::uint32_t tasks_running = 0;
  std::uint32_t tasks_queued = 0;
  AttemptCounts attempts;
  std::uint32_t cpus = 0, cpus_free = 0;
  std::uint64_t memory = 0, memory_free = 0;  // bytes
  std::uint64_t disk = 0, disk_free = 0;      // bytes

  StoreStats blobs;
  MessageCounts sent, received;  // to and from other nodes
  std::uint32_t gossip_health = 0;
};

}  // namespace client

}  // namespace dunlin
