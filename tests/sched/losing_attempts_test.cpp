// What is known to be lost and not yet in the log.
#include "sched/losing_attempts.h"

#include <gtest/gtest.h>

namespace dunlin::sched {
namespace {

TEST(LosingAttempts, WhatWasLostWithTheNodeIsToldApartFromWhatItGaveBack) {
  LosingAttempts losing;
  const TaskRun back{0, 3, {1, 5, 1}}, lost{7, 2, {1, 5, 2}};
  for (const bool is_back_first : {true, false}) {
    losing.add(is_back_first ? back : lost, !is_back_first);
    losing.add(is_back_first ? lost : back, is_back_first);
    EXPECT_TRUE(losing.is_next_with_node());
    EXPECT_EQ(losing.next(), std::vector<TaskRun>{lost});
    EXPECT_EQ(losing.runs().size(), 2U);
    losing.remove(lost);
    EXPECT_FALSE(losing.is_next_with_node());
    EXPECT_EQ(losing.next(), std::vector<TaskRun>{back});
    losing.remove(back);
    EXPECT_TRUE(losing.is_empty());
  }
}

TEST(LosingAttempts, HoldOneAttemptOfATaskAndOfOneKind) {
  LosingAttempts losing;
  const TaskRun run{0, 4, {1, 5, 1}}, part{1, 2, {1, 5, 3}};
  losing.add(run, true);
  losing.add(part, false);
  EXPECT_FALSE(losing.contains(1, run.attempt));
  EXPECT_TRUE(losing.contains(1, part.attempt));
  EXPECT_TRUE(losing.contains(3, run.attempt));
  EXPECT_EQ(losing.within(0, 4).size(), 3U);
  losing.remove({0, 1, run.attempt});
  losing.remove({3, 1, run.attempt});
  EXPECT_FALSE(losing.is_next_with_node());
  EXPECT_EQ(losing.next(), std::vector<TaskRun>{part});
  losing.add(part, true);
  EXPECT_TRUE(losing.is_next_with_node());
  losing.clear();
  EXPECT_TRUE(losing.is_empty());
}

}  // namespace
}  // namespace dunlin::sched
