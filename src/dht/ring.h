// The ring: who is near a position, as every node computes it alone from the same members. It
// finds and suggests; it never defines a quorum (that is a group's own configuration).
//
// Each node owns virtual tokens in proportion to its weight; what lies at a position belongs to
// the nodes of the next tokens clockwise. The tokens of a node depend on its id alone, so a join
// or a leave moves only what the newcomer takes or the leaver had. One exception: the number of
// tokens per unit of weight follows the median weight in powers of two, and moves up to half of
// everything when the median crosses one. (Karger et al., STOC 1997; DeCandia et al., SOSP 2007.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace dunlin {

struct RingNode {
  NodeId id;
  std::string zone;
  std::uint64_t weight = 1;  // any unit, the same for all; 0 owns nothing
  bool operator==(const RingNode&) const = default;
};

class Ring {
 public:
  // A node of the median weight gets this many tokens, or up to twice as many.
  static constexpr std::size_t kTokensPerNode = 256;
  static constexpr std::size_t kMaxTokensPerNode = 16 * kTokensPerNode;

  Ring() = default;
  // Ids must be distinct; their order does not matter.
  explicit Ring(std::vector<RingNode> nodes);

  // Where a key lies on the ring.
  static std::uint64_t position_of(ByteView key);
  static std::uint64_t position_of(const NodeId& node);

  // `count` distinct nodes for a position, best first; all nodes when there are fewer. As many
  // zones as possible are covered before a zone is used twice. O(log tokens) for small counts.
  std::vector<NodeId> owners(std::uint64_t position, std::size_t count) const;

  // The next `count` distinct nodes clockwise, whatever their zones.
  std::vector<NodeId> successors(std::uint64_t position, std::size_t count) const;

  // Nodes that own anything.
  std::size_t size() const { return nodes_.size(); }

 private:
  struct Token {
    std::uint64_t position;
    std::uint32_t node;  // index into nodes_
    auto operator<=>(const Token&) const = default;
  };

  std::size_t first_token_at(std::uint64_t position) const;

  std::vector<RingNode> nodes_;         // sorted by id, weight above 0
  std::vector<std::uint32_t> zone_of_;  // per node, 0 .. zone_count_-1
  std::uint32_t zone_count_ = 0;
  std::vector<Token> tokens_;  // sorted
};

}  // namespace dunlin
