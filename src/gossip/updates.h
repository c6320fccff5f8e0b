// What spreads as a rumour, and its order of age. Updates are encoded separately and ride in any
// message, so that a reader skips one that it does not understand and keeps the others, and a
// sender encodes a rumour once for all receivers.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/result.h"
#include "gossip/member.h"

namespace dunlin::gossip {

constexpr std::size_t kMaxAccusers = 4;  // named by a suspicion
constexpr std::uint8_t kMaxPatience = 8;

// The version of what is believed of a member. Only the member itself raises its incarnation (to
// refute) and its boot (by restarting).
struct Standing {
  Boot boot = 0;
  std::uint64_t incarnation = 0;
  MemberState state = MemberState::kAlive;
  // A member who had to refute more than once asks to be waited for 1 + this times as long.
  std::uint8_t patience = 0;
  bool operator==(const Standing&) const = default;
  static constexpr auto fields() {
    using S = Standing;
    return Fields<&S::boot, &S::incarnation, &S::state, &S::patience>{};
  }
};

// A higher boot wins; then having left; then the incarnation; then the graver state.
bool supersedes(const Standing& newer, const Standing& older);

// What a member says of itself. `life` is drawn at start: two processes that run the same boot of
// one directory differ in it.
struct Card {
  NodeFacts facts;
  Boot boot = 0;
  std::uint32_t version = 0;
  std::uint64_t life = 0;
  static constexpr auto fields() {
    return Fields<&Card::facts, &Card::boot, &Card::version, &Card::life>{};
  }
};

struct Status {
  NodeId node;
  Standing standing;
  std::vector<NodeId> accusers;  // of a suspicion: who got no answer himself
  static constexpr auto fields() {
    return Fields<&Status::node, &Status::standing, &Status::accusers>{};
  }
};

struct Introduction {
  Card card;
  Standing standing;
  static constexpr auto fields() { return Fields<&Introduction::card, &Introduction::standing>{}; }
};

struct LoadReport {
  NodeId node;
  Boot boot = 0;
  std::uint32_t sequence = 0;
  std::uint32_t load_class = 0;
  static constexpr auto fields() {
    using L = LoadReport;
    return Fields<&L::node, &L::boot, &L::sequence, &L::load_class>{};
  }
};

using Update = std::variant<Status, Introduction, LoadReport, Route>;

Bytes encode_update(const Update& update);
// kCorrupt when it is none, or breaks a limit.
Result<Update> decode_update(ByteView bytes);

bool is_valid(const Standing& standing);
bool is_valid(const Card& card);
bool is_valid(const Introduction& introduction);

}  // namespace dunlin::gossip
