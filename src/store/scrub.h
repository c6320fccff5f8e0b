// Reads what nobody reads: every copy is verified once in a while, slowly, so that rot is found
// while there are others to mend it from.
#pragma once

#include "base/effects.h"
#include "store/config.h"
#include "store/shelf.h"

namespace dunlin::store {

class Scrub {
 public:
  Scrub(const StoreConfig& config, Shelf& shelf) : config_(config), shelf_(shelf) {}

  void begin(Instant now);
  // `idle`: nobody waits for this node's disk.
  void tick(Instant now, bool idle, Effects& out);
  Instant next_deadline() const { return next_; }

 private:
  const StoreConfig& config_;
  Shelf& shelf_;
  BlobId cursor_;
  Instant next_ = Instant::never();
};

}  // namespace dunlin::store
