// The blob store of one node: its packs on disk, and its part in replicating, repairing and
// checking the cluster's blobs. A plain protocol class: inputs in, Effects out, events taken.
//
// What it promises (docs/ARCHITECTURE.md: Q2, Q5, Q6):
//  - BlobStored names nodes that each verified the content and made content, index and pin durable
//    before they said so; at least two of them, or as many as are not declared dead. A node that
//    is leaving does not count itself.
//  - Content that does not hash to its name is never handed out; a rotten copy counts as missing
//    and is fetched anew.
//  - Nothing is ever deleted. `release` drops pins; a blob without pins stays where it is.
//
// Packs are append-only files of up to kPackSize under "packs/" (one disk operation a read, as in
// Haystack, OSDI 2010); facts: "blob/<id>" (where it lies), "pin/<id>/<group>/<intent>".
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "base/result.h"
#include "store/blob.h"
#include "store/config.h"
#include "store/events.h"

namespace dunlin {

class Blobs {
 public:
  Blobs(NodeId self, StoreConfig config, Random random);
  ~Blobs();
  Blobs(const Blobs&) = delete;
  Blobs& operator=(const Blobs&) = delete;

  // Recovery: each durable fact under "blob/" and "pin/", in any order. A fact
  // that makes no sense is kCorrupt, and is as if it were not there.
  Result<void> recover_fact(std::string_view key, ByteView value);
  // Each pack that lies on the disk, after the facts. What should lie in one that is not there, or
  // is too short, counts as missing from the start.
  void recover_pack(std::string_view file, std::uint64_t size);
  void start(Instant now, Effects& out);

  void receive(Instant now, NodeId from, ByteView frame, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;
  void on_durable(Instant now, const Ticket& ticket, Effects& out);
  void on_file_data(Instant now, const Ticket& ticket, Result<Bytes> data, Effects& out);

  // All members, this node too; dead and left ones own nothing. It must name everyone admitted who
  // neither left nor was declared dead, heard of since the start or not (then kSuspect): what W
  // nodes are is counted against it. Until it is called no put succeeds.
  void set_members(Instant now, std::vector<StoreMember> members, Effects& out);
  // Hints from pairwise liveness: who is not worth waiting for.
  void peer_suspected(Instant now, NodeId peer, Effects& out);
  void peer_recovered(Instant now, NodeId peer, Effects& out);
  // Of the file system that holds the packs; unlimited until told.
  void set_disk(std::uint64_t total, std::uint64_t free);

  // Stores `data` (at most kMaxBlob) pinned. Ends in exactly one BlobStored or BlobPutFailed.
  void put(Instant now, std::uint64_t token, Pin pin, Bytes data, Effects& out);
  // Ends in exactly one BlobFetched; `hint` names nodes that once held it.
  void fetch(Instant now, std::uint64_t token, const BlobId& id, const std::vector<NodeId>& hint,
             Effects& out);
  // Ends in exactly one BlobLocal.
  void localize(Instant now, std::uint64_t token, const BlobId& id, const std::vector<NodeId>& hint,
                Effects& out);
  // After the release is committed in the pin's group. A holder that misses the word keeps the pin.
  void release(Instant now, const BlobId& id, Pin pin, Effects& out);

  // Hands what this node holds to the others until leave_state().ready.
  void prepare_to_leave(Instant now, Effects& out);
  // Who is gone never comes back: what it held is replaced without waiting for it any longer.
  void replace_lost(Instant now);
  LeaveState leave_state() const;
  bool may_leave() const { return leave_state().ready; }

  bool holds(const BlobId& id) const;
  StoreStats stats() const;
  std::vector<BlobEvent> take_events();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
