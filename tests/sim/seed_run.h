// One seed from its first event to its verdict: a cluster forms, is used and attacked for some
// minutes, then only a bare quorum of it is healed, and everything must move (Q7) and come to rest.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "node/node.h"
#include "sim/fault_counts.h"
#include "sim/fault_plan.h"
#include "sim/sim_world.h"
#include "sim/use_counts.h"

namespace dunlin::sim {

struct SeedOptions {
  std::uint64_t seed = 1;
  Duration chaos = seconds(212);
  std::vector<Fault> faults;      // these and no others, strong; empty: drawn
  std::optional<FaultPlan> plan;  // instead of either
  bool verbose = false;
  // Frames are printed from then on, all but gossip.
  Duration frames_from = seconds(1'000'000'000);
  // Mutations for the tests of the checkers: all links stay cut at the end; nodes of another kind;
  // something that is done before rest is judged.
  bool never_heal = false;
  std::function<void(NodeConfig&)> configure;
  std::function<void(SimWorld&, HostIndex)> before_rest;  // with a host of the bare quorum
};

struct SeedReport {
  std::uint64_t seed = 0;
  std::string replay;                   // the command that does
  std::vector<std::string> violations;  // empty: passed
  FaultCounts faults;
  UseCounts uses;
  std::uint64_t trace = 0;
  std::uint64_t events = 0;
  std::uint64_t results = 0;               // committed
  std::uint64_t results_under_attack = 0;  // of these, known before the faults were over
  std::size_t founders = 0;                // hosts that formed the cluster
  std::size_t hosts = 0;
  std::size_t core = 0;         // the bare quorum
  std::size_t called_back = 0;  // hosts that it takes beyond that, for changes half done
  Duration time;                // virtual

  bool passed() const { return violations.empty(); }
  // One line, and one for each violation.
  std::string text() const;
};

// What each seed must cover: kinds of faults that took effect, committed results, virtual time,
// hosts. And how far the bare quorum may be bent.
constexpr std::size_t kFewestFaultKinds = 3;
constexpr std::uint64_t kFewestResults = 200;
constexpr std::uint64_t kFewestResultsUnderAttack = 100;
constexpr Duration kShortestRun = seconds(300);
constexpr std::size_t kFewestFounders = 5;
constexpr std::size_t kMostCalledBack = 2;

// A line for each of these that the seed falls short of.
std::vector<std::string> uncovered(const SeedReport& report);

SeedReport run_seed(const SeedOptions& options);

}  // namespace dunlin::sim
