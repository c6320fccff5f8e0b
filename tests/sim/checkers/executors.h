// Q3, executors: an order of a lower epoch than the one that is durable is refused and not obeyed,
// one of a higher epoch is obeyed only when that is durable (Q2). By what is to be seen of a node:
// which orders it takes, what it refuses, which processes it starts, under which epoch it says what
// it holds.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "base/effects.h"
#include "base/ids.h"
#include "sched/job.h"
#include "sim/sim_disk.h"
#include "sim/verdict.h"

namespace dunlin::sim {

class ExecutorChecker {
 public:
  explicit ExecutorChecker(Verdict& verdict) : verdict_(verdict) {}

  // That life of a node takes a frame, perhaps one of its own, and its disk is as it is then.
  void on_received(std::uint64_t life, const NodeId& from, const SimDisk& disk, ByteView frame);
  // A frame of it leaves. `honest`: nobody tampered with the disk.
  void on_send(Instant at, const NodeId& node, std::uint64_t life, const SimDisk& disk, bool honest,
               const NodeId& to, ByteView frame);
  // It has said and done all that follows from what it took.
  void after_turn(Instant at, const NodeId& node, std::uint64_t life);
  void starts(Instant at, const NodeId& node, std::uint64_t life, const SimDisk& disk,
              const StartProcess& start);
  // An honest disk when a life begins.
  void on_start(Instant at, const NodeId& node, const std::map<std::string, Bytes>& facts);

 private:
  using TaskAttempt = std::tuple<JobId, std::uint32_t, Attempt>;
  struct Refusal {
    std::uint64_t life = 0;
    NodeId to;
    GroupId group;
    auto operator<=>(const Refusal&) const = default;
  };

  Verdict& verdict_;
  // What each life was told to run by orders that were not outdated when they came.
  std::map<std::uint64_t, std::set<TaskAttempt>> bound_;
  std::multiset<Refusal> owed_;                          // for outdated orders taken in this turn
  std::map<std::pair<NodeId, GroupId>, Term> answered_;  // the highest epoch answered under
};

}  // namespace dunlin::sim
