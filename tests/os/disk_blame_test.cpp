// Who is ended for a nearly full disk, and who is spared when something else fills it.
#include "os/disk_blame.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
using Holders = std::vector<DiskHolder>;

std::vector<std::uint64_t> tasks(const Holders& holders) {
  std::vector<std::uint64_t> tasks;
  for (const DiskHolder& holder : holders) tasks.push_back(holder.task);
  return tasks;
}

using Tasks = std::vector<std::uint64_t>;

class Blame : public testing::Test {
 protected:
  Tasks blamed(const Holders& holders, std::uint64_t free) {
    return tasks(blame_.blame(holders, free, 8 * kMiB));
  }
  void end(DiskHolder who, const Holders& holders, std::uint64_t free) {
    blame_.on_told(who, holders, free);
    blame_.on_gone(true);
  }

  DiskBlame blame_;
};

TEST_F(Blame, TheLargestComesFirstAndTheSmallAreNotBlamed) {
  EXPECT_EQ(blamed({{1, 9 * kMiB}, {2, 7 * kMiB}, {3, 90 * kMiB}, {4, 8 * kMiB}}, 0),
            (Tasks{3, 1, 4}));
  EXPECT_EQ(tasks(blame_.blame({{1, 0}}, 0, 0)), Tasks{})
      << "who holds nothing has nothing to give";
}

TEST_F(Blame, WhileTasksExplainWhereTheRoomWentTheNextLargestIsEnded) {
  end({1, 100 * kMiB}, {{1, 100 * kMiB}, {2, 50 * kMiB}}, 10 * kMiB);
  EXPECT_EQ(blamed({{2, 50 * kMiB}}, 20 * kMiB + 50 * kMiB), Tasks{2})
      << "the room is there, and was not enough";
  EXPECT_EQ(blamed({{2, 50 * kMiB}, {3, 60 * kMiB}}, 20 * kMiB), (Tasks{3, 2}))
      << "a newer task took it";
}

TEST_F(Blame, WhenSomethingElseTakesTheRoomThoseThatDoNotGrowAreSpared) {
  end({1, 100 * kMiB}, {{1, 100 * kMiB}, {2, 50 * kMiB}, {3, 20 * kMiB}}, 10 * kMiB);
  EXPECT_EQ(blamed({{2, 50 * kMiB}, {3, 20 * kMiB}}, 10 * kMiB), Tasks{});
  EXPECT_EQ(blamed({{2, 50 * kMiB + kMiB / 2}, {3, 21 * kMiB}}, 0), Tasks{3});
}

TEST_F(Blame, SeveralTasksThatGrewALittleExplainTheRoomTogether) {
  Holders before{{1, 100 * kMiB}};
  Holders after;
  for (std::uint64_t task = 2; task < 202; ++task) {
    before.push_back({task, 8 * kMiB});
    after.push_back({task, 8 * kMiB + kMiB / 2});
  }
  end({1, 100 * kMiB}, before, 0);
  EXPECT_EQ(blamed(after, 0).size(), after.size());
}

TEST_F(Blame, OneThatWasOverBeforeItWasEndedProvesNothing) {
  blame_.on_told({1, 100 * kMiB}, {{1, 100 * kMiB}, {2, 50 * kMiB}}, 10 * kMiB);
  blame_.on_gone(false);
  EXPECT_EQ(blamed({{2, 50 * kMiB}}, 10 * kMiB), Tasks{2});
}

TEST_F(Blame, RoomThatLastsMakesTheLastEndForgottenAndRoomForAMomentDoesNot) {
  const Instant begin{};
  end({1, 100 * kMiB}, {{1, 100 * kMiB}, {2, 50 * kMiB}}, 10 * kMiB);
  blame_.on_room(begin);
  blame_.on_low();
  blame_.on_room(begin + DiskBlame::kForgottenAfter);
  EXPECT_EQ(blamed({{2, 50 * kMiB}}, 10 * kMiB), Tasks{});
  blame_.on_room(begin + DiskBlame::kForgottenAfter * 2);
  EXPECT_EQ(blamed({{2, 50 * kMiB}}, 10 * kMiB), Tasks{2});
}

TEST_F(Blame, WhileNobodyIsFoundCountsBecomeRarerUnlessTheRoomShrinks) {
  Instant now{};
  Duration pause{};
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(blame_.is_due(now, 20 * kMiB, 8 * kMiB));
    blame_.on_nobody(now, 20 * kMiB);
    EXPECT_FALSE(blame_.is_due(now + pause, 20 * kMiB, 8 * kMiB)) << "later than the time before";
    while (!blame_.is_due(now + pause, 20 * kMiB, 8 * kMiB)) pause = pause + milliseconds(100);
    now = now + pause;
    if (pause == DiskBlame::kLongestPause) break;
  }
  EXPECT_EQ(pause, DiskBlame::kLongestPause);
  blame_.on_nobody(now, 20 * kMiB);
  EXPECT_FALSE(blame_.is_due(now, 17 * kMiB, 8 * kMiB));
  EXPECT_TRUE(blame_.is_due(now, 16 * kMiB, 8 * kMiB));
  blame_.on_room(now);
  EXPECT_TRUE(blame_.is_due(now, 20 * kMiB, 8 * kMiB));
}

}  // namespace
}  // namespace dunlin
