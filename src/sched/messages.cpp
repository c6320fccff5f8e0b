#include "sched/messages.h"

#include "base/codec.h"

namespace dunlin::sched {

Bytes encode_frame(const SchedMessage& message) {
  Bytes frame{static_cast<std::uint8_t>(Module::kSched)};
  Encoder out(frame);
  put(out, message);
  return frame;
}

Result<SchedMessage> decode_frame(ByteView frame) {
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kSched)) {
    return fail(Code::kCorrupt, "a frame of another module");
  }
  return decode<SchedMessage>(frame.subspan(1));
}

}  // namespace dunlin::sched
