// Whom this node may ask and who owns what, as it sees it now. A hint throughout: a wrong view
// costs retries and copies in the wrong place, never a wrong answer.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/ids.h"
#include "dht/ring.h"
#include "store/config.h"

namespace dunlin::store {

constexpr std::size_t kMaxMembers = 4096;

// The ring made of the members that are neither dead nor left, and a digest by which two nodes
// know whether theirs are the same.
struct View {
  Ring ring;
  std::uint64_t digest = 0;

  std::vector<NodeId> owners(const BlobId& id, std::size_t count) const;
};

class Members {
 public:
  explicit Members(NodeId self) : self_(self) {}

  // Members beyond kMaxMembers are ignored. False when nothing is new.
  bool set(std::vector<StoreMember> members);
  bool set_suspected(NodeId peer, bool suspected);
  // This node hands everything over: it owns nothing any more, in its own view.
  void leave();
  bool is_leaving() const { return leaving_; }

  const View& view() const { return view_; }
  // Neither dead nor left; this node too, unless it is leaving.
  const std::vector<NodeId>& present() const { return present_; }
  bool is_present(NodeId node) const;
  // W, or as many as could hold anything.
  std::size_t holders_needed(std::size_t write_holders) const;
  // Worth asking first: alive, and not suspected by anyone we listen to.
  bool is_trusted(NodeId node) const;
  // Where to put a blob, best first: its owners and then `spare` more, trusted ones ahead.
  std::vector<NodeId> candidates(const BlobId& id, std::size_t owners, std::size_t spare) const;

 private:
  void rebuild();

  const NodeId self_;
  std::map<NodeId, StoreMember> members_;
  std::set<NodeId> suspected_;
  bool leaving_ = false;
  std::vector<NodeId> present_;  // ascending
  View view_;
};

}  // namespace dunlin::store
