// Transcripts of elections, of a change of voters, and of catching up by snapshot.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "dht/raft_cluster.h"
#include "golden/golden.h"

namespace dunlin {
namespace {

constexpr GroupId kGolden{0};

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
  compare_with_golden("raft_joint_change", cluster.trace());
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
  compare_with_golden("raft_election", cluster.trace());
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
  compare_with_golden("raft_snapshot_catch_up", cluster.trace());
}

// Sets a variable of the environment while it lives.
class Variable {
 public:
  explicit Variable(const char* name) : name_(name) {
    const char* before = std::getenv(name);
    if (before != nullptr) before_ = before;
    setenv(name, "1", 1);
  }
  ~Variable() {
    if (before_) {
      setenv(name_, before_->c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
  std::optional<std::string> before_;
};

TEST(RaftGolden, TranscriptsAreNotWrittenAnewByCi) {
  const Variable update("DUNLIN_UPDATE_GOLDEN");
  const Variable ci("CI");
  EXPECT_NONFATAL_FAILURE(compare_with_golden("raft_election", "something else\n"), "not for CI");
}

}  // namespace
}  // namespace dunlin
