// The bytes of one output stream that the runner has read and the node has not yet taken to
// safety. Offsets count from the stream's beginning.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace dunlin {

class UntakenOutput {
 public:
  std::uint64_t taken() const { return taken_; }
  std::uint64_t end() const { return taken_ + size_; }
  std::uint64_t size() const { return size_; }

  void append(ByteView bytes);
  // Forgets what lies before `offset`; offsets beyond the end count as the end.
  void take(std::uint64_t offset);
  // Some bytes from `offset` on, at least one unless it is the end: as many as lie in one run,
  // at most kMaxOutputPiece. Valid until the next append or take.
  ByteView at(std::uint64_t offset) const;

 private:
  // Pieces of kMaxOutputPiece bytes, but for the last: short output costs little memory. The
  // first one's first `skipped_` bytes are taken.
  std::vector<Bytes> pieces_;
  std::uint64_t skipped_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace dunlin
