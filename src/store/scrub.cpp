#include "store/scrub.h"

#include <algorithm>

namespace dunlin::store {

namespace {

constexpr Duration kFirst = seconds(60);
constexpr Duration kPause = seconds(2);     // at least, between two slices
constexpr std::uint64_t kSlice = kMaxBlob;  // bytes, or one blob more
constexpr int kPassesPerAge = 8;            // how often the index is gone through for old copies

}  // namespace

void Scrub::begin(Instant now) {
  next_ = now + kFirst;
}

void Scrub::tick(Instant now, bool idle, Effects& out) {
  if (now < next_) return;
  next_ = now + kPause;
  if (!idle) return;
  std::uint64_t bytes = 0;
  for (const BlobId& id : shelf_.stale(cursor_, now, config_.scrub_pass, kSlice)) {
    if (shelf_.read(id, {ReadFor::kScrub, 0, {}, {}}, out)) bytes += shelf_.ref(id).length;
  }
  const auto pace = microseconds(static_cast<std::int64_t>(bytes * 1'000'000 / config_.scrub_rate));
  next_ = now + std::max(kPause, pace);
  if (cursor_.is_none()) next_ = std::max(next_, now + config_.scrub_pass / kPassesPerAge);
}

}  // namespace dunlin::store
