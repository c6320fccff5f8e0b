#include "dht/raft_log.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

Entry entry(Term term, std::size_t size = 1) {
  return {term, EntryKind::kPayload, Bytes(size)};
}

RaftLog log_of(std::initializer_list<Term> terms, std::uint64_t first_row = 1) {
  RaftLog log;
  for (const Term term : terms) log.append(entry(term), first_row++);
  return log;
}

TEST(RaftLog, EntriesAreDurableInOrderOfTheirRows) {
  RaftLog log = log_of({1, 1, 2});
  EXPECT_EQ(log.durable(), 0U);
  EXPECT_TRUE(log.on_durable(2));
  EXPECT_EQ(log.durable(), 2U);
  EXPECT_FALSE(log.on_durable(1)) << "completions may be reported again";
  EXPECT_TRUE(log.on_durable(9));
  EXPECT_EQ(log.durable(), 3U);
}

TEST(RaftLog, AnOverwrittenEntryIsNotDurableBecauseItsPredecessorIs) {
  RaftLog log = log_of({1, 1, 1});
  log.truncate_after(1);
  log.append(entry(2), 4);
  log.on_durable(3);
  EXPECT_EQ(log.durable(), 1U);
  log.on_durable(4);
  EXPECT_EQ(log.durable(), 2U);
}

TEST(RaftLog, CuttingLowersWhatIsDurable) {
  RaftLog log = log_of({1, 1, 1});
  log.on_durable(3);
  log.truncate_after(1);
  EXPECT_EQ(log.durable(), 1U);
  EXPECT_EQ(log.last(), 1U);
}

TEST(RaftLog, ASnapshotIsDurableWithItsRow) {
  RaftLog log = log_of({1, 1, 1});
  log.on_durable(3);
  log.reset(10, 4, 7);
  log.append(entry(4), 8);
  EXPECT_EQ(log.durable(), 3U);
  EXPECT_EQ(log.last_term(), 4U);
  EXPECT_EQ(log.row_needed_above(5), 7U);
  log.on_durable(7);
  EXPECT_EQ(log.durable(), 10U);
  log.on_durable(8);
  EXPECT_EQ(log.durable(), 11U);
  EXPECT_EQ(log.row_needed_above(10), 8U) << "checkpointed: the snapshot's row may go";
}

TEST(RaftLog, KnowsTheTermsFromItsBaseOn) {
  RaftLog log = log_of({1, 2, 2, 3});
  log.on_durable(4);
  log.forget_through(2);
  EXPECT_EQ(log.base(), 2U);
  EXPECT_EQ(log.base_term(), 2U);
  EXPECT_EQ(log.term_at(1), std::nullopt);
  EXPECT_EQ(log.term_at(2), 2U);
  EXPECT_EQ(log.term_at(4), 3U);
  EXPECT_EQ(log.term_at(5), std::nullopt);
  EXPECT_EQ(log.last(), 4U);
}

TEST(RaftLog, SaysWhichRowItStillNeeds) {
  RaftLog log = log_of({1, 1, 1}, 5);
  EXPECT_EQ(log.row_needed_above(0), 5U);
  EXPECT_EQ(log.row_needed_above(2), 7U);
  EXPECT_EQ(log.row_needed_above(3), std::nullopt);
  log.rewritten(3, 20);
  EXPECT_EQ(log.row_needed_above(2), 20U);
}

TEST(RaftLog, ASliceKeepsItsLimitsButGivesAtLeastOne) {
  RaftLog log;
  for (int i = 0; i < 10; ++i) log.append(entry(1, 100), 1);
  EXPECT_EQ(log.slice(1, 350, 100).size(), 3U);
  EXPECT_EQ(log.slice(1, 10, 100).size(), 1U);
  EXPECT_EQ(log.slice(4, 100'000, 2).size(), 2U);
  EXPECT_EQ(log.slice(11, 1000, 10).size(), 0U);
}

TEST(RaftLog, FindsTheLastEntryThatMayMatch) {
  const RaftLog log = log_of({1, 3, 3, 4, 4, 6});
  EXPECT_EQ(log.last_with_term_up_to(6, 3), 3U);
  EXPECT_EQ(log.last_with_term_up_to(6, 5), 5U);
  EXPECT_EQ(log.last_with_term_up_to(2, 9), 2U);
  EXPECT_EQ(log.last_with_term_up_to(99, 9), 6U);
  EXPECT_EQ(log.last_with_term_up_to(6, 0), 0U);
}

}  // namespace
}  // namespace dunlin
