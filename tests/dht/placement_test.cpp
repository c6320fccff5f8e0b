#include "dht/placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/random.h"

namespace dunlin {
namespace {

using State = PlacementHost::State;

std::vector<PlacementHost> some_hosts(std::size_t count, std::size_t zones = 1) {
  Random random(count * 31 + zones);
  std::vector<PlacementHost> hosts(count);
  for (std::size_t i = 0; i < count; ++i) {
    random.fill(hosts[i].id.raw);
    hosts[i].zone = std::to_string(i % zones);
  }
  std::sort(hosts.begin(), hosts.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return hosts;
}

GroupConfig voters_of(const std::vector<NodeId>& nodes) {
  GroupConfig config;
  for (const NodeId& node : nodes) config.voters.push_back({node, 1});
  return config;
}

TEST(Placement, WithTwoHostsTheFounderVotesAndTheOtherLearns) {
  const auto hosts = some_hosts(2);
  for (const std::size_t founder : {0U, 1U}) {
    const Placement placement(hosts, 16, 3);
    const NodeId voter = hosts[founder].id;
    const PlacementTarget target = placement.target(GroupId{3}, voters_of({voter}), voter);
    EXPECT_EQ(target.voters, std::vector<NodeId>{voter});
    EXPECT_EQ(target.learners, std::vector<NodeId>{hosts[1 - founder].id});
  }
}

TEST(Placement, FromThreeHostsOnEveryGroupHasThreeVoters) {
  for (const std::size_t count : {3U, 4U, 5U, 9U, 40U}) {
    const auto hosts = some_hosts(count);
    const Placement placement(hosts, 256, 3);
    for (std::uint16_t g = 0; g < 256; ++g) {
      const auto target = placement.target(GroupId{g}, voters_of({hosts[0].id}), hosts[0].id);
      EXPECT_EQ(std::set<NodeId>(target.voters.begin(), target.voters.end()).size(), 3U);
      EXPECT_TRUE(target.learners.empty());
      EXPECT_NE(std::find(target.voters.begin(), target.voters.end(), target.leader),
                target.voters.end());
    }
  }
}

TEST(Placement, UsesFewDistinctSetsAndDealsGroupsEvenly) {
  for (const std::size_t count : {3U, 5U, 9U, 40U}) {
    const Placement placement(some_hosts(count), 256, 3);
    std::set<std::vector<NodeId>> sets;
    std::map<NodeId, int> leads;
    std::map<NodeId, int> seats;
    for (std::uint16_t g = 0; g < 256; ++g) {
      const auto target = placement.target(GroupId{g}, {}, {});
      sets.insert(target.voters);
      ++leads[target.leader];
      for (const NodeId& voter : target.voters) ++seats[voter];
    }
    EXPECT_LE(sets.size(), count);
    const double even = 256.0 / static_cast<double>(count);
    EXPECT_EQ(leads.size(), count);
    for (const auto& [node, led] : leads) {
      EXPECT_LE(led, std::ceil(even * (1 + Placement::kLoadSlack)));
      EXPECT_GE(led, std::floor(even * (1 - Placement::kLoadSlack)));
    }
    const double mean = 256.0 * 3 / static_cast<double>(count);
    for (const auto& [node, held] : seats) EXPECT_NEAR(held, mean, mean * 0.5 + 3);
  }
}

TEST(Placement, SpreadsVotersOverZones) {
  const auto hosts = some_hosts(9, 3);
  std::map<NodeId, std::string> zone;
  for (const PlacementHost& host : hosts) zone[host.id] = host.zone;
  const Placement placement(hosts, 64, 3);
  for (std::uint16_t g = 0; g < 64; ++g) {
    std::set<std::string> zones;
    for (const NodeId& voter : placement.target(GroupId{g}, {}, {}).voters) {
      zones.insert(zone[voter]);
    }
    EXPECT_EQ(zones.size(), 3U);
  }
}

TEST(Placement, AJoinMovesFewGroups) {
  auto hosts = some_hosts(10);
  const Placement after(hosts, 256, 3);
  hosts.erase(hosts.begin() + 4);
  const Placement before(hosts, 256, 3);
  int moved = 0;
  for (std::uint16_t g = 0; g < 256; ++g) {
    const auto old_set = before.target(GroupId{g}, {}, {}).voters;
    const auto new_set = after.target(GroupId{g}, {}, {}).voters;
    std::vector<NodeId> gone;
    std::set_difference(old_set.begin(), old_set.end(), new_set.begin(), new_set.end(),
                        std::back_inserter(gone));
    moved += static_cast<int>(gone.size());
  }
  // The newcomer's fair share is 3 * 256 / 10 seats.
  EXPECT_LT(moved, 3 * 256 / 10 * 2);
}

TEST(Placement, ADeadHostIsReplacedOnlyWhereAnotherCanTakeItsPlace) {
  auto four = some_hosts(4);
  four[2].state = State::kDead;
  const Placement enough(four, 8, 3);
  auto three = some_hosts(3);
  three[2].state = State::kDead;
  const Placement scarce(three, 8, 3);
  const GroupConfig all = voters_of({three[0].id, three[1].id, three[2].id});
  for (std::uint16_t g = 0; g < 8; ++g) {
    const auto replaced = enough.target(GroupId{g}, {}, {});
    EXPECT_EQ(std::count(replaced.voters.begin(), replaced.voters.end(), four[2].id), 0);
    EXPECT_EQ(replaced.voters.size(), 3U);
    const auto kept = scarce.target(GroupId{g}, all, three[0].id);
    EXPECT_EQ(kept.voters.size(), 3U) << "death never lowers the number";
  }
}

TEST(Placement, AnAbsentHostIsNoNewVoterWhileAnotherCanBe) {
  auto hosts = some_hosts(6, 2);
  hosts[1].state = State::kAbsent;
  hosts[4].state = State::kLeaving;
  const Placement placement(hosts, 64, 3);
  const NodeId absent = hosts[1].id;
  std::size_t kept = 0;
  for (std::uint16_t g = 0; g < 64; ++g) {
    const auto fresh = placement.target(GroupId{g}, voters_of({hosts[0].id}), hosts[0].id);
    EXPECT_EQ(std::count(fresh.voters.begin(), fresh.voters.end(), absent), 0);
    EXPECT_EQ(fresh.voters.size(), 3U);
    const auto voting = placement.target(GroupId{g}, voters_of({absent}), hosts[0].id);
    kept += std::count(voting.voters.begin(), voting.voters.end(), absent) > 0 ? 1 : 0;
  }
  EXPECT_GT(kept, 0U) << "a vote that it has it keeps";
  // Nodes forget the dead at different times, and must agree all the same.
  for (const State other : {State::kPresent, State::kDead}) {
    hosts[4].state = other;
    const auto idle = Placement(hosts, 64, 3);
    for (std::uint16_t g = 0; g < 64; ++g) {
      EXPECT_EQ(idle.target(GroupId{g}, voters_of({absent}), {}).voters,
                idle.target(GroupId{g}, voters_of({hosts[0].id}), {}).voters)
          << "where nobody leaves nothing moves for its absence";
    }
  }
  hosts.resize(3);
  const auto all = Placement(hosts, 64, 3).target(GroupId{1}, voters_of({hosts[0].id}), {});
  EXPECT_EQ(all.voters.size(), 3U) << "where there are no others it is waited for";
}

TEST(Placement, OnlyALeaveLowersTheNumberOfVoters) {
  auto hosts = some_hosts(3);
  hosts[1].state = State::kLeaving;
  const Placement placement(hosts, 4, 3);
  const GroupConfig all = voters_of({hosts[0].id, hosts[1].id, hosts[2].id});
  const auto target = placement.target(GroupId{0}, all, hosts[2].id);
  EXPECT_EQ(target.voters, std::vector<NodeId>{hosts[2].id});
  EXPECT_EQ(target.learners, std::vector<NodeId>{hosts[0].id});
}

TEST(Placement, ANewcomerNeverTakesTheVoteOfALiveFounder) {
  auto hosts = some_hosts(3);
  hosts[0].state = State::kDead;
  // Founder 1 votes alone, host 0 died while joining.
  const Placement placement(hosts, 4, 3);
  const auto target = placement.target(GroupId{0}, voters_of({hosts[1].id}), hosts[1].id);
  EXPECT_EQ(target.voters, std::vector<NodeId>{hosts[1].id});
  EXPECT_EQ(target.learners, std::vector<NodeId>{hosts[2].id});
}

TEST(Placement, TheHashCoversWhoIsThereAndNotTheDead) {
  auto hosts = some_hosts(5, 2);
  const std::uint64_t whole = Placement(hosts, 8, 3).hash();
  std::reverse(hosts.begin(), hosts.end());
  EXPECT_EQ(Placement(hosts, 8, 3).hash(), whole);
  hosts[0].zone = "elsewhere";
  EXPECT_NE(Placement(hosts, 8, 3).hash(), whole);
  hosts[0].state = State::kDead;
  const std::uint64_t without = Placement(hosts, 8, 3).hash();
  EXPECT_NE(without, whole);
  hosts[0].state = State::kAbsent;
  EXPECT_EQ(Placement(hosts, 8, 3).hash(), without);
  hosts.erase(hosts.begin());
  EXPECT_EQ(Placement(hosts, 8, 3).hash(), without);
}

TEST(Placement, NothingComesOfNoHosts) {
  EXPECT_TRUE(Placement({}, 8, 3).target(GroupId{1}, {}, {}).voters.empty());
}

}  // namespace
}  // namespace dunlin
