// Seeds of the in-process cluster. DUNLIN_RAFT_SEED=n runs one of them with a transcript,
// DUNLIN_RAFT_SEEDS=a-b a range.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "dht/raft_seed.h"

namespace dunlin {
namespace {

constexpr std::uint64_t kSeeds = 200;

void expect_well(std::uint64_t first, std::uint64_t last) {
  std::uint64_t acknowledged = 0;
  std::uint64_t reads = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const SeedResult result = SeedRun(seed, Mutation::kNone, first == last).run();
    acknowledged += result.acknowledged;
    reads += result.reads;
    EXPECT_EQ(result.violation, "") << "seed " << seed << ": replay with DUNLIN_RAFT_SEED=" << seed
                                    << " dht_test --gtest_filter=RaftSim.*\n"
                                    << result.trace;
  }
  std::printf("%llu acknowledged, %llu reads\n", static_cast<unsigned long long>(acknowledged),
              static_cast<unsigned long long>(reads));
  EXPECT_GT(acknowledged, 0U);
}

TEST(RaftSim, NoSeedBreaksAPromise) {
  if (const char* one = std::getenv("DUNLIN_RAFT_SEED")) {
    const std::uint64_t seed = std::strtoull(one, nullptr, 10);
    expect_well(seed, seed);
    return;
  }
  if (const char* range = std::getenv("DUNLIN_RAFT_SEEDS")) {
    char* rest = nullptr;
    const std::uint64_t first = std::strtoull(range, &rest, 10);
    expect_well(first, std::strtoull(rest + 1, nullptr, 10));
    return;
  }
  expect_well(1, kSeeds);
}

}  // namespace
}  // namespace dunlin
