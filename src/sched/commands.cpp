#include "sched/commands.h"

namespace dunlin::sched {

Bytes encode_command(const Command& command) {
  Bytes payload{kCommandVersion};
  Encoder out(payload);
  put(out, command);
  return payload;
}

Result<Command> decode_command(ByteView payload) {
  if (payload.empty() || payload[0] != kCommandVersion) {
    return fail(Code::kCorrupt, "a log entry of an unknown version");
  }
  return decode<Command>(payload.subspan(1));
}

}  // namespace dunlin::sched
