// Seeds of the in-process cluster. DUNLIN_RAFT_SEED=n runs one of them with a transcript,
// DUNLIN_RAFT_SEEDS=a-b a range.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "dht/raft_seed.h"

namespace dunlin {
namespace {

constexpr std::uint64_t kSeeds = 200;

// In how many of 200 each kind of fault must take effect.
constexpr int kFewestSeedsOfAKind = 10;

void expect_well(std::uint64_t first, std::uint64_t last) {
  std::uint64_t acknowledged = 0;
  std::uint64_t reads = 0;
  std::map<std::string, int> kinds;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const SeedResult result = SeedRun(seed, Mutation::kNone, first == last).run();
    acknowledged += result.acknowledged;
    reads += result.reads;
    EXPECT_EQ(result.violation, "") << "seed " << seed << ": replay with DUNLIN_RAFT_SEED=" << seed
                                    << " dht_test --gtest_filter=RaftSim.*\n"
                                    << result.trace;
    EXPECT_GE(result.acknowledged, kFewestAcknowledged) << "seed " << seed;
    EXPECT_GE(result.reads, kFewestReads) << "seed " << seed;
    for (const auto& [kind, times] : result.faults) kinds[kind] += times > 0 ? 1 : 0;
  }
  std::printf("%llu acknowledged, %llu reads\n", static_cast<unsigned long long>(acknowledged),
              static_cast<unsigned long long>(reads));
  for (const auto& [kind, seeds] : kinds) std::printf("%s in %d seeds\n", kind.c_str(), seeds);
  if (last - first + 1 < kSeeds) return;
  for (const char* kind : {"loss", "doubling", "delay", "cut link", "crash", "lost writes",
                           "hung disk", "power cut", "leave"}) {
    EXPECT_GE(kinds[kind], kFewestSeedsOfAKind) << kind;
  }
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

struct Broken {
  Mutation mutation;
  const char* name;
  std::vector<std::string> caught_by;
};

class RaftSimMutation : public ::testing::TestWithParam<Broken> {};

// A checker that cannot fail checks nothing.
TEST_P(RaftSimMutation, IsCaught) {
  constexpr std::uint64_t kMost = 200;
  std::string seen;
  for (std::uint64_t seed = 1; seed <= kMost; ++seed) {
    const std::string violation = SeedRun(seed, GetParam().mutation, false).run().violation;
    for (const std::string& checker : GetParam().caught_by) {
      if (violation.starts_with(checker)) return;
    }
    if (!violation.empty()) seen += std::to_string(seed) + ": " + violation + "\n";
  }
  FAIL() << "not caught in " << kMost << " seeds; seen were\n" << seen;
}

INSTANTIATE_TEST_SUITE_P(
    All, RaftSimMutation,
    ::testing::Values(
        Broken{Mutation::kSendBeforeDurable,
               "PromisesSentBeforeTheyAreDurable",
               {"election safety", "leader completeness", "durability", "state machine safety"}},
        Broken{Mutation::kForgetLives, "LivesForgotten", {"election safety"}},
        Broken{Mutation::kForgetEntries,
               "EntriesForgotten",
               {"leader completeness", "durability", "state machine safety"}},
        // Two leaders of one term are seldom: who has too short a log is elected sooner.
        Broken{Mutation::kForgeVotes, "VotesForged", {"election safety", "leader completeness"}},
        Broken{Mutation::kForgeReadReplies, "ReadsConfirmedByNobody", {"linearizable reads"}},
        Broken{
            Mutation::kCorruptEntries, "EntriesAltered", {"state machine safety", "log matching"}},
        Broken{Mutation::kForgeAcks,
               "AcknowledgementsForged",
               {"leader completeness", "durability", "state machine safety"}},
        Broken{Mutation::kDropCommitNews, "CommitIndexNeverConfirmed", {"rest"}}),
    [](const auto& broken) { return std::string(broken.param.name); });

}  // namespace
}  // namespace dunlin
