#include "gossip/rumours.h"

#include <gtest/gtest.h>

#include "people.h"

namespace dunlin::gossip {
namespace {

using test::id_of;

Status status(std::uint8_t number, std::uint64_t incarnation = 0) {
  return {id_of(number), {1, incarnation, MemberState::kAlive, 0}, {}};
}

TEST(Rumours, AreToldSoOftenAndNoMore) {
  RumourQueue queue;
  queue.put(status(1), 3);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.take(1000, 10).size(), 1U);
  EXPECT_TRUE(queue.is_empty());
  EXPECT_TRUE(queue.take(1000, 10).empty());
}

TEST(Rumours, ALaterOneAboutTheSameReplacesTheEarlier) {
  RumourQueue queue;
  queue.put(status(1, 4), 3);
  queue.take(1000, 10);
  queue.put(status(1, 5), 3);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.take(1000, 10).front(), encode_update(status(1, 5)));
}

TEST(Rumours, TheLeastToldComeFirstAndTheNewestAmongThem) {
  RumourQueue queue;
  queue.put(status(1), 3);
  queue.take(1000, 10);
  queue.put(status(2), 3);
  queue.put(status(3), 3);
  const auto news = queue.take(1000, 2);
  ASSERT_EQ(news.size(), 2U);
  EXPECT_EQ(news[0], encode_update(status(3)));
  EXPECT_EQ(news[1], encode_update(status(2)));
}

TEST(Rumours, WhatDoesNotFitIsPassedOverForWhatDoes) {
  RumourQueue queue;
  queue.put(status(1), 3);
  queue.put(Introduction{test::card(2), {}}, 3);
  const std::size_t small = framed_size(encode_update(status(1)));
  const auto news = queue.take(small, 10);
  ASSERT_EQ(news.size(), 1U);
  EXPECT_EQ(news[0], encode_update(status(1)));
  EXPECT_TRUE(queue.take(small - 1, 10).empty());
}

TEST(Rumours, OverTheLimitTheMostToldIsDropped) {
  RumourQueue queue;
  queue.put(status(1), 9);
  queue.take(1000, 1);
  for (std::uint16_t g = 0; g < kMaxGroups; ++g) queue.put(Route{{g}, 1, id_of(1), 1}, 9);
  LoadReport report;
  for (std::size_t i = queue.size(); i < kMaxRumours + 1; ++i) {
    report.node.raw[0] = static_cast<std::uint8_t>(i);
    report.node.raw[1] = static_cast<std::uint8_t>(i >> 8);
    queue.put(report, 9);
  }
  EXPECT_EQ(queue.size(), kMaxRumours);
  queue.drop(rumour_key(status(1)));
  EXPECT_EQ(queue.size(), kMaxRumours) << "it was gone already";
}

}  // namespace
}  // namespace dunlin::gossip
