// What a seed must cover, and what many must cover together: each gate fires alone and by name.
#include <gtest/gtest.h>

#include "sim/run_arguments.h"
#include "sim/seed_run.h"
#include "sim/seed_summary.h"
#include "sim/sim_world.h"

namespace dunlin::sim {
namespace {

using Lines = std::vector<std::string>;

// Of a seed that just suffices.
SeedReport sufficient() {
  SeedReport report;
  report.results = kFewestResults;
  report.results_under_attack = kFewestResultsUnderAttack;
  report.founders = kFewestFounders;
  report.time = kShortestRun;
  report.faults.begin();
  for (std::size_t i = 0; i < kFewestFaultKinds; ++i) report.faults.note(static_cast<Fault>(i));
  return report;
}

TEST(Coverage, ASeedThatJustSufficesCounts) {
  EXPECT_EQ(uncovered(sufficient()), Lines{});
}

TEST(Coverage, EachGateFiresAlone) {
  SeedReport report = sufficient();
  report.results = 199;
  EXPECT_EQ(uncovered(report), Lines{"only 199 results"});
  report = sufficient();
  report.results_under_attack = 99;
  EXPECT_EQ(uncovered(report), Lines{"only 99 results under attack"});
  report = sufficient();
  report.founders = 4;
  EXPECT_EQ(uncovered(report), Lines{"only 4 hosts"});
  report = sufficient();
  report.time = seconds(299);
  EXPECT_EQ(uncovered(report), Lines{"only 299 virtual seconds"});
  report = sufficient();
  report.called_back = 3;
  EXPECT_EQ(uncovered(report), Lines{"the bare quorum took 3 hosts more"});
  report = sufficient();
  report.faults = FaultCounts{};
  report.faults.begin();
  report.faults.note(Fault::kLoss);
  report.faults.note(Fault::kPause);
  EXPECT_EQ(uncovered(report), Lines{"only 2 kinds of faults that count"});
}

TEST(Coverage, WhatIsInEachPlanAndWhatFollowsFromFaultsMakesNoSeedCount) {
  FaultCounts faults;
  faults.begin();
  for (std::size_t i = kMeritKinds; i < kFaultKinds; ++i) faults.note(static_cast<Fault>(i));
  EXPECT_EQ(faults.kinds(), 0u);
  faults.note(Fault::kPowerCut);
  EXPECT_EQ(faults.kinds(), 1u);
}

TEST(Coverage, OnlyWhatHappensBetweenBeginAndEndCounts) {
  FaultCounts faults;
  faults.note(Fault::kLoss);
  faults.begin();
  faults.note(Fault::kPause);
  faults.end();
  faults.note(Fault::kDelay);
  EXPECT_EQ(faults.text(), "pause 1");
}

// Everything of a seed but its faults: founding and the end of those who stay dead are none.
TEST(Coverage, ASeedWithoutFaultsDoesNotCount) {
  SeedOptions options;
  options.plan = FaultPlan{};
  options.plan->between = seconds(1000);
  const SeedReport report = run_seed(options);
  ASSERT_EQ(report.violations.size(), 1u) << report.text();
  EXPECT_TRUE(report.violations[0].starts_with("coverage at ")) << report.text();
  EXPECT_TRUE(report.violations[0].ends_with(": only 0 kinds of faults that count"))
      << report.text();
  EXPECT_EQ(report.faults.text(), "no faults");
}

TEST(Coverage, AShortSeedDoesNotCountThoughFaultsAreMany) {
  SeedOptions options;
  options.chaos = seconds(10);
  options.faults = {Fault::kLoss, Fault::kDuplication, Fault::kReordering, Fault::kDelay};
  const SeedReport report = run_seed(options);
  EXPECT_GE(report.faults.kinds(), kFewestFaultKinds);
  std::string ends;
  for (const std::string& line : report.violations) {
    EXPECT_TRUE(line.starts_with("coverage at ")) << report.text();
    ends += line.substr(line.find_last_of("0123456789") + 1) + ";";
  }
  EXPECT_TRUE(ends.starts_with(" results; results under attack; virtual seconds;"))
      << report.text();
}

// ---- many seeds ---------------------------------------------------------------------------------

SeedReport in_full_use(std::optional<Use> missing = std::nullopt) {
  SeedReport report = sufficient();
  for (std::size_t i = 0; i < kUses; ++i) {
    if (static_cast<Use>(i) != missing) report.uses.note(static_cast<Use>(i));
  }
  return report;
}

SeedSummary summary_without(std::optional<Fault> missing, std::uint64_t seeds) {
  SeedSummary summary;
  SeedReport report = in_full_use();
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (static_cast<Fault>(i) != missing) report.faults.note(static_cast<Fault>(i));
  }
  for (std::uint64_t i = 0; i < seeds; ++i) summary.add(report);
  return summary;
}

TEST(Coverage, AKindThatNoSeedMetIsNamed) {
  EXPECT_EQ(summary_without(std::nullopt, kSeedsForAllKinds).uncovered(), Lines{});
  EXPECT_EQ(summary_without(Fault::kRestored, kSeedsForAllKinds).uncovered(),
            Lines{"no seed met: restored copy"});
  EXPECT_EQ(summary_without(Fault::kJoin, kSeedsForAllKinds).uncovered(),
            Lines{"no seed met: join"});
  EXPECT_EQ(summary_without(Fault::kRestored, kSeedsForAllKinds - 1).uncovered(), Lines{});
}

TEST(Coverage, AUseThatMostSeedsWentWithoutIsNamed) {
  SeedSummary summary = summary_without(std::nullopt, kSeedsForAllKinds);
  const SeedReport unused = in_full_use(Use::kRetry);
  for (std::uint64_t i = 1; i < kSeedsForAllKinds; ++i) summary.add(unused);
  EXPECT_EQ(summary.uncovered(), Lines{});
  summary.add(unused);
  EXPECT_EQ(summary.uncovered(), Lines{"most seeds made no use of: retry of a job"});
}

TEST(Coverage, SeedsThatFailOrNeedMoreThanABareQuorumAreNamed) {
  SeedSummary summary = summary_without(std::nullopt, kSeedsForAllKinds);
  SeedReport report = sufficient();
  report.called_back = 1;
  for (std::uint64_t i = 0; i < kSeedsForAllKinds / kSeedsPerCallBack; ++i) summary.add(report);
  EXPECT_EQ(summary.uncovered(), Lines{});
  summary.add(report);
  EXPECT_EQ(summary.uncovered(), Lines{"6 seeds needed more than a bare quorum"});
  report = sufficient();
  report.violations = {"Q1"};
  SeedSummary failed;
  failed.add(report);
  EXPECT_EQ(failed.uncovered(), Lines{"1 seeds failed"});
}

TEST(Coverage, SummariesAddUpAsText) {
  SeedSummary sum = summary_without(Fault::kLoss, 60);
  const auto piece = SeedSummary::parse(summary_without(Fault::kPause, 50).text());
  ASSERT_TRUE(piece.has_value());
  sum.add(*piece);
  EXPECT_EQ(sum.seeds(), 110u);
  EXPECT_EQ(sum.uncovered(), Lines{});
  EXPECT_EQ(SeedSummary::parse(sum.text())->text(), sum.text());
  EXPECT_FALSE(SeedSummary::parse("").has_value());
  EXPECT_FALSE(SeedSummary::parse(sum.text().substr(0, 60)).has_value());
  EXPECT_FALSE(SeedSummary::parse(SeedSummary().text()).has_value());
}

// ---- the command line
// -----------------------------------------------------------------------------

TEST(RunArguments, SeedsAndRanges) {
  const auto one = parse_arguments({"--seed", "7"});
  ASSERT_TRUE(one.has_value());
  ASSERT_EQ(one->orders.size(), 1u);
  EXPECT_EQ(one->orders[0].seed, 7u);
  const auto range = parse_arguments({"--seeds", "3-5", "--twice", "0", "--faults", "loss, pause"});
  ASSERT_TRUE(range.has_value());
  ASSERT_EQ(range->orders.size(), 3u);
  EXPECT_EQ(range->orders[2].seed, 5u);
  EXPECT_EQ(range->orders[2].faults, (std::vector{Fault::kLoss, Fault::kPause}));
  EXPECT_EQ(range->twice, 0u);
}

TEST(RunArguments, WhatIsNoNumberIsNotTakenForOne) {
  for (const char* word : {"", "abc", "7x", "x7", "-", "3-", "-3", "5-3", "1-2-3", " 7", "7 ",
                           "18446744073709551616", "0-18446744073709551615"}) {
    EXPECT_FALSE(parse_arguments({"--seed", word}).has_value()) << word;
  }
  EXPECT_FALSE(parse_arguments({"--seed", "1", "--twice", "often"}).has_value());
  EXPECT_FALSE(parse_arguments({"--seed", "1", "--faults", "earthquake"}).has_value());
  EXPECT_FALSE(parse_arguments({"--seed", "1", "--faults", ""}).has_value());
  EXPECT_FALSE(parse_arguments({"--seed", "1", "--seed"}).has_value());
  EXPECT_FALSE(parse_arguments({"--seed", "1", "--what", "1"}).has_value());
  EXPECT_FALSE(parse_arguments({"--seed", "1", "--sum", "file"}).has_value());
  EXPECT_FALSE(parse_arguments({"--list", "/nonexistent"}).has_value());
  EXPECT_FALSE(parse_arguments({"--verbose"}).has_value());
  EXPECT_FALSE(parse_arguments({}).has_value());
}

TEST(RunArguments, AListNamesSeedsAndFaults) {
  const auto list = parse_list("# for people\n\n12 restored copy, power cut: words, and words\n");
  ASSERT_TRUE(list.has_value());
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ(list->at(0).seed, 12u);
  EXPECT_EQ(list->at(0).faults, (std::vector{Fault::kRestored, Fault::kPowerCut}));
  for (const char* bad : {"", "# nothing\n", "12\n", "x loss\n", "12x loss\n", "12 loss, fire\n"}) {
    EXPECT_FALSE(parse_list(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace dunlin::sim
