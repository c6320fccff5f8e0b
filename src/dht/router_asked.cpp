// The asker's side: whom to ask, when to ask again, when to give up.
#include <algorithm>

#include "base/assert.h"
#include "dht/router_parts.h"

namespace dunlin {

namespace {

constexpr Duration kAskAgainAfter = milliseconds(250);  // nobody said that it was taken
constexpr Duration kCheckTaken = seconds(5);            // it was, but its answer may be lost
constexpr Duration kFirstPause = milliseconds(30);      // all candidates denied
constexpr Duration kLongestPause = milliseconds(500);
constexpr std::uint32_t kMaxUnanswered = 2;
constexpr std::uint32_t kMaxRedirects = 6;
constexpr std::size_t kMaxCandidates = 16;

}  // namespace

// Voters first, then whom placement would make voters, then anybody: all can say who knows.
std::vector<NodeId> Router::Parts::candidates(const Asked& one) const {
  std::vector<NodeId> found;
  const auto add = [&](const NodeId& node) {
    if (found.size() >= kMaxCandidates) return;
    if (std::find(found.begin(), found.end(), node) == found.end()) found.push_back(node);
  };
  const std::optional<GroupConfig> config = groups.config(one.group);
  if (config) {
    for (const Seat& seat : config->all_voters()) add(seat.node);
  }
  for (const NodeId& node : one.voters) add(node);
  const Mover& mover = groups.parts_->mover;
  for (const NodeId& node : mover.placement().target(one.group, {}, self).voters) add(node);
  const std::size_t count = mover.members().size();
  const std::size_t start = count == 0 ? 0 : (one.id * 7919) % count;
  for (std::size_t i = 0; i < count; ++i) {
    const GroupMember& member = mover.members()[(start + i) % count];
    if (member.state == GroupMemberState::kAlive) add(member.id);
  }
  return found;
}

std::optional<NodeId> Router::Parts::pick(const Asked& one) const {
  const auto usable = [&](const NodeId& node) {
    return !node.is_none() && !one.tried.contains(node) && !groups.parts_->peers.is_suspected(node);
  };
  if (groups.is_leading(one.group)) return self;
  if (usable(one.hint)) return one.hint;
  const std::optional<NodeId> leader = groups.leader(one.group);
  if (leader && usable(*leader)) return leader;
  const std::vector<NodeId> others = candidates(one);
  for (const NodeId& node : others) {
    if (usable(node)) return node;
  }
  // Liveness may be wrong about the rest.
  for (const NodeId& node : others) {
    if (!one.tried.contains(node)) return node;
  }
  return std::nullopt;
}

void Router::Parts::set_due(Asked& one, Instant at) {
  asked_due.erase({one.due, one.id});
  one.due = std::min(at, one.deadline);
  asked_due.insert({one.due, one.id});
}

void Router::Parts::pause(Instant now, Asked& one) {
  one.pause = std::clamp(one.pause * 2, kFirstPause, kLongestPause);
  one.target.reset();
  one.tried.clear();
  one.redirects = 0;
  one.hint = NodeId{};
  set_due(one, now + random.between(one.pause / 2, one.pause));
}

void Router::Parts::ask(Instant now, Asked& one, Effects& out) {
  const std::optional<NodeId> target = pick(one);
  if (!target || one.redirects >= kMaxRedirects) {
    pause(now, one);
    return;
  }
  if (one.target != target) one.unanswered = 0;
  ++one.redirects;
  one.target = target;
  one.target_boot = groups.parts_->peers.boot(*target);
  one.taken = false;
  set_due(one, now + kAskAgainAfter);
  send(*target,
       RouterAsk{groups.parts_->boot, one.id, one.group, one.deadline - now, one.denied, one.body},
       out);
}

void Router::Parts::tick_asked(Instant now, Asked& one, Effects& out) {
  if (now >= one.deadline) {
    time_out(one, out);
    return;
  }
  if (one.target && !one.taken && ++one.unanswered >= kMaxUnanswered) {
    // It may not lead any more, or not be there: let the replica here find out.
    groups.parts_->doubt(now, one.group, *one.target, out);
    one.tried.insert(*one.target);
    one.denied = *one.target;
  }
  one.redirects = 0;
  ask(now, one, out);
}

// Somebody leads, or was suspected, or restarted: requests that wait for the wrong node move on.
void Router::Parts::leaders_changed(Instant now, Effects& out) {
  seen_version = groups.parts_->route_version;
  for (auto& [id, one] : asked) {
    const bool lost = one.target && (groups.parts_->peers.is_suspected(*one.target) ||
                                     groups.parts_->peers.boot(*one.target) != one.target_boot);
    const std::optional<NodeId> leader = groups.leader(one.group);
    if (!lost && (!leader || leader == one.target)) continue;
    one.tried.clear();
    one.redirects = 0;
    one.pause = Duration{};
    ask(now, one, out);
  }
  std::vector<std::uint64_t> over;
  for (const auto& [handle, held] : served) {
    if (groups.leading_term(held.group) != held.term) over.push_back(handle);
  }
  for (const std::uint64_t handle : over) {
    const Served held = served.at(handle);
    drop_served(handle);
    send_elsewhere(held.from, held.id, held.group, out);
  }
}

void Router::Parts::time_out(const Asked& one, Effects& out) {
  if (one.target && one.taken) send(*one.target, RouterForget{one.id}, out);
  std::set<NodeId> voters = one.voters;
  const std::optional<GroupConfig> config = groups.config(one.group);
  if (config) {
    for (const Seat& seat : config->all_voters()) voters.insert(seat.node);
  }
  std::string missing;
  for (const NodeId& node : voters) {
    const auto& members = groups.parts_->mover.members();
    const bool is_dead = std::any_of(members.begin(), members.end(), [&](const GroupMember& m) {
      return m.id == node && m.state != GroupMemberState::kAlive &&
             m.state != GroupMemberState::kLeaving;
    });
    if (!is_dead && !groups.parts_->peers.is_suspected(node)) continue;
    missing += (missing.empty() ? "" : ", ") + node.text();
  }
  std::string text = "group " + std::to_string(one.group.value) + " did not answer in time";
  if (!missing.empty()) text += "; of its hosts these are missing: " + missing;
  finish(one.id,
         fail(Code::kTimeout, std::move(text),
              missing.empty() ? "see: dunlin doctor" : "start them again, or see: dunlin doctor"));
}

void Router::Parts::finish(std::uint64_t id, Result<Bytes> result) {
  const auto found = asked.find(id);
  events.emplace_back(RouterReply{found->second.token, std::move(result)});
  asked_due.erase({found->second.due, id});
  by_token.erase(found->second.token);
  asked.erase(found);
}

// Only the node asked last may answer, so that a late "not I" of another changes nothing.
Router::Parts::Asked* Router::Parts::asked_of(const NodeId& from, std::uint64_t id) {
  const auto found = asked.find(id);
  if (found == asked.end() || found->second.target != from) return nullptr;
  return &found->second;
}

void Router::Parts::accept(Instant now, const NodeId& from, RouterTaken& message, Effects&) {
  Asked* one = asked_of(from, message.id);
  if (one == nullptr) return;
  one->taken = true;
  one->unanswered = 0;
  one->pause = Duration{};
  set_due(*one, now + kCheckTaken);
}

void Router::Parts::accept(Instant, const NodeId&, RouterAnswer& message, Effects&) {
  // Whoever led when it answered did what was asked: that holds, whoever is asked by now.
  if (asked.contains(message.id)) finish(message.id, std::move(message.body));
}

void Router::Parts::accept(Instant, const NodeId&, RouterRefusal& message, Effects&) {
  if (!asked.contains(message.id)) return;
  const auto code = message.code > static_cast<std::uint8_t>(Code::kFailed)
                        ? Code::kFailed
                        : static_cast<Code>(message.code);
  finish(message.id, fail(code, std::move(message.message), std::move(message.hint)));
}

void Router::Parts::accept(Instant now, const NodeId& from, RouterElsewhere& message,
                           Effects& out) {
  Asked* one = asked_of(from, message.id);
  if (one == nullptr) return;
  one->tried.insert(from);
  one->denied = from;
  for (const NodeId& node : message.voters) {
    if (one->voters.size() < kMaxCandidates) one->voters.insert(node);
  }
  if (!message.leader.is_none() && message.term >= one->hint_term) {
    // A later leader may be one that denied before it was elected.
    if (message.term > one->hint_term) one->tried.erase(message.leader);
    one->hint_term = message.term;
    one->hint = message.leader;
  }
  if (from != self) groups.parts_->doubt(now, one->group, from, out);
  ask(now, *one, out);
}

}  // namespace dunlin
