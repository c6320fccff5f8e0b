// Owners keep each other complete. Two owners compare what they hold in common only after something
// has changed: digests by first byte, where those differ by second byte, where those differ the
// items themselves. Whoever lacks a blob or a pin then asks for it; equal digests end it, and
// nodes at rest say nothing. (DeCandia et al., SOSP 2007, section 4.7, keeps Merkle trees for this;
// two levels serve some ten million blobs a node.)
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "store/deadlines.h"
#include "store/inventory.h"
#include "store/members.h"
#include "store/messages.h"
#include "store/pulls.h"
#include "store/shelf.h"
#include "store/sorted_blocks.h"

namespace dunlin::store {

constexpr std::size_t kMaxLacking = 1'000'000;  // (blob, peer) remembered; counts saturate there

class Compare {
 public:
  Compare(NodeId self, const StoreConfig& config, Random random, const Members& members,
          const Inventory& inventory, Shelf& shelf, Pulls& pulls)
      : self_(self),
        config_(config),
        random_(random),
        members_(members),
        inventory_(inventory),
        shelf_(shelf),
        pulls_(pulls) {}

  // The view changes; what was found out under the old one means nothing.
  void reset();
  // The inventory is counted: everything has to be compared.
  void begin(Instant now);
  void on_change(Instant now, const BlobId& id);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const { return deadlines_.next(); }

  void on_summary(Instant now, NodeId from, const Summary& summary, Effects& out);
  void on_answer(Instant now, NodeId from, const SummaryAnswer& answer);
  void on_items(Instant now, NodeId from, const Items& items, Effects& out);
  void on_ask_pins(NodeId from, const AskPins& ask, Effects& out);
  void on_pins(NodeId from, const PinsOf& pins, Effects& out);

  // Blobs counted here that another owner is known to lack.
  std::uint64_t lacking() const;
  // Blobs counted here that were not compared with each other owner yet: at least so many.
  std::uint64_t unchecked() const;

 private:
  struct Peer {
    std::bitset<kCells> changed;      // cells to be compared
    std::bitset<kCells> unconfirmed;  // cells never found equal in this view
    std::size_t cursor = 0;           // cells below it are compared in this round
    std::size_t asked_up_to = 0;      // the question under way covers cells up to here
    std::uint32_t attempts = 0;       // rounds and questions without success
    bool asked = false;
  };
  struct Lack {
    std::pair<BlobId, NodeId> key;
  };

  Peer& peer(NodeId node);
  void schedule(Instant now, NodeId node);
  Duration backoff(const Peer& peer) const;
  void ask(Instant now, NodeId node, Peer& peer, Effects& out);
  bool is_comparable(NodeId from, std::uint64_t view) const;
  void confirm(NodeId node, std::uint8_t prefix);
  void send_items(NodeId to, const std::vector<Cell>& cells, bool answer, Effects& out);
  bool compare_cell(NodeId from, const Cell& cell, const std::map<BlobId, std::uint64_t>& theirs);

  const NodeId self_;
  const StoreConfig& config_;
  Random random_;
  const Members& members_;
  const Inventory& inventory_;
  Shelf& shelf_;
  Pulls& pulls_;
  std::map<NodeId, Peer> peers_;
  Deadlines<NodeId> deadlines_;
  SortedBlocks<Lack, &Lack::key> lacking_;
};

}  // namespace dunlin::store
