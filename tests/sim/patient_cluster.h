// Clusters in which nobody is replaced for want of an answer in the time of a test: who takes a
// dead host's place does so since it was told to.
#pragma once

#include <gtest/gtest.h>

#include "sim/sim_world.h"

namespace dunlin::sim {

struct PatientCluster : testing::Test {
  explicit PatientCluster(std::uint64_t seed) : world(options(seed)) {}

  static WorldOptions options(std::uint64_t seed) {
    WorldOptions options;
    options.seed = seed;
    options.node.groups.replace_after = seconds(3600);
    options.node.store.repair_delay = seconds(100);
    return options;
  }
  void TearDown() override {
    for (const std::string& line : world.verdict().lines()) ADD_FAILURE() << line;
  }

  SimWorld world;
};

}  // namespace dunlin::sim
