// How nodes find themselves and each other, for `dunlin doctor`: what they say on the wire and what
// a client gets to see.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"

namespace dunlin {

// Of the host and the process, as src/os sees them; 0: not known.
struct HostCondition {
  std::uint64_t log_commit_us = 0;  // median of the last commits of the log, fsync and all
  std::uint64_t descriptors = 0;    // that the process may have open
  std::uint64_t disk_total = 0;     // bytes
  std::uint64_t disk_free = 0;      // bytes
  static constexpr auto fields() {
    using H = HostCondition;
    return Fields<&H::log_commit_us, &H::descriptors, &H::disk_total, &H::disk_free>{};
  }
};

enum class DialResult : std::uint8_t { kUnknown, kReached, kFailed, kLast = kFailed };

// The ways between a node and one peer of it, as tried by the node.
struct PathReport {
  NodeId peer;
  bool answers = false;   // over a connection, whoever opened it; else nothing below is known
  bool udp_to = false;    // a datagram reached it
  bool udp_from = false;  // and one of its came back
  DialResult dial = DialResult::kUnknown;  // a connection that it opened to this node's address
  std::string trouble;                     // why that failed
  std::int64_t clock_ahead_ms = 0;         // its clock less this one's
  static constexpr auto fields() {
    using P = PathReport;
    return Fields<&P::peer, &P::answers, &P::udp_to, &P::udp_from, &P::dial, &P::trouble,
                  &P::clock_ahead_ms>{};
  }
};

struct CheckupShare {
  std::uint64_t query = 0;
  HostCondition host;
  std::string isolation_note;  // see Scheduler::isolation_note
  std::vector<PathReport> paths;
  static constexpr auto fields() {
    using S = CheckupShare;
    return Fields<&S::query, &S::host, &S::isolation_note, &S::paths>{};
  }
};

namespace client {

// Answered within kCheckupPatience (node/checkups.h).
struct GetCheckup {};
struct NodeCheckup {
  NodeId node;
  std::string name;
  std::string address;
  std::string version;
  bool has_answered = false;  // else nothing below is known
  HostCondition host;
  std::string isolation_note;
  std::vector<PathReport> paths;
};
struct Checkup {
  NodeId self;                     // who was asked
  std::vector<NodeCheckup> nodes;  // all that are alive or suspect
};

}  // namespace client

}  // namespace dunlin
