// Group messages as a person reads them in a transcript.
#pragma once

#include <string>
#include <variant>

#include "dht/messages.h"

namespace dunlin {

struct Describe {
  std::string operator()(const Append& m) const {
    return "append after " + std::to_string(m.previous) + "/" + std::to_string(m.previous_term) +
           ": " + std::to_string(m.entries.size()) + ", commit " + std::to_string(m.commit);
  }
  std::string operator()(const AppendReply& m) const {
    return m.ok ? "has " + std::to_string(m.index) + ", commit " + std::to_string(m.commit)
                : "lacks " + std::to_string(m.index) + ", try " + std::to_string(m.hint) + "/" +
                      std::to_string(m.hint_term);
  }
  std::string operator()(const VoteRequest& m) const {
    return std::string(m.pre ? "would you vote" : "vote") + (m.transfer ? " (transfer)" : "") +
           "? log " + std::to_string(m.last) + "/" + std::to_string(m.last_term);
  }
  std::string operator()(const VoteReply& m) const {
    return std::string(m.pre ? "would " : "does ") + (m.granted ? "vote" : "not vote");
  }
  std::string operator()(const ReadProbe& m) const {
    return "leading still, " + std::to_string(m.sequence) + "?";
  }
  std::string operator()(const ReadReply& m) const {
    return "leading still, " + std::to_string(m.sequence);
  }
  std::string operator()(const SnapshotChunk& m) const {
    return "snapshot " + std::to_string(m.index) + ": " + std::to_string(m.data.size()) +
           " bytes at " + std::to_string(m.offset) + " of " + std::to_string(m.total);
  }
  std::string operator()(const SnapshotReply& m) const {
    return "snapshot " + std::to_string(m.index) + " held to " + std::to_string(m.received);
  }
  std::string operator()(const TransferNow&) const { return "stand now"; }
  std::string operator()(const Hello&) const { return "do you lead?"; }
  std::string operator()(const NotLeading&) const { return "not leading"; }
  std::string operator()(const Removed& m) const {
    return "you were removed by " + std::to_string(m.committed);
  }
  std::string operator()(const Gone&) const { return "gone"; }
};

inline std::string describe(const GroupMessage& message) {
  return "g" + std::to_string(message.group.value) + " t" + std::to_string(message.term) + " " +
         std::to_string(message.from) + ">" + std::to_string(message.to) + " " +
         std::visit(Describe{}, message.body);
}

}  // namespace dunlin
