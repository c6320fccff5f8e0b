// The table of members: what is believed of each, digests of it for exchanges, and fair choices
// among them. It knows which belief is newer, and nothing of how beliefs come about.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "base/time.h"
#include "gossip/member.h"
#include "gossip/messages.h"

namespace dunlin::gossip {

constexpr std::size_t kMaxMembers = 10'000;
// Earlier than anything that happens.
constexpr Instant kLongAgo{std::numeric_limits<std::int64_t>::min() / 4};

// What a node knows of a member besides what it shows to others.
struct Peer {
  Boot card_boot = 0;
  std::uint32_t card_version = 0;
  std::uint64_t life = 0;
  std::uint32_t load_sequence = 0;
  std::uint8_t patience = 0;
  std::uint64_t hash = 0;        // its part of the digest
  Instant heard_at = kLongAgo;   // the last frame from it
  Instant missed_at = kLongAgo;  // when an own probe of it last ended unanswered
  Instant told_at = kLongAgo;    // when it was last sent what is believed of it
};

class Roster {
 public:
  using Filter = std::function<bool(const Member&)>;

  Roster(NodeId self, Random random) : self_(self), random_(random) {}

  const std::map<NodeId, Member>& members() const { return members_; }
  const Member* find(NodeId node) const;
  // The member must be there.
  Peer& peer(NodeId node);
  const Peer& peer(NodeId node) const;
  Standing standing(NodeId node) const;
  // Alive or suspect, this node included.
  std::size_t active_count() const { return active_count_; }

  // False when the table is full.
  bool add(Instant now, const Card& card, const Standing& standing, Duration age);
  void set_card(NodeId node, const Card& card);
  void set_standing(Instant now, NodeId node, const Standing& standing, Duration age);
  void set_load(Instant at, NodeId node, std::uint32_t sequence, const Load& load);
  void erase(NodeId node);
  // Removes those who left `keep` ago.
  void reap(Instant now, Duration keep);

  // Equal digests mean equal beliefs, but for suspicions and loads, which come and go.
  std::uint64_t digest() const { return digest_; }
  std::vector<std::uint64_t> bucket_digests(std::size_t count) const;
  // Which of `count` (a power of two) shares of all ids the node is in.
  static std::uint32_t bucket_of(NodeId node, std::size_t count);
  Record record(Instant now, NodeId node) const;

  // Up to `count` different members that pass, at random; never this node.
  std::vector<NodeId> pick(std::size_t count, const Filter& filter);
  // Goes round all members in an order that is shuffled each time (SWIM 4.3).
  std::optional<NodeId> next_in_turn(const Filter& filter);

 private:
  void rehash(NodeId node);
  void enter_order(NodeId node);

  const NodeId self_;
  Random random_;
  std::map<NodeId, Member> members_;
  std::map<NodeId, Peer> peers_;
  std::vector<NodeId> order_;
  std::size_t turn_ = 0;
  std::size_t active_count_ = 0;
  std::uint64_t digest_ = 0;
};

}  // namespace dunlin::gossip
