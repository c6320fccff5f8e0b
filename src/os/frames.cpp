#include "os/frames.h"

#include "base/assert.h"
#include "base/bytes.h"

namespace dunlin {

namespace {
constexpr std::size_t kHeader = 9;
}  // namespace

std::string frame_text(FrameKind kind, std::uint32_t task, std::string_view payload) {
  ASSERT(payload.size() <= kMaxFramePayload);
  std::uint8_t header[kHeader] = {static_cast<std::uint8_t>(kind)};
  put_u32(header + 1, task);
  put_u32(header + 5, static_cast<std::uint32_t>(payload.size()));
  std::string text(as_text(header));
  text += payload;
  return text;
}

std::optional<Frame> FrameReader::next() {
  if (broken_ || pending_.size() - at_ < kHeader) return std::nullopt;
  const ByteView bytes = as_bytes(std::string_view(pending_).substr(at_));
  const std::size_t length = get_u32(bytes.data() + 5);
  if (length > kMaxFramePayload) {
    broken_ = true;
    return std::nullopt;
  }
  if (bytes.size() < kHeader + length) return std::nullopt;
  Frame frame{static_cast<FrameKind>(bytes[0]), get_u32(bytes.data() + 1),
              pending_.substr(at_ + kHeader, length)};
  at_ += kHeader + length;
  // Moving the rest to the front for each frame would be quadratic.
  if (at_ == pending_.size() || at_ > 256 * 1024) {
    pending_.erase(0, at_);
    at_ = 0;
  }
  return frame;
}

}  // namespace dunlin
