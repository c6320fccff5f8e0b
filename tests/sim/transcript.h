// Frames as a person reads them: who says what to whom, for the words of a failed check and for
// `sim_run --frames`.
#pragma once

#include <string>

#include "base/codec.h"
#include "base/effects.h"
#include "dht/describe.h"

namespace dunlin::sim {

struct DescribeNote {
  std::string operator()(const PromiseQuery&) const { return "what have I promised you?"; }
  std::string operator()(const PromiseReply& m) const {
    return "you promised in " + std::to_string(m.groups.size()) + " groups";
  }
  std::string operator()(const ViewAsk&) const { return "my view; yours?"; }
  std::string operator()(const ViewReply&) const { return "my view"; }
  std::string operator()(const Leaving&) const { return "I am leaving"; }
};

inline std::string describe_frame(ByteView frame) {
  if (frame.empty()) return "nothing";
  if (frame[0] == static_cast<std::uint8_t>(Module::kGroups)) {
    const Result<Envelope> envelope = decode<Envelope>(frame.subspan(1));
    if (!envelope) return "groups: unreadable";
    std::string text;
    for (const NodeNote& note : envelope->notes) {
      text += (text.empty() ? "" : "; ") + std::visit(DescribeNote{}, note);
    }
    for (const GroupMessage& message : envelope->messages) {
      text += (text.empty() ? "" : "; ") + describe(message);
    }
    return text;
  }
  const std::string kind = frame.size() > 2 ? " " + std::to_string(frame[2]) : "";
  return "module " + std::to_string(frame[0]) + kind + ", " + std::to_string(frame.size()) +
         " bytes";
}

}  // namespace dunlin::sim
