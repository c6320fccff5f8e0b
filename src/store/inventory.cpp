#include "store/inventory.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin::store {

namespace {

std::uint16_t prefix_of(const BlobId& id) {
  return static_cast<std::uint16_t>(id.raw[0] << 8 | id.raw[1]);
}

}  // namespace

bool is_in(const Cell& cell, const BlobId& id) {
  return cell.bits == 8 ? id.raw[0] == cell.prefix : prefix_of(id) == cell.prefix;
}

BlobId first_of(const Cell& cell) {
  BlobId id;
  const unsigned prefix = cell.bits == 8 ? cell.prefix * 256U : cell.prefix;
  id.raw[0] = static_cast<std::uint8_t>(prefix >> 8);
  id.raw[1] = static_cast<std::uint8_t>(prefix);
  return id;
}

BlobId id_after(BlobId id) {
  for (std::size_t i = id.raw.size(); i > 0; --i) {
    if (++id.raw[i - 1] != 0) break;
  }
  return id;
}

void Inventory::set_view(const View& view) {
  view_ = view;
  complete_ = false;
  cursor_ = BlobId{};
  peers_.clear();
  counted_ = 0;
}

bool Inventory::count_some(std::vector<BlobId>& misplaced) {
  if (complete_) return true;
  std::vector<BlobId> slice;
  slice.reserve(kCountedAtOnce);
  shelf_.scan(cursor_, [&](const Shelf::Slot& slot) {
    slice.push_back(slot.id);
    return slice.size() < kCountedAtOnce;
  });
  for (const BlobId& id : slice) {
    if (!add(id, shelf_.digest(id), 1)) misplaced.push_back(id);
  }
  if (slice.size() == kCountedAtOnce) cursor_ = id_after(slice.back());
  complete_ = slice.size() < kCountedAtOnce || cursor_.is_none();
  return complete_;
}

void Inventory::apply(const ShelfChange& change) {
  if (complete_ || change.blob.id < cursor_) add(change.blob.id, change.delta, change.held);
}

bool Inventory::add(const BlobId& id, std::uint64_t delta, int held) {
  const std::vector<NodeId> nodes = owners(id);
  if (std::ranges::find(nodes, self_) == nodes.end()) return false;
  const auto sign = static_cast<std::uint32_t>(held);
  const bool counts_it = nodes.front() == self_;
  if (counts_it) counted_ += static_cast<std::uint64_t>(std::int64_t{held});
  const std::size_t cell = id.raw[0];
  for (const NodeId node : nodes) {
    if (node == self_) continue;
    Shared& shared = peers_[node];
    shared.digest[cell] += delta;
    shared.held[cell] += sign;
    if (counts_it) shared.counted[cell] += sign;
    const bool is_heir = counts_it || (nodes.front() == node && nodes[1] == self_);
    if (is_heir) shared.heir_of += static_cast<std::uint64_t>(std::int64_t{held});
  }
  return true;
}

bool Inventory::owns(const BlobId& id) const {
  const std::vector<NodeId> nodes = owners(id);
  return std::ranges::find(nodes, self_) != nodes.end();
}

bool Inventory::shares(const BlobId& id, NodeId peer) const {
  const std::vector<NodeId> nodes = owners(id);
  return std::ranges::find(nodes, self_) != nodes.end() &&
         std::ranges::find(nodes, peer) != nodes.end();
}

bool Inventory::counts(const BlobId& id) const {
  const std::vector<NodeId> nodes = owners(id);
  return !nodes.empty() && nodes.front() == self_;
}

template <class Visit>
void Inventory::scan_shared(NodeId peer, const Cell& cell, Visit visit) const {
  shelf_.scan(first_of(cell), [&](const Shelf::Slot& slot) {
    if (!is_in(cell, slot.id)) return false;
    if (shares(slot.id, peer)) visit(slot);
    return true;
  });
}

std::uint64_t Inventory::digest(NodeId peer, const Cell& cell) const {
  ASSERT(complete_);
  if (cell.bits == 8) {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? 0 : found->second.digest[cell.prefix];
  }
  std::uint64_t sum = 0;
  scan_shared(peer, cell, [&](const Shelf::Slot& slot) { sum += shelf_.digest(slot.id); });
  return sum;
}

std::uint32_t Inventory::held(NodeId peer, std::uint8_t prefix) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second.held[prefix];
}

std::vector<Cell> Inventory::split(NodeId peer, std::uint8_t prefix) const {
  std::vector<Cell> cells(kCells);
  for (std::size_t i = 0; i < kCells; ++i) {
    cells[i] = {static_cast<std::uint16_t>(prefix << 8 | static_cast<int>(i)), 16, 0};
  }
  scan_shared(peer, {prefix, 8, 0}, [&](const Shelf::Slot& slot) {
    cells[slot.id.raw[1]].digest += shelf_.digest(slot.id);
  });
  return cells;
}

std::vector<Item> Inventory::items(NodeId peer, const Cell& cell) const {
  std::vector<Item> found;
  scan_shared(peer, cell, [&](const Shelf::Slot& slot) {
    found.push_back({{slot.id, slot.length}, shelf_.pins_digest(slot.id)});
  });
  return found;
}

}  // namespace dunlin::store
