// Transcripts of whole histories, to be read in review: a change of the protocol shows as a diff.
// DUNLIN_UPDATE_GOLDEN=1 writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "dht/raft_cluster.h"

namespace dunlin {
namespace {

constexpr GroupId kGolden{0};

void compare(const std::string& name, const std::string& transcript) {
  const std::string path = std::string(DUNLIN_TESTS_DIR "/golden/") + name + ".txt";
  if (std::getenv("DUNLIN_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << transcript;
  std::ifstream file(path);
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(transcript, expected.str()) << "differs from " << path;
}

ClusterOptions quiet() {
  ClusterOptions options;
  options.groups = 1;
  options.trace = true;
  options.checkpoint_every = seconds(1);
  return options;
}

bool has_voters(Cluster& cluster, std::size_t count) {
  const auto leader = cluster.leader_of(kGolden);
  if (!leader) return false;
  const GroupConfig config = *cluster.groups(*leader).config(kGolden);
  return config.voters.size() == count && !config.is_joint();
}

TEST(RaftGolden, JointChange) {
  ClusterOptions options = quiet();
  options.nodes = 3;
  Cluster cluster(options);
  cluster.found(0);
  cluster.start(1);
  cluster.start(2);
  ASSERT_TRUE(cluster.run_until([&] { return has_voters(cluster, 3); }, seconds(5)));
  cluster.run_for(milliseconds(500));
  compare("raft_joint_change", cluster.trace());
}

TEST(RaftGolden, Election) {
  ClusterOptions options = quiet();
  options.nodes = 3;
  Cluster cluster(options);
  cluster.found(0);
  cluster.start(1);
  cluster.start(2);
  cluster.run_for(seconds(8));
  cluster.clear_trace();
  cluster.propose(kGolden);
  cluster.run_for(milliseconds(100));
  cluster.crash(*cluster.leader_of(kGolden));
  cluster.run_for(seconds(3));
  cluster.propose(kGolden);
  cluster.run_for(seconds(1));
  compare("raft_election", cluster.trace());
}

TEST(RaftGolden, SnapshotCatchUp) {
  ClusterOptions options = quiet();
  options.nodes = 3;
  Cluster cluster(options);
  cluster.found(0);
  cluster.start(1);
  cluster.start(2);
  cluster.run_for(seconds(8));
  const std::size_t leader = *cluster.leader_of(kGolden);
  const std::size_t follower = (leader + 1) % 3;
  cluster.crash(follower);
  cluster.run_for(seconds(2));
  for (int i = 0; i < 30; ++i) {
    for (int j = 0; j < 4; ++j) cluster.propose(kGolden, 10'000);
    cluster.run_for(milliseconds(100));
  }
  cluster.run_for(seconds(2));
  cluster.clear_trace();
  cluster.start(follower);
  cluster.run_for(seconds(2));
  compare("raft_snapshot_catch_up", cluster.trace());
}

}  // namespace
}  // namespace dunlin
