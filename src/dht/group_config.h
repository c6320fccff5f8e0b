// Who votes in a group: its own installed configuration, the only thing a quorum is ever counted
// in. A joint configuration (`outgoing` not empty) needs a majority of both voter sets for every
// decision. (Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 4.3.)
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"

namespace dunlin {

// Which replica of a group on one node: the log index of the configuration entry that added it.
// A replica that was removed and added again is a stranger to its former self.
using Generation = std::uint64_t;

struct Seat {
  NodeId node;
  Generation generation = 0;
  auto operator<=>(const Seat&) const = default;
  static constexpr auto fields() { return Fields<&Seat::node, &Seat::generation>{}; }
};

struct GroupConfig {
  static constexpr std::size_t kMaxSeats = 9;  // in each of the three

  std::vector<Seat> voters;    // the incoming ones, if joint
  std::vector<Seat> outgoing;  // the voters to be left behind; empty unless joint
  std::vector<Seat> learners;  // get all entries, have no vote; never also in `voters`

  bool operator==(const GroupConfig&) const = default;
  static constexpr auto fields() {
    return Fields<&GroupConfig::voters, &GroupConfig::outgoing, &GroupConfig::learners>{};
  }

  bool is_joint() const { return !outgoing.empty(); }
  // Sorted, distinct, within limits, at least one voter: false for bytes from a stranger.
  bool is_valid() const;
  bool is_voter(const Seat& seat) const;  // in either set
  bool contains(const Seat& seat) const;
  // The generation of a node's replica here; 0 when it has none.
  Generation generation_of(const NodeId& node) const;
  // Every seat once, sorted.
  std::vector<Seat> seats() const;
  // Voters of both sets once, sorted.
  std::vector<Seat> all_voters() const;

  // Does a majority (of each set) satisfy `agrees(seat)`?
  template <class Predicate>
  bool has_quorum(Predicate agrees) const {
    return majority(voters, agrees) && (outgoing.empty() || majority(outgoing, agrees));
  }

  // The highest value that a majority (of each set) has reached, given each seat's.
  template <class Function>
  std::uint64_t quorum_value(Function value_of) const {
    const std::uint64_t incoming = median(values(voters, value_of));
    return outgoing.empty() ? incoming : std::min(incoming, median(values(outgoing, value_of)));
  }

 private:
  template <class Predicate>
  static bool majority(const std::vector<Seat>& seats, Predicate& agrees) {
    std::size_t count = 0;
    for (const Seat& seat : seats) count += agrees(seat) ? 1U : 0U;
    return count > seats.size() / 2;
  }
  template <class Function>
  static std::vector<std::uint64_t> values(const std::vector<Seat>& seats, Function& value_of) {
    std::vector<std::uint64_t> found;
    found.reserve(seats.size());
    for (const Seat& seat : seats) found.push_back(value_of(seat));
    return found;
  }
  static std::uint64_t median(std::vector<std::uint64_t> values);
};

}  // namespace dunlin
