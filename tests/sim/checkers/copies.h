// Q5 and Q6, by what lies on the disks: who says that it keeps a blob has it there at that moment,
// whole and pinned, and at each later start still; a client who is told that its blob is stored is
// told of two such nodes, or of as many as are not declared dead.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "node/client.h"
#include "sim/sim_disk.h"
#include "sim/verdict.h"
#include "store/config.h"

namespace dunlin::sim {

// The disk has the blob in its index, and what lies there is the blob.
bool has_sound_copy(const SimDisk& disk, const BlobId& id);

class CopyChecker {
 public:
  static constexpr std::size_t kWriteHolders = 2;  // W, whatever a configuration says

  explicit CopyChecker(Verdict& verdict) : verdict_(verdict) {}

  // A frame of that node leaves. Of a disk that somebody tampered with (not `honest`) no more is
  // asked than that it names what is promised.
  void on_send(Instant at, const NodeId& node, const SimDisk& disk, bool honest, const NodeId& to,
               ByteView frame);
  // A client hears from that node that a blob is stored. `members`: how many it does not take for
  // dead, itself included.
  void stored(Instant at, const NodeId& node, const SimDisk& disk, const client::BlobPut& put,
              std::size_t members);
  // What an honest disk holds when a life begins, and in the end.
  void holds(Instant at, const NodeId& node, const std::map<std::string, Bytes>& facts);

 private:
  using Question = std::tuple<NodeId, std::uint64_t, BlobId>;  // putter, its operation, of what

  void keeps(Instant at, const NodeId& node, const SimDisk& disk, bool honest, const BlobId& id,
             const Pin* pin);

  Verdict& verdict_;
  std::map<Question, Pin> asked_;
  std::set<std::pair<NodeId, BlobId>> said_;          // who says that it keeps what
  std::map<NodeId, std::set<std::string>> promised_;  // the facts that this takes
};

}  // namespace dunlin::sim
