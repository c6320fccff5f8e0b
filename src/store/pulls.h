// Copies that this node is to hold and has not: fetched one after another within a rate, and tried
// again, ever more seldom, for as long as they are wanted.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/effects.h"
#include "store/deadlines.h"
#include "store/fetches.h"
#include "store/shelf.h"

namespace dunlin::store {

// Beyond it copies are not remembered as wanted; the next comparison finds them again.
constexpr std::size_t kMaxAwaited = 65'536;
constexpr std::size_t kMaxPullsAtOnce = 8;
constexpr std::size_t kMaxSources = 3;  // remembered for one blob

class Pulls {
 public:
  Pulls(const StoreConfig& config, Shelf& shelf, Fetches& fetches)
      : config_(config), shelf_(shelf), fetches_(fetches) {}

  // `source` said that it holds it; none when nobody did.
  void want(Instant now, const BlobRef& blob, NodeId source);
  // It is held now, however it came.
  void on_held(const BlobId& id);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;

  std::size_t awaited() const { return awaited_.size(); }
  std::uint64_t repaired() const { return repaired_; }
  // Calls visit(id, is_missing) for all that is awaited.
  template <class Visit>
  void each(Visit visit) const {
    for (const auto& [id, copy] : awaited_) visit(id, copy.is_missing);
  }

 private:
  struct Copy {
    std::uint32_t length = 0;
    std::uint32_t attempts = 0;
    bool is_missing = false;  // the last search found nobody who holds it
    std::vector<NodeId> sources;
  };

  void take_results(Instant now);
  void forget(const BlobId& id);

  const StoreConfig& config_;
  Shelf& shelf_;
  Fetches& fetches_;
  std::map<BlobId, Copy> awaited_;
  Deadlines<BlobId> due_;
  std::set<BlobId> under_way_;
  Instant next_pull_{};  // the rate allows none before
  std::uint64_t repaired_ = 0;
};

}  // namespace dunlin::store
