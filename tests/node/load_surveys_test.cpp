// Who is asked for his load, and how long that is waited for.
#include "node/load_surveys.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

NodeId id_of(std::uint8_t n) {
  NodeId id;
  id.raw[0] = n;
  return id;
}

class LoadSurveysTest : public ::testing::Test {
 protected:
  LoadSurveysTest() {
    for (std::uint8_t n = 1; n <= 5; ++n) {
      Member& member = members[id_of(n)];
      member.facts.id = id_of(n);
    }
    members[id_of(3)].state = MemberState::kSuspect;
    members[id_of(4)].state = MemberState::kDead;
    members[id_of(5)].state = MemberState::kLeft;
  }
  LoadShare share(std::uint64_t query, std::uint32_t running) {
    LoadShare share;
    share.query = query;
    share.load.running = running;
    return share;
  }

  Instant now{1'000'000};
  std::map<NodeId, Member> members;
  LoadSurveys surveys{id_of(1)};
  Effects out;
};

TEST_F(LoadSurveysTest, ThePresentAreAskedAndTheirAnswersEndIt) {
  ASSERT_TRUE(surveys.begin(now, 9, members, out));
  ASSERT_EQ(out.sends.size(), 2U);
  EXPECT_EQ(out.sends[0].to, id_of(2));
  EXPECT_EQ(out.sends[1].to, id_of(3));
  surveys.on_share(now + milliseconds(1), id_of(3), share(1, 4));
  surveys.on_share(now + milliseconds(1), id_of(4), share(1, 4));
  surveys.on_share(now + milliseconds(1), id_of(2), share(2, 4));
  EXPECT_TRUE(surveys.take_ended().empty());
  surveys.on_share(now + milliseconds(5), id_of(2), share(1, 7));
  const auto ended = surveys.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].request, 9U);
  ASSERT_EQ(ended[0].loads.size(), 2U);
  EXPECT_EQ(ended[0].loads.at(id_of(2)).first, now + milliseconds(5));
  EXPECT_EQ(ended[0].loads.at(id_of(2)).second.load.running, 7U);
  EXPECT_EQ(surveys.next_deadline(), Instant::never());
  EXPECT_TRUE(surveys.take_ended().empty());
}

TEST_F(LoadSurveysTest, WhoStaysSilentHoldsNobodyUp) {
  ASSERT_TRUE(surveys.begin(now, 9, members, out));
  surveys.on_share(now, id_of(2), share(1, 4));
  EXPECT_EQ(surveys.next_deadline(), now + kLoadPatience);
  surveys.tick(now + kLoadPatience - microseconds(1));
  EXPECT_TRUE(surveys.take_ended().empty());
  surveys.tick(now + kLoadPatience);
  const auto ended = surveys.take_ended();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].loads.size(), 1U);
}

TEST_F(LoadSurveysTest, AloneItEndsAtOnceAndTooManyAreRefused) {
  ASSERT_TRUE(surveys.begin(now, 9, {{id_of(1), members[id_of(1)]}}, out));
  EXPECT_EQ(surveys.take_ended().size(), 1U);
  EXPECT_TRUE(out.sends.empty());
  for (std::size_t i = 0; i < kMaxLoadSurveys; ++i) {
    EXPECT_TRUE(surveys.begin(now, i, members, out));
  }
  EXPECT_FALSE(surveys.begin(now, 99, members, out));
}

}  // namespace
}  // namespace dunlin
