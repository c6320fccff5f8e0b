#include "gossip/roster.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/crypto.h"

namespace dunlin::gossip {

namespace {

bool is_active(MemberState state) {
  return state == MemberState::kAlive || state == MemberState::kSuspect;
}

std::uint32_t whole_seconds(Duration age) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(age.us / 1'000'000, 0, ~0U));
}

}  // namespace

const Member* Roster::find(NodeId node) const {
  const auto found = members_.find(node);
  return found == members_.end() ? nullptr : &found->second;
}

Peer& Roster::peer(NodeId node) {
  const auto found = peers_.find(node);
  ASSERT(found != peers_.end());
  return found->second;
}

const Peer& Roster::peer(NodeId node) const {
  const auto found = peers_.find(node);
  ASSERT(found != peers_.end());
  return found->second;
}

Standing Roster::standing(NodeId node) const {
  const Member& member = members_.at(node);
  return {member.boot, member.incarnation, member.state, peer(node).patience};
}

bool Roster::add(Instant now, const Card& card, const Standing& standing, Duration age) {
  if (members_.size() >= kMaxMembers) return false;
  const NodeId node = card.facts.id;
  ASSERT(!members_.contains(node));
  Member member;
  member.state = MemberState::kDead;  // so that set_standing counts it if it is active
  member.since = now - age;
  members_.emplace(node, std::move(member));
  peers_.emplace(node, Peer{});
  if (node != self_) enter_order(node);
  set_card(node, card);
  set_standing(now, node, standing, age);
  return true;
}

void Roster::set_card(NodeId node, const Card& card) {
  Peer& known = peer(node);
  known.card_boot = card.boot;
  known.card_version = card.version;
  known.life = card.life;
  members_.at(node).facts = card.facts;
  rehash(node);
}

void Roster::set_standing(Instant now, NodeId node, const Standing& standing, Duration age) {
  Member& member = members_.at(node);
  if (member.state != standing.state) member.since = now - age;
  if (member.boot != standing.boot) {
    member.load = {};
    member.load_at = {};
    peer(node).load_sequence = 0;
  }
  active_count_ -= is_active(member.state) ? 1 : 0;
  active_count_ += is_active(standing.state) ? 1 : 0;
  member.state = standing.state;
  member.boot = standing.boot;
  member.incarnation = standing.incarnation;
  peer(node).patience = standing.patience;
  rehash(node);
}

void Roster::set_load(Instant at, NodeId node, std::uint32_t sequence, const Load& load) {
  Member& member = members_.at(node);
  const bool was_draining = member.load.draining;
  member.load = load;
  member.load_at = at;
  peer(node).load_sequence = sequence;
  if (load.draining != was_draining) rehash(node);
}

void Roster::erase(NodeId node) {
  ASSERT(node != self_);
  const Member* member = find(node);
  if (member == nullptr) return;
  active_count_ -= is_active(member->state) ? 1 : 0;
  digest_ ^= peer(node).hash;
  members_.erase(node);
  peers_.erase(node);
  const auto place = std::find(order_.begin(), order_.end(), node);
  ASSERT(place != order_.end());
  order_.erase(place);
}

void Roster::reap(Instant now, Duration keep) {
  std::vector<NodeId> gone;
  for (const auto& [node, member] : members_) {
    if (node != self_ && member.state == MemberState::kLeft && now - member.since >= keep) {
      gone.push_back(node);
    }
  }
  for (const NodeId node : gone) erase(node);
}

// A suspect counts as alive here: suspicions end by themselves within seconds, and an exchange
// for their sake would come too late. Of the load, which is soon another, only what stays is
// compared.
void Roster::rehash(NodeId node) {
  const Member& member = members_.at(node);
  Peer& known = peer(node);
  Bytes bytes;
  Encoder out(bytes);
  put(out, node);
  put(out, member.boot);
  put(out, member.incarnation);
  put(out, is_active(member.state) ? MemberState::kAlive : member.state);
  put(out, known.card_boot);
  put(out, known.card_version);
  put(out, known.life);
  if (member.load.draining) put(out, true);
  digest_ ^= known.hash;
  known.hash = blake2b_64(bytes);
  digest_ ^= known.hash;
}

std::uint32_t Roster::bucket_of(NodeId node, std::size_t count) {
  ASSERT(std::has_single_bit(count));
  return get_u32(node.raw.data()) & static_cast<std::uint32_t>(count - 1);
}

std::vector<std::uint64_t> Roster::bucket_digests(std::size_t count) const {
  std::vector<std::uint64_t> digests(count, 0);
  for (const auto& [node, known] : peers_) digests[bucket_of(node, count)] ^= known.hash;
  return digests;
}

Record Roster::record(Instant now, NodeId node) const {
  const Member& member = members_.at(node);
  const Peer& known = peer(node);
  Record record;
  record.card = {member.facts, known.card_boot, known.card_version, known.life};
  record.standing = standing(node);
  record.age_s = whole_seconds(now - member.since);
  record.load_sequence = known.load_sequence;
  record.load_class = load_class(member.load);
  record.load_age_s = whole_seconds(now - member.load_at);
  return record;
}

std::vector<NodeId> Roster::pick(std::size_t count, const Filter& filter) {
  std::vector<NodeId> picked;
  if (order_.empty()) return picked;
  // Chance finds one fast while most pass. Where few do, the walk round finds them all.
  for (std::size_t tries = 4 * count; tries > 0 && picked.size() < count; --tries) {
    const NodeId node = order_[random_.below(order_.size())];
    if (!filter(members_.at(node))) continue;
    if (std::find(picked.begin(), picked.end(), node) == picked.end()) picked.push_back(node);
  }
  const std::size_t start = random_.below(order_.size());
  for (std::size_t i = 0; i < order_.size() && picked.size() < count; ++i) {
    const NodeId node = order_[(start + i) % order_.size()];
    if (!filter(members_.at(node))) continue;
    if (std::find(picked.begin(), picked.end(), node) == picked.end()) picked.push_back(node);
  }
  return picked;
}

std::optional<NodeId> Roster::next_in_turn(const Filter& filter) {
  for (std::size_t i = 0; i < order_.size(); ++i) {
    if (turn_ >= order_.size()) {
      random_.shuffle(order_);
      turn_ = 0;
    }
    const NodeId node = order_[turn_++];
    if (filter(members_.at(node))) return node;
  }
  return std::nullopt;
}

// At a random place, so that a newcomer is not always probed last.
void Roster::enter_order(NodeId node) {
  order_.push_back(node);
  std::swap(order_.back(), order_[random_.below(order_.size())]);
}

}  // namespace dunlin::gossip
