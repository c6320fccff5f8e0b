#include "dht/group_config.h"

#include <gtest/gtest.h>

#include <map>

namespace dunlin {
namespace {

Seat seat(std::uint8_t node, Generation generation = 1) {
  Seat made;
  made.node.raw[0] = node;
  made.generation = generation;
  return made;
}

TEST(GroupConfig, AMajorityIsMoreThanHalf) {
  const GroupConfig config{{seat(1), seat(2), seat(3), seat(4)}, {}, {}};
  std::size_t agreeing = 0;
  const auto first = [&](const Seat& voter) { return voter.node.raw[0] <= agreeing; };
  agreeing = 2;
  EXPECT_FALSE(config.has_quorum(first));
  agreeing = 3;
  EXPECT_TRUE(config.has_quorum(first));
}

TEST(GroupConfig, AJointOneNeedsBothMajorities) {
  const GroupConfig config{{seat(1), seat(2), seat(3)}, {seat(3), seat(4), seat(5)}, {}};
  const auto among = [](std::initializer_list<int> nodes) {
    return [nodes = std::vector<int>(nodes)](const Seat& voter) {
      return std::find(nodes.begin(), nodes.end(), voter.node.raw[0]) != nodes.end();
    };
  };
  EXPECT_FALSE(config.has_quorum(among({1, 2, 3})));
  EXPECT_FALSE(config.has_quorum(among({3, 4, 5})));
  EXPECT_TRUE(config.has_quorum(among({1, 3, 4})));
  EXPECT_TRUE(config.has_quorum(among({2, 3, 5})));
  EXPECT_FALSE(config.has_quorum(among({1, 2, 4})));
}

TEST(GroupConfig, TheQuorumValueIsWhatAMajorityReached) {
  std::map<std::uint8_t, std::uint64_t> reached{{1, 10}, {2, 7}, {3, 3}, {4, 1}, {5, 2}};
  const auto value = [&](const Seat& voter) { return reached[voter.node.raw[0]]; };
  EXPECT_EQ((GroupConfig{{seat(1), seat(2), seat(3)}, {}, {}}.quorum_value(value)), 7U);
  EXPECT_EQ((GroupConfig{{seat(1), seat(2)}, {}, {}}.quorum_value(value)), 7U);
  EXPECT_EQ((GroupConfig{{seat(1)}, {}, {}}.quorum_value(value)), 10U);
  const GroupConfig joint{{seat(1), seat(2), seat(3)}, {seat(3), seat(4), seat(5)}, {}};
  EXPECT_EQ(joint.quorum_value(value), 2U);
}

TEST(GroupConfig, LearnersNeverCount) {
  const GroupConfig config{{seat(1)}, {}, {seat(2), seat(3)}};
  EXPECT_TRUE(config.has_quorum([](const Seat& voter) { return voter.node.raw[0] == 1; }));
  EXPECT_FALSE(config.has_quorum([](const Seat& voter) { return voter.node.raw[0] != 1; }));
}

TEST(GroupConfig, RefusesWhatNoLeaderMakes) {
  EXPECT_TRUE((GroupConfig{{seat(1), seat(2)}, {seat(1)}, {seat(3)}}.is_valid()));
  EXPECT_FALSE((GroupConfig{{}, {}, {seat(1)}}.is_valid())) << "no voter";
  EXPECT_FALSE((GroupConfig{{seat(2), seat(1)}, {}, {}}.is_valid())) << "not sorted";
  EXPECT_FALSE((GroupConfig{{seat(1), seat(1)}, {}, {}}.is_valid())) << "twice";
  EXPECT_FALSE((GroupConfig{{seat(1)}, {}, {seat(1)}}.is_valid())) << "voter and learner";
  EXPECT_FALSE((GroupConfig{{seat(1)}, {}, {seat(1, 2)}}.is_valid())) << "two generations";
  EXPECT_FALSE((GroupConfig{{seat(1)}, {seat(1, 2)}, {}}.is_valid())) << "two generations";
  std::vector<Seat> many;
  for (std::uint8_t i = 0; i <= GroupConfig::kMaxSeats; ++i) many.push_back(seat(i));
  EXPECT_FALSE((GroupConfig{many, {}, {}}.is_valid())) << "too many";
}

}  // namespace
}  // namespace dunlin
