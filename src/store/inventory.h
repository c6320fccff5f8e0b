// What this node holds, seen through a settled view of the members: sums of digests for each other
// owner and each 256th of the id space, so that two owners can tell by a few hundred bytes that
// they hold the same. Kept up to date change by change; counted anew, slice by slice, when the view
// changes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <vector>

#include "store/members.h"
#include "store/messages.h"
#include "store/shelf.h"

namespace dunlin::store {

constexpr std::size_t kCells = 256;
constexpr std::size_t kCountedAtOnce = 512;  // blobs of one slice

// What a node and one other owner should have in common, by the first byte of the id.
struct Shared {
  std::array<std::uint64_t, kCells> digest{};
  std::array<std::uint32_t, kCells> held{};
  std::array<std::uint32_t, kCells> counted{};  // of them, those that this node counts
  std::uint64_t heir_of = 0;  // of all: this node would count them if that owner were gone
};

class Inventory {
 public:
  Inventory(NodeId self, const StoreConfig& config, const Shelf& shelf)
      : self_(self), config_(config), shelf_(shelf) {}

  // Begins to count anew; until count_some() has returned true, nothing here means anything.
  void set_view(const View& view);
  // Counts a slice. Appends to `misplaced` the blobs held here that others own.
  bool count_some(std::vector<BlobId>& misplaced);
  bool is_complete() const { return complete_; }

  // Takes a change of the shelf into account.
  void apply(const ShelfChange& change);

  const View& view() const { return view_; }
  std::vector<NodeId> owners(const BlobId& id) const { return view_.owners(id, config_.replicas); }
  bool owns(const BlobId& id) const;
  // This node and that one are both owners.
  bool shares(const BlobId& id, NodeId peer) const;
  // Each blob is counted by the first of its owners.
  bool counts(const BlobId& id) const;

  const std::map<NodeId, Shared>& peers() const { return peers_; }
  std::uint64_t counted() const { return counted_; }
  // Of a cell, as shared with that peer.
  std::uint64_t digest(NodeId peer, const Cell& cell) const;
  std::uint32_t held(NodeId peer, std::uint8_t prefix) const;
  // The 256 cells of 16 bits within one of 8.
  std::vector<Cell> split(NodeId peer, std::uint8_t prefix) const;
  std::vector<Item> items(NodeId peer, const Cell& cell) const;

 private:
  // Calls visit(slot) for all shared blobs of a cell.
  template <class Visit>
  void scan_shared(NodeId peer, const Cell& cell, Visit visit) const;
  // True when this node is an owner.
  bool add(const BlobId& id, std::uint64_t delta, int held);

  const NodeId self_;
  const StoreConfig& config_;
  const Shelf& shelf_;
  View view_;
  bool complete_ = false;
  BlobId cursor_;  // blobs before it are counted
  std::map<NodeId, Shared> peers_;
  std::uint64_t counted_ = 0;
};

bool is_in(const Cell& cell, const BlobId& id);
// The lowest id that can be in it.
BlobId first_of(const Cell& cell);
// The smallest id above; all zero when there is none.
BlobId id_after(BlobId id);

}  // namespace dunlin::store
