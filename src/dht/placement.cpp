#include "dht/placement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crypto.h"
#include "base/random.h"
#include "dht/ring.h"

namespace dunlin {

namespace {

constexpr std::size_t kFewestForCopysets = 3;

// How much a host wants a group: the same everywhere, and as good as chance.
std::uint64_t score(const NodeId& host, std::uint16_t group) {
  return mix64(Ring::position_of(host) + (group + 1U) * kGolden64);
}

std::size_t odd_up_to(std::size_t count) {
  return count == 0 ? 0 : (count - 1) / 2 * 2 + 1;
}

std::uint64_t hash_of(const std::vector<PlacementHost>& hosts) {
  Blake2b digest(32);
  for (const PlacementHost& host : hosts) {
    if (host.state == PlacementHost::State::kAbsent || host.state == PlacementHost::State::kDead) {
      continue;
    }
    std::array<std::uint8_t, 9> rest{};
    put_u64(rest.data(), host.zone.size());
    rest[8] = static_cast<std::uint8_t>(host.state);
    digest.update(host.id.bytes());
    digest.update(rest);
    digest.update(as_bytes(host.zone));
  }
  std::array<std::uint8_t, 32> out{};
  digest.finish(out);
  return get_u64(out.data());
}

bool counts(PlacementHost::State state) {
  return state == PlacementHost::State::kPresent || state == PlacementHost::State::kAbsent;
}

bool votes_in(const GroupConfig& config, const NodeId& node) {
  const std::vector<Seat> voters = config.all_voters();
  return std::any_of(voters.begin(), voters.end(),
                     [&](const Seat& seat) { return seat.node == node; });
}

bool holds(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Placement::Placement(std::vector<PlacementHost> hosts, std::uint16_t group_count,
                     std::uint32_t voters)
    : hosts_(std::move(hosts)) {
  std::sort(hosts_.begin(), hosts_.end(),
            [](const PlacementHost& a, const PlacementHost& b) { return a.id < b.id; });
  hash_ = hash_of(hosts_);
  std::size_t staying = 0;
  for (const PlacementHost& host : hosts_) {
    staying += host.state == PlacementHost::State::kLeaving ? 0U : 1U;
    if (counts(host.state)) present_.push_back(host);
    somebody_leaves_ = somebody_leaves_ || host.state == PlacementHost::State::kLeaving;
  }
  wanted_ = static_cast<std::uint32_t>(odd_up_to(std::min<std::size_t>(voters, staying)));
  if (present_.size() >= std::max<std::size_t>(wanted_, kFewestForCopysets)) deal(group_count);
}

PlacementHost::State Placement::state_of(const NodeId& node) const {
  for (const PlacementHost& host : hosts_) {
    if (host.id == node) return host.state;
  }
  return PlacementHost::State::kLeaving;
}

// While somebody leaves, an absent host keeps the vote it has, but can be given none: who waited
// for it could not leave. The dead do not count here, as nodes forget them at different times.
std::vector<NodeId> Placement::copyset_of(std::size_t head, const GroupConfig& present) const {
  std::vector<NodeId> chosen;
  std::vector<NodeId> passed_over;
  std::vector<NodeId> out_of_reach;
  std::set<std::string> zones;
  for (std::size_t step = 0; step < present_.size() && chosen.size() < wanted_; ++step) {
    const PlacementHost& host = present_[(head + step) % present_.size()];
    const bool is_absent = host.state == PlacementHost::State::kAbsent;
    if (is_absent && somebody_leaves_ && !votes_in(present, host.id)) {
      out_of_reach.push_back(host.id);
    } else {
      (zones.insert(host.zone).second ? chosen : passed_over).push_back(host.id);
    }
  }
  for (const std::vector<NodeId>& others : {passed_over, out_of_reach}) {
    for (const NodeId& node : others) {
      if (chosen.size() < wanted_) chosen.push_back(node);
    }
  }
  return chosen;
}

// Once the groups that are left are no more than what the heads with few still lack, they get them.
void Placement::deal(std::uint16_t group_count) {
  const double mean = static_cast<double>(group_count) / static_cast<double>(present_.size());
  const auto most = static_cast<std::size_t>(std::ceil(mean * (1 + kLoadSlack)));
  const auto least = static_cast<std::size_t>(std::floor(mean * (1 - kLoadSlack)));
  std::vector<std::size_t> load(present_.size());
  std::size_t lacking = least * present_.size();
  for (std::uint16_t group = 0; group < group_count; ++group) {
    const std::size_t left = group_count - std::size_t{group};
    const std::size_t limit = left > lacking ? most : least;
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < present_.size(); ++i) {
      if (load[i] >= limit) continue;
      if (!best || score(present_[i].id, group) > score(present_[*best].id, group)) best = i;
    }
    ASSERT(best);
    if (load[*best] < least) --lacking;
    ++load[*best];
    head_.push_back(*best);
  }
}

PlacementTarget Placement::target(GroupId group, const GroupConfig& present,
                                  const NodeId& leader) const {
  PlacementTarget target;
  if (group.value < head_.size()) {
    target.voters = copyset_of(head_[group.value], present);
    target.leader = target.voters.front();
  } else {
    // Too few hosts to choose: whoever votes goes on, the leader first; the others learn.
    std::vector<NodeId> order;
    const auto add = [&](const NodeId& node) {
      if (!holds(order, node)) order.push_back(node);
    };
    if (counts(state_of(leader))) add(leader);
    for (const Seat& seat : present.voters) {
      if (counts(state_of(seat.node))) add(seat.node);
    }
    for (const PlacementHost& host : present_) add(host.id);
    for (const Seat& seat : present.voters) {
      if (state_of(seat.node) == PlacementHost::State::kDead) add(seat.node);
    }
    const std::size_t voters = odd_up_to(std::min<std::size_t>(wanted_, order.size()));
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i < voters) {
        target.voters.push_back(order[i]);
      } else if (counts(state_of(order[i]))) {
        target.learners.push_back(order[i]);
      }
    }
  }
  std::sort(target.voters.begin(), target.voters.end());
  std::sort(target.learners.begin(), target.learners.end());
  return target;
}

}  // namespace dunlin
