// Everything at once, at random strengths, then peace: whatever happened, views become true.
// DUNLIN_GOSSIP_SEEDS=a-b runs other seeds than the usual ones.
#include <gtest/gtest.h>

#include <cstdlib>

#include "gossip_cluster.h"

namespace dunlin {
namespace {

using test::GossipCluster;

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : random_(seed), cluster_(seed * 31 + 7) {
    cluster_.network.datagram_loss = 0.3 * random_.unit();
    cluster_.network.stream_loss = 0.1 * random_.unit();
    cluster_.network.duplicates = 0.2 * random_.unit();
    cluster_.network.delay_max = milliseconds(random_.between(1, 60));
    cluster_.found(3 + random_.below(12));
  }

  void run(Duration length) {
    const Instant end = cluster_.now() + length;
    while (cluster_.now() < end) {
      disturb();
      cluster_.run_for(random_.between(milliseconds(50), seconds(6)));
    }
  }

  // What is down stays down, what runs can talk again. Who still pauses may yet be taken for dead,
  // and rightly.
  void make_peace() {
    cluster_.unblock_all();
    cluster_.network = {};
    for (std::size_t i = 0; i < cluster_.size(); ++i) cluster_.set_lateness(i, {});
    while (cluster_.is_any_paused()) cluster_.run_for(seconds(1));
  }

  GossipCluster& cluster() { return cluster_; }

 private:
  std::size_t any() { return random_.below(cluster_.size()); }

  std::optional<std::size_t> any_up() {
    for (int tries = 0; tries < 50; ++tries) {
      const std::size_t i = any();
      if (cluster_.is_up(i) && !cluster_.has_left(i)) return i;
    }
    return std::nullopt;
  }

  std::size_t count_up() {
    std::size_t up = 0;
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      up += cluster_.is_up(i) && !cluster_.has_left(i) ? 1 : 0;
    }
    return up;
  }

  void disturb() {
    const std::size_t i = any();
    const std::optional<std::size_t> up = any_up();
    switch (random_.below(9)) {
      case 0:
        if (up && count_up() > 2) cluster_.crash(*up);
        break;
      case 1:
      case 2:
        // A new life of the same directory, which remembers what some member knows.
        if (!cluster_.is_up(i) && up) cluster_.start(i, cluster_.members_of(*up));
        break;
      case 3:
        if (up && cluster_.size() < 20) cluster_.start(cluster_.add(), cluster_.members_of(*up));
        break;
      case 4:
        if (up && count_up() > 3) cluster_.leave(*up);
        break;
      case 5: cluster_.set_side(i, static_cast<int>(random_.below(2))); break;
      case 6: cluster_.block(i, any()); break;
      case 7: cluster_.unblock_all(); break;
      default:
        if (up) cluster_.pause(*up, random_.between(milliseconds(100), seconds(20)));
        if (up) cluster_.set_lateness(*up, milliseconds(random_.between(0, 1500)));
    }
  }

  Random random_;
  GossipCluster cluster_;
};

TEST(Chaos, ViewsBecomeTrueAndEqualOnceThereIsPeace) {
  std::uint64_t first = 1;
  std::uint64_t last = 40;
  if (const char* range = std::getenv("DUNLIN_GOSSIP_SEEDS")) {
    char* rest = nullptr;
    first = std::strtoull(range, &rest, 10);
    last = *rest == '-' ? std::strtoull(rest + 1, nullptr, 10) : first;
  }
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    Chaos chaos(seed);
    chaos.run(seconds(120));
    chaos.make_peace();
    GossipCluster& cluster = chaos.cluster();
    EXPECT_TRUE(cluster.run_until(
        seconds(120), [&] { return cluster.is_true() && cluster.is_converged(); }, seconds(1)))
        << "DUNLIN_GOSSIP_SEEDS=" << seed << ": " << cluster.wrong();
    // And stay so.
    cluster.false_deaths = 0;
    cluster.run_for(seconds(30));
    EXPECT_TRUE(cluster.is_true()) << "DUNLIN_GOSSIP_SEEDS=" << seed << ": " << cluster.wrong();
    EXPECT_EQ(cluster.false_deaths, 0U) << "DUNLIN_GOSSIP_SEEDS=" << seed;
  }
}

// A restored copy of a directory runs an earlier boot; a clone runs the same one. Both are found
// out by the cluster, without talking to each other.
TEST(Chaos, RestoredAndClonedDirectoriesLearnThatTheyHaveATwin) {
  for (const Boot behind : {1U, 0U}) {
    GossipCluster cluster(behind + 50);
    cluster.found(8);
    cluster.run_for(seconds(5));
    const auto seeds = cluster.members_of(3);
    cluster.crash(3);
    cluster.start(3, seeds);
    cluster.run_for(seconds(5));
    ASSERT_EQ(cluster.boot(3), 2U);
    // The copy takes the original's place on the network.
    cluster.crash(3);
    cluster.set_boot(3, 2 - behind - 1);
    cluster.clear_events();
    cluster.start(3, seeds);
    cluster.run_for(seconds(5));
    EXPECT_EQ(cluster.count_events<TwinSeen>(3), 1U) << "boots behind: " << behind;
  }
}

}  // namespace
}  // namespace dunlin
