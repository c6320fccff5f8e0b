#include "gossip/roster.h"

#include <gtest/gtest.h>

#include <set>

#include "people.h"

namespace dunlin::gossip {
namespace {

using test::card;
using test::id_of;

Roster roster_of(std::initializer_list<std::uint8_t> numbers, std::uint64_t seed = 1) {
  Roster roster(id_of(0), Random(seed));
  roster.add({}, card(0), {1, 0, MemberState::kAlive, 0}, {});
  for (const std::uint8_t number : numbers) {
    roster.add({}, card(number), {1, 0, MemberState::kAlive, 0}, {});
  }
  return roster;
}

bool any(const Member&) {
  return true;
}

TEST(Roster, TheDigestDependsOnBeliefsAndNotOnTheirHistory) {
  Roster one = roster_of({1, 2, 3});
  Roster other = roster_of({3, 9, 1, 2}, 2);
  EXPECT_NE(one.digest(), other.digest());
  other.erase(id_of(9));
  EXPECT_EQ(one.digest(), other.digest());
  one.set_standing({}, id_of(2), {1, 1, MemberState::kAlive, 0}, {});
  EXPECT_NE(one.digest(), other.digest());
  other.set_standing({}, id_of(2), {1, 1, MemberState::kAlive, 0}, {});
  EXPECT_EQ(one.digest(), other.digest());
  one.set_standing({}, id_of(2), {1, 1, MemberState::kSuspect, 0}, {});
  EXPECT_EQ(one.digest(), other.digest()) << "suspicions come and go";
  one.set_standing({}, id_of(2), {1, 1, MemberState::kDead, 0}, {});
  EXPECT_NE(one.digest(), other.digest());
}

TEST(Roster, BucketsShareOutTheDigest) {
  const Roster roster = roster_of({1, 2, 3, 4, 5, 6, 7, 8});
  for (const std::size_t count : {1U, 4U, 64U}) {
    std::uint64_t all = 0;
    for (const std::uint64_t digest : roster.bucket_digests(count)) all ^= digest;
    EXPECT_EQ(all, roster.digest());
  }
}

TEST(Roster, EveryRoundVisitsEverybodyOnce) {
  Roster roster = roster_of({1, 2, 3, 4, 5});
  for (int round = 0; round < 10; ++round) {
    std::set<NodeId> seen;
    for (int i = 0; i < 5; ++i) seen.insert(*roster.next_in_turn(any));
    EXPECT_EQ(seen.size(), 5U);
    EXPECT_FALSE(seen.contains(id_of(0)));
  }
  EXPECT_FALSE(roster.next_in_turn([](const Member&) { return false; }).has_value());
}

TEST(Roster, PicksDifferentMembersThatPassEvenWhereFewDo) {
  Roster roster = roster_of({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  EXPECT_EQ(roster.pick(50, any).size(), 12U);
  const auto picked = roster.pick(3, any);
  EXPECT_EQ(std::set<NodeId>(picked.begin(), picked.end()).size(), 3U);
  const NodeId only = id_of(7);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(roster.pick(2, [&](const Member& m) { return m.facts.id == only; }),
              std::vector<NodeId>{only});
  }
}

TEST(Roster, CountsThoseWhoTakePart) {
  Roster roster = roster_of({1, 2, 3});
  EXPECT_EQ(roster.active_count(), 4U);
  roster.set_standing({}, id_of(1), {1, 0, MemberState::kSuspect, 0}, {});
  EXPECT_EQ(roster.active_count(), 4U);
  roster.set_standing({}, id_of(1), {1, 0, MemberState::kDead, 0}, {});
  roster.set_standing({}, id_of(2), {1, 0, MemberState::kLeft, 0}, {});
  EXPECT_EQ(roster.active_count(), 2U);
  roster.erase(id_of(1));
  roster.erase(id_of(3));
  EXPECT_EQ(roster.active_count(), 1U);
}

TEST(Roster, OnlyThoseWhoLeftLongAgoAreReaped) {
  Roster roster = roster_of({1, 2, 3});
  roster.set_standing({}, id_of(1), {1, 0, MemberState::kLeft, 0}, {});
  roster.set_standing({}, id_of(2), {1, 0, MemberState::kDead, 0}, {});
  roster.set_standing(Instant{} + seconds(50), id_of(3), {1, 0, MemberState::kLeft, 0}, {});
  roster.reap(Instant{} + seconds(60), seconds(60));
  EXPECT_EQ(roster.find(id_of(1)), nullptr);
  EXPECT_NE(roster.find(id_of(2)), nullptr);
  EXPECT_NE(roster.find(id_of(3)), nullptr);
}

TEST(Roster, ANewLifeBeginsWithoutTheOldLoad) {
  Roster roster = roster_of({1});
  roster.set_load(Instant{} + seconds(1), id_of(1), 5, {3, 0, 2, 1, 0, false});
  roster.set_standing({}, id_of(1), {1, 1, MemberState::kAlive, 0}, {});
  EXPECT_EQ(roster.find(id_of(1))->load.running, 2U);
  roster.set_standing({}, id_of(1), {2, 0, MemberState::kAlive, 0}, {});
  EXPECT_EQ(roster.find(id_of(1))->load, Load{});
  EXPECT_EQ(roster.peer(id_of(1)).load_sequence, 0U);
}

}  // namespace
}  // namespace dunlin::gossip
