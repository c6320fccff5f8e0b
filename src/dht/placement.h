// Where the groups should live, computed by every node alone from the same view; leaders move
// their groups toward it (see mover.h). Pure functions.
//
// Voter sets are drawn from few copysets (Cidon et al., "Copysets", USENIX ATC 2013): the hosts
// stand in a ring by id, each heads one copyset of itself and its next successors in other zones.
// With n hosts there are n sets instead of n^3/6, so that hosts dying together rarely stop a
// group. Groups are dealt to the heads by rendezvous hashing with bounded loads (after Mirrokni,
// Thorup, Zadimoghaddam, SODA 2018; here bounded below too), so that a join moves few groups and no
// head gets many or few.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "dht/group_config.h"

namespace dunlin {

// A node that is not known to have left, as placement sees it.
struct PlacementHost {
  enum class State : std::uint8_t {
    kPresent,
    kAbsent,   // dead or unheard of, not for long: nothing is done about it yet
    kDead,     // is replaced where another can take its place
    kLeaving,  // is replaced, and lowers the number of hosts
  };
  NodeId id;
  std::string zone;
  State state = State::kPresent;
  bool operator==(const PlacementHost&) const = default;
};

struct PlacementTarget {
  std::vector<NodeId> voters;    // sorted, odd number
  std::vector<NodeId> learners;  // sorted
  NodeId leader;                 // preferred; none: whoever leads
};

class Placement {
 public:
  Placement() = default;
  // Distinct hosts, in any order; `voters` as in GroupsConfig.
  Placement(std::vector<PlacementHost> hosts, std::uint16_t group_count, std::uint32_t voters);

  // Equal where the same hosts are present and leaving. The dead are left out of it: nodes forget
  // them at different times.
  std::uint64_t hash() const { return hash_; }
  // Depends on the group's present configuration only where a host is absent while another leaves:
  // it is no new voter if one that is there can be; and where there are fewer present hosts than
  // voters are wanted: then nobody is dropped for being dead.
  PlacementTarget target(GroupId group, const GroupConfig& present, const NodeId& leader) const;
  PlacementHost::State state_of(const NodeId& node) const;  // kLeaving when not a host

  static constexpr double kLoadSlack = 0.1;  // heads get the mean, or up to this part more or less

 private:
  std::vector<NodeId> copyset_of(std::size_t head, const GroupConfig& present) const;
  void deal(std::uint16_t group_count);

  std::vector<PlacementHost> hosts_;    // sorted by id
  std::vector<PlacementHost> present_;  // and absent: those that count
  bool somebody_leaves_ = false;        // a host that is leaving
  std::uint32_t wanted_ = 1;            // voters of a group
  std::uint64_t hash_ = 0;
  std::vector<std::size_t> head_;  // per group, index into present_; empty with too few hosts
};

}  // namespace dunlin
