// The leader's side: requests taken, answered, handed on when it leads no more.
#include <algorithm>

#include "base/assert.h"
#include "dht/router_parts.h"

namespace dunlin {

namespace {

// An answer before this spares the message that it was taken.
constexpr Duration kTellTaken = milliseconds(100);

}  // namespace

void Router::Parts::send_elsewhere(const NodeId& to, std::uint64_t id, GroupId group,
                                   Effects& out) {
  RouterElsewhere message{id, 0, {}, {}};
  const std::optional<NodeId> leader = groups.leader(group);
  if (leader && *leader != self) {
    message.leader = *leader;
    message.term = groups.parts_->route_term(group);
  }
  const std::optional<GroupConfig> config = groups.config(group);
  if (config) {
    for (const Seat& seat : config->all_voters()) message.voters.push_back(seat.node);
  }
  send(to, std::move(message), out);
}

void Router::Parts::accept(Instant now, const NodeId& from, RouterAsk& message, Effects& out) {
  const auto known = by_source.find({from, message.boot, message.id});
  if (known != by_source.end()) {
    if (from != self) send(from, RouterTaken{message.id}, out);
    return;
  }
  if (!groups.is_leading(message.group)) {
    // A request that found no leader wakes the group: whoever it tried is asked whether it leads.
    const std::optional<NodeId> leader = groups.leader(message.group);
    if (leader && *leader == message.denied) {
      groups.parts_->doubt(now, message.group, message.denied, out);
    }
    send_elsewhere(from, message.id, message.group, out);
    return;
  }
  if (served.size() >= kMaxServed || message.body.size() > kMaxBody) {
    send(from,
         RouterRefusal{message.id,
                       static_cast<std::uint8_t>(Code::kLimit),
                       "the node that leads the group has too many requests to handle",
                       {}},
         out);
    return;
  }
  const std::uint64_t handle = ++next_handle;
  const Duration wait = std::clamp(message.wait, Duration{}, kMaxWait);
  Served held{from,
              message.boot,
              message.id,
              message.group,
              groups.leading_term(message.group),
              now + wait,
              false,
              now + std::min(wait, kTellTaken)};
  served_due.insert({held.due, handle});
  by_source[{from, message.boot, message.id}] = handle;
  events.emplace_back(
      RouterRequest{handle, from, message.group, std::move(message.body), held.deadline});
  served.emplace(handle, held);
}

void Router::Parts::accept(Instant, const NodeId& from, RouterForget& message, Effects&) {
  const auto found = by_source.lower_bound({from, 0, 0});
  for (auto at = found; at != by_source.end() && std::get<0>(at->first) == from; ++at) {
    if (std::get<2>(at->first) != message.id) continue;
    drop_served(at->second);
    return;
  }
}

void Router::Parts::tick_served(Instant now, std::uint64_t handle, Effects& out) {
  Served& held = served.at(handle);
  if (now >= held.deadline) {
    drop_served(handle);
    return;
  }
  if (!held.told) send(held.from, RouterTaken{held.id}, out);
  held.told = true;
  served_due.erase({held.due, handle});
  held.due = held.deadline;
  served_due.insert({held.due, handle});
}

void Router::Parts::drop_served(std::uint64_t handle) {
  const auto found = served.find(handle);
  ASSERT(found != served.end());
  served_due.erase({found->second.due, handle});
  by_source.erase({found->second.from, found->second.boot, found->second.id});
  served.erase(found);
}

}  // namespace dunlin
