// Blobs that lie here although others own them: after a put that found an owner silent, after a
// change of the ring, or all of them when this node leaves. Their owners are told until each says
// that it holds them. Nothing is given up here because of it: that is collection's business.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "store/events.h"
#include "store/inventory.h"
#include "store/members.h"
#include "store/messages.h"
#include "store/pulls.h"
#include "store/shelf.h"
#include "store/sorted_blocks.h"

namespace dunlin::store {

constexpr std::size_t kMaxBlobsInMessage = 1024;
constexpr std::size_t kMaxEntrustedAtOnce = 4096;  // blobs in question at one time
constexpr std::size_t kMaxChecksAtOnce = 64;       // copies read because of one message

class Misplaced {
 public:
  Misplaced(const StoreConfig& config, Random random, const Members& members,
            const Inventory& inventory, Shelf& shelf, Pulls& pulls)
      : config_(config),
        members_(members),
        inventory_(inventory),
        shelf_(shelf),
        pulls_(pulls),
        next_operation_(random.next() >> 1) {}

  // The inventory's view has changed: who owns what is found out anew.
  void reset();
  void add(Instant now, const std::vector<BlobId>& misplaced);
  void on_change(Instant now, const ShelfChange& change);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const { return deadline_; }

  void on_entrust(Instant now, NodeId from, const Entrust& message, Effects& out);
  void on_entrusted(Instant now, NodeId from, const Entrusted& answer);

  LeaveState leave_state() const;

 private:
  struct Blob {
    BlobId id;
    std::uint32_t held_by = 0;  // bit i: the i-th owner says that it holds it
  };

  bool is_short(const Blob& blob) const;
  void drop(const BlobId& id);
  Duration pause() const;
  void next_slice(Instant now, Effects& out);
  void take_pins(NodeId from, const BlobId& id, const std::vector<Pin>& pins, Effects& out);

  const StoreConfig& config_;
  const Members& members_;
  const Inventory& inventory_;
  Shelf& shelf_;
  Pulls& pulls_;
  std::uint64_t next_operation_;
  SortedBlocks<Blob, &Blob::id> blobs_;
  std::size_t needed_ = 1;         // holders without which a blob is short
  std::uint64_t short_blobs_ = 0;  // of blobs_
  std::uint64_t short_bytes_ = 0;
  BlobId cursor_;  // blobs below it were spoken of in this round
  std::map<std::uint64_t, NodeId> asked_;
  std::uint32_t idle_rounds_ = 0;  // in which nothing came of it
  Instant deadline_ = Instant::never();
};

}  // namespace dunlin::store
