// What the store tells: the ends of puts and fetches, and its counts.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/effects.h"
#include "base/result.h"
#include "store/blob.h"

namespace dunlin {

// W distinct holders are durable. `token` is the caller's.
struct BlobStored {
  std::uint64_t token = 0;
  BlobRef blob;
  std::vector<NodeId> holders;
};
// kTimeout: it may be stored yet. kLimit: over a limit, or a disk is full (named with its space).
struct BlobPutFailed {
  std::uint64_t token = 0;
  Error error;
};
// kNotFound: every node that is not dead says it has none. kTimeout: some did not answer.
struct BlobFetched {
  std::uint64_t token = 0;
  BlobId id;
  Result<Bytes> content;
};
// The bytes lie verified in a local pack, durable, and stay there.
struct BlobLocal {
  std::uint64_t token = 0;
  BlobId id;
  Result<FileExtent> extent;
};
using BlobEvent = std::variant<BlobStored, BlobPutFailed, BlobFetched, BlobLocal>;

// Sums over all nodes give the cluster's: a blob is counted by the first of its owners.
struct StoreStats {
  std::uint64_t held = 0;              // blobs on this node
  std::uint64_t held_bytes = 0;        // their content
  std::uint64_t total = 0;             // blobs this node counts
  std::uint64_t under_replicated = 0;  // of total: fewer owners hold it than the members allow
  std::uint64_t missing = 0;           // of total: nobody who was asked holds it
  std::uint64_t unchecked = 0;  // of total: not yet compared with an owner since membership changed
  std::uint64_t awaited = 0;    // copies this node is to hold and has not yet
  std::uint64_t bad_copies = 0;  // rot met so far, here and in answers
  std::uint64_t repaired = 0;    // copies pulled by repair
};

// What leaving now would cost.
struct LeaveState {
  bool ready = false;
  std::uint64_t blobs_only_here = 0;  // not yet verified on W other nodes
  std::uint64_t bytes_only_here = 0;
};

}  // namespace dunlin
