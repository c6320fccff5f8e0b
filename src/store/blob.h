// Blobs: immutable byte strings named by their content. A blob is hashed in leaves of 64 KiB, and
// its id is the hash of its length and the leaf hashes, so that a range of whole leaves can be
// verified against the leaf list alone, and leaves can be hashed in parallel. Leaf and root are
// BLAKE2b-256 under different keys: neither can pass for the other (RFC 6962, section 2.1, says
// why a tree hash needs that).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/result.h"

namespace dunlin {

constexpr std::size_t kLeafSize = 64ULL * 1024;
// A longer content is a list of blobs, and that is its owner's business.
constexpr std::size_t kMaxBlob = 4ULL * 1024 * 1024;

// How another record names a blob: files, outputs and log segments are lists of these.
struct BlobRef {
  BlobId id;
  std::uint32_t length = 0;
  auto operator<=>(const BlobRef&) const = default;
  static constexpr auto fields() { return Fields<&BlobRef::id, &BlobRef::length>{}; }
};

// One hash per started 64 KiB; none for the empty blob. `data` is at most kMaxBlob bytes.
std::vector<Hash32> leaf_hashes(ByteView data);

BlobId blob_id_of(std::uint32_t length, std::span<const Hash32> leaves);
BlobId blob_id_of(ByteView data);

// Is `range` what the blob holds from leaf `first_leaf` on? It must consist of whole leaves (the
// blob's last one may be short). `leaves` come from anyone: they are checked against the id.
// kCorrupt says that something does not fit, kUsage that the range is none of whole leaves.
Result<void> verify_range(const BlobId& id, std::uint32_t length, std::span<const Hash32> leaves,
                          std::uint32_t first_leaf, ByteView range);

// Where the ring looks for its owners.
std::uint64_t position_of(const BlobId& id);

}  // namespace dunlin
