// Which troubles are told.
#include "os/trouble_news.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

using News = TroubleNews::News;

TEST(TroubleNews, WhatIsNewIsToldAtOnceAndWhatStaysNowAndThen) {
  TroubleNews news(seconds(30));
  const Instant start{};
  EXPECT_EQ(news.news_of("a:1", "refused", start), News::kNew);
  EXPECT_EQ(news.news_of("a:1", "refused", start + seconds(29)), News::kNone);
  EXPECT_EQ(news.news_of("b:1", "refused", start + seconds(29)), News::kNew);
  EXPECT_EQ(news.news_of("a:1", "refused", start + seconds(30)), News::kStill);
  EXPECT_EQ(news.news_of("a:1", "refused", start + seconds(31)), News::kNone);
  EXPECT_EQ(news.news_of("a:1", "no route", start + seconds(31)), News::kNew);
  news.forget("a:1");
  EXPECT_EQ(news.news_of("a:1", "no route", start + seconds(32)), News::kNew);
}

TEST(TroubleNews, OfMorePlacesThanItRemembersNothingIsTold) {
  TroubleNews news(seconds(30));
  const Instant start{};
  int told = 0;
  for (int i = 0; i < 3000; ++i) {
    told += news.news_of(std::to_string(i), "odd", start) == News::kNew ? 1 : 0;
  }
  EXPECT_EQ(told, 1000);
  EXPECT_EQ(news.news_of("one more", "odd", start + seconds(30)), News::kNew);
}

}  // namespace
}  // namespace dunlin
