#include "dht/group_config.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

bool is_proper(const std::vector<Seat>& seats) {
  const auto not_ascending = [](const Seat& a, const Seat& b) { return a.node >= b.node; };
  return seats.size() <= GroupConfig::kMaxSeats &&
         std::adjacent_find(seats.begin(), seats.end(), not_ascending) == seats.end();
}

bool holds(const std::vector<Seat>& seats, const Seat& seat) {
  return std::find(seats.begin(), seats.end(), seat) != seats.end();
}

std::vector<Seat> merged(std::vector<Seat> seats) {
  std::sort(seats.begin(), seats.end());
  seats.erase(std::unique(seats.begin(), seats.end()), seats.end());
  return seats;
}

}  // namespace

bool GroupConfig::is_valid() const {
  if (voters.empty() || !is_proper(voters) || !is_proper(outgoing) || !is_proper(learners)) {
    return false;
  }
  // A node has one replica of a group: the same generation wherever it appears.
  const std::vector<Seat> all = seats();
  const auto same_node = [](const Seat& a, const Seat& b) { return a.node == b.node; };
  if (std::adjacent_find(all.begin(), all.end(), same_node) != all.end()) return false;
  return std::none_of(learners.begin(), learners.end(),
                      [&](const Seat& seat) { return is_voter(seat); });
}

bool GroupConfig::is_voter(const Seat& seat) const {
  return holds(voters, seat) || holds(outgoing, seat);
}

bool GroupConfig::contains(const Seat& seat) const {
  return is_voter(seat) || holds(learners, seat);
}

Generation GroupConfig::generation_of(const NodeId& node) const {
  for (const auto* set : {&voters, &outgoing, &learners}) {
    for (const Seat& seat : *set) {
      if (seat.node == node) return seat.generation;
    }
  }
  return 0;
}

std::vector<Seat> GroupConfig::seats() const {
  std::vector<Seat> all = voters;
  all.insert(all.end(), outgoing.begin(), outgoing.end());
  all.insert(all.end(), learners.begin(), learners.end());
  return merged(std::move(all));
}

std::vector<Seat> GroupConfig::all_voters() const {
  std::vector<Seat> all = voters;
  all.insert(all.end(), outgoing.begin(), outgoing.end());
  return merged(std::move(all));
}

std::uint64_t GroupConfig::median(std::vector<std::uint64_t> values) {
  ASSERT(!values.empty());
  // With n values in descending order, the one at n/2 is reached by n/2 + 1 of them.
  std::sort(values.begin(), values.end(), std::greater<>());
  return values[values.size() / 2];
}

}  // namespace dunlin
