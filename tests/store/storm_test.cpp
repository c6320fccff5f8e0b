// Everything at once, from one seed: loss, doubling, delay, reordering, partitions, false
// suspicion, crashes that lose and tear what was not synced, rot, full disks, deaths, joins. Then
// the weather clears, and every promise is looked at from outside.
#include <gtest/gtest.h>

#include "store/store_cluster.h"

namespace dunlin {
namespace {

class Storm {
 public:
  explicit Storm(std::uint64_t seed) : cluster(seed, 3 + seed % 5, quick()) {
    Random& random = cluster.random();
    cluster.weather.loss = random.unit() * 0.1;
    cluster.weather.doubling = random.unit() * 0.1;
    cluster.weather.longest = milliseconds(random.between(1, 200));
    cluster.weather.longest_sync = milliseconds(random.between(1, 50));
  }

  static StoreConfig quick() {
    StoreConfig config;
    config.repair_delay = seconds(5);
    config.compare_delay = seconds(3);
    config.scrub_rate = 100 * 1024 * 1024;
    config.scrub_pass = seconds(600);
    return config;
  }

  void rage(int steps) {
    cluster.run_for(seconds(1));
    for (int i = 0; i < steps; ++i) {
      act();
      cluster.run_for(cluster.random().between(milliseconds(10), milliseconds(800)));
    }
  }

  void clear() {
    cluster.weather = Weather{};
    cluster.heal();
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (gone.contains(i)) continue;
      cluster.restart(i);
      cluster.set_disk(i, ~std::uint64_t{0}, ~std::uint64_t{0});
      for (std::size_t j = 0; j < cluster.size(); ++j) cluster.suspect(i, j, false);
    }
    cluster.run_for(seconds(1800));
  }

  std::size_t lost() const {
    std::size_t count = 0;
    for (const Acknowledged& ack : cluster.acknowledged()) {
      count += cluster.sound_copies(ack.blob.id) == 0 ? 1 : 0;
    }
    return count;
  }

  StoreCluster cluster;
  std::set<std::size_t> gone;  // for ever
  std::uint64_t joins = 0;

 private:
  void act() {
    Random& random = cluster.random();
    const std::size_t i = random.below(cluster.size());
    switch (random.below(14)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4: put(i); break;
      case 5: read(i); break;
      case 6: crash(i); break;
      case 7:
        if (!gone.contains(i)) cluster.restart(i);
        break;
      case 8: partition(); break;
      case 9: cluster.heal(); break;
      case 10: cluster.suspect(i, random.below(cluster.size()), random.chance(0.5)); break;
      case 11: rot(i); break;
      case 12: fill_disk(i); break;
      default: churn(i); break;
    }
  }

  void put(std::size_t i) {
    Random& random = cluster.random();
    const std::size_t size = random.chance(0.1) ? random.below(200'000) : random.below(9'000);
    // Few contents, so that the same is put again and again.
    const Pin pin{GroupId{static_cast<std::uint16_t>(random.below(4))}, random.below(1000)};
    cluster.put(i, noise(size, random.below(150)), pin);
  }

  void read(std::size_t i) {
    if (cluster.acknowledged().empty()) return;
    const auto& ack = cluster.acknowledged()[cluster.random().below(cluster.acknowledged().size())];
    if (cluster.random().chance(0.5)) {
      cluster.fetch(i, ack.blob.id, ack.holders);
    } else {
      cluster.localize(i, ack.blob.id);
    }
  }

  void crash(std::size_t i) {
    if (!cluster.host(i).up) return;
    for (int puts = 0; puts < 5; ++puts) put(cluster.random().below(cluster.size()));
    cluster.run_for(cluster.random().between(milliseconds(0), milliseconds(60)));
    cluster.crash(i);
  }

  void partition() {
    std::set<std::size_t> side;
    for (std::size_t i = 0; i < cluster.size(); ++i) {
      if (cluster.random().chance(0.4)) side.insert(i);
    }
    if (side.empty() || side.size() == cluster.size()) return;
    cluster.partition(side);
  }

  // Sound copies on disks that will be there again, those of the moment down included.
  std::size_t copies(const BlobId& id) const { return cluster.sound_copies(id, false); }

  void rot(std::size_t i) {
    if (cluster.acknowledged().empty()) return;
    const auto& ack = cluster.acknowledged()[cluster.random().below(cluster.acknowledged().size())];
    if (copies(ack.blob.id) < 3) return;  // rot of the last copies is a loss nobody can prevent
    cluster.flip_bit(i, ack.blob.id);
  }

  void fill_disk(std::size_t i) {
    if (!cluster.host(i).up) return;
    const bool full = cluster.random().chance(0.5);
    cluster.set_disk(i, 1ULL << 40, full ? 1000 : 1ULL << 39);
  }

  void churn(std::size_t i) {
    if (cluster.size() < 9 && cluster.random().chance(0.5)) {
      cluster.declare(cluster.add_host(), StoreMemberState::kAlive);
      ++joins;
      return;
    }
    // A death must leave every blob a copy elsewhere, or it is a loss that W = 2 does not cover.
    if (gone.size() >= 1 || cluster.size() - gone.size() <= 3) return;
    for (const Acknowledged& ack : cluster.acknowledged()) {
      if (copies(ack.blob.id) < 2) return;
    }
    cluster.destroy(i);
    gone.insert(i);
    cluster.declare(i, StoreMemberState::kDead);
  }
};

// Faults by kind, and in how many storms they took effect.
using Kinds = std::map<std::string, int>;

void expect_all_promises_kept(std::uint64_t seed, Kinds& kinds) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Storm storm(seed);
  storm.rage(300);
  storm.clear();
  StoreCluster& cluster = storm.cluster;
  ASSERT_TRUE(cluster.broken().empty()) << cluster.broken().front();
  for (const auto& [kind, times] : cluster.took_effect()) kinds[kind] += 1;
  kinds["join"] += storm.joins > 0 ? 1 : 0;
  kinds["death"] += storm.gone.empty() ? 0 : 1;
  EXPECT_GE(cluster.took_effect().size(), 5U);
  EXPECT_GT(cluster.acknowledged().size(), 10U);
  EXPECT_EQ(storm.lost(), 0U);
  EXPECT_EQ(cluster.deleted(), 0U);
  EXPECT_EQ(cluster.under_replicated(), 0U);
  EXPECT_EQ(cluster.unreadable(), std::vector<std::string>{});
  cluster.run_for(seconds(600));  // reading has found rot that nothing else had met yet
  StoreStats all;
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    if (!cluster.host(i).up) continue;
    const StoreStats one = cluster.host(i).blobs->stats();
    all.under_replicated += one.under_replicated;
    all.unchecked += one.unchecked;
    all.awaited += one.awaited;
  }
  EXPECT_EQ(all.under_replicated, 0U);
  EXPECT_EQ(all.unchecked, 0U);
  EXPECT_EQ(all.awaited, 0U);
  const std::uint64_t before = cluster.messages();
  cluster.run_for(seconds(3600));
  EXPECT_EQ(cluster.messages(), before) << "not at rest";
}

TEST(Storm, EveryPromiseIsKept) {
  Kinds kinds;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    expect_all_promises_kept(seed, kinds);
    if (HasFailure()) return;
  }
  for (const char* kind : {"loss", "doubling", "partition", "false suspicion", "crash",
                           "lost writes", "rot", "full disk", "join", "death"}) {
    EXPECT_GE(kinds[kind], 5) << kind;
  }
}

TEST(Storm, TheSameSeedTakesTheSameCourse) {
  Storm first(77), second(77);
  first.rage(200);
  second.rage(200);
  EXPECT_EQ(first.cluster.trace(), second.cluster.trace());
  EXPECT_GT(first.cluster.messages(), 100U);
}

}  // namespace
}  // namespace dunlin
