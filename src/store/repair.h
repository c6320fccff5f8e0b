// Keeps what this node holds and what the ring asks for together: counts the inventory anew when
// the members have changed and stayed so for a while, and tells the parts what has to move.
#pragma once

#include "base/effects.h"
#include "base/random.h"
#include "store/compare.h"
#include "store/events.h"
#include "store/fetches.h"
#include "store/inventory.h"
#include "store/members.h"
#include "store/misplaced.h"
#include "store/pulls.h"
#include "store/shelf.h"

namespace dunlin::store {

class Repair {
 public:
  Repair(NodeId self, const StoreConfig& config, Random random, const Members& members,
         Shelf& shelf, Fetches& fetches)
      : config_(config),
        members_(members),
        shelf_(shelf),
        inventory_(self, config, shelf),
        pulls_(config, shelf, fetches),
        compare_(self, config, random.fork(), members, inventory_, shelf, pulls_),
        misplaced_(config, random.fork(), members, inventory_, shelf, pulls_) {}

  void on_members(Instant now);
  // A change of the members that waits to be acted on waits no longer.
  void hurry(Instant now);
  // Blobs that were promised and are not there.
  void on_lost(Instant now, const std::vector<BlobId>& ids);
  // At the end of every input: what the shelf has gained or lost.
  void settle(Instant now, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;

  Compare& compare() { return compare_; }
  Misplaced& misplaced() { return misplaced_; }

  LeaveState leave_state() const;
  void count(StoreStats& stats) const;

 private:
  void count_some(Instant now);

  const StoreConfig& config_;
  const Members& members_;
  Shelf& shelf_;
  Inventory inventory_;
  Pulls pulls_;
  Compare compare_;
  Misplaced misplaced_;
  std::uint64_t view_ = 0;    // the newest seen
  Instant changing_since_{};  // when it first differed from the inventory's
  Instant recount_ = Instant::never();
  bool counting_ = false;
};

}  // namespace dunlin::store
