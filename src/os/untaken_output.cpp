#include "os/untaken_output.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/process_events.h"

namespace dunlin {

void UntakenOutput::append(ByteView bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    if (pieces_.empty() || pieces_.back().size() == kMaxOutputPiece) pieces_.emplace_back();
    Bytes& last = pieces_.back();
    const std::size_t count = std::min<std::size_t>(bytes.size(), kMaxOutputPiece - last.size());
    dunlin::append(last, bytes.first(count));
    bytes = bytes.subspan(count);
  }
}

void UntakenOutput::take(std::uint64_t offset) {
  if (offset <= taken_) return;
  std::uint64_t count = std::min(offset, end()) - taken_;
  taken_ += count;
  size_ -= count;
  while (count > 0) {
    const std::uint64_t here = std::min<std::uint64_t>(count, pieces_.front().size() - skipped_);
    skipped_ += here;
    count -= here;
    if (skipped_ == pieces_.front().size()) {
      pieces_.erase(pieces_.begin());
      skipped_ = 0;
    }
  }
}

ByteView UntakenOutput::at(std::uint64_t offset) const {
  ASSERT(offset >= taken_ && offset <= end());
  if (offset == end()) return {};
  // All pieces but the last are full, so the place is computed.
  const std::uint64_t place = offset - taken_ + skipped_;
  const Bytes& piece = pieces_[place / kMaxOutputPiece];
  return ByteView(piece).subspan(place % kMaxOutputPiece);
}

}  // namespace dunlin
