#include "store/blob.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::string_view kLeafKey = "dunlin blob leaf 1";
constexpr std::string_view kRootKey = "dunlin blob root 1";

std::size_t leaf_count(std::size_t length) {
  return (length + kLeafSize - 1) / kLeafSize;
}

}  // namespace

std::vector<Hash32> leaf_hashes(ByteView data) {
  ASSERT(data.size() <= kMaxBlob);
  std::vector<Hash32> leaves;
  leaves.reserve(leaf_count(data.size()));
  for (std::size_t at = 0; at < data.size(); at += kLeafSize) {
    const ByteView leaf = data.subspan(at, std::min(kLeafSize, data.size() - at));
    leaves.push_back(blake2b_256(leaf, as_bytes(kLeafKey)));
  }
  return leaves;
}

BlobId blob_id_of(std::uint32_t length, std::span<const Hash32> leaves) {
  Bytes root(4 + leaves.size() * sizeof(Hash32));
  put_u32(root.data(), length);
  std::uint8_t* to = root.data() + 4;
  for (const Hash32& leaf : leaves) to = std::copy(leaf.begin(), leaf.end(), to);
  return BlobId{blake2b_256(root, as_bytes(kRootKey))};
}

BlobId blob_id_of(ByteView data) {
  return blob_id_of(static_cast<std::uint32_t>(data.size()), leaf_hashes(data));
}

Result<void> verify_range(const BlobId& id, std::uint32_t length, std::span<const Hash32> leaves,
                          std::uint32_t first_leaf, ByteView range) {
  const std::uint64_t begin = std::uint64_t{first_leaf} * kLeafSize;
  const std::uint64_t end = begin + range.size();
  if (length > kMaxBlob || end > length) return fail(Code::kUsage, "range lies beyond the blob");
  if (end != length && range.size() % kLeafSize != 0) {
    return fail(Code::kUsage, "range is not of whole leaves");
  }
  if (leaves.size() != leaf_count(length) || blob_id_of(length, leaves) != id) {
    return fail(Code::kCorrupt, "leaf hashes do not belong to blob " + id.short_text());
  }
  const std::vector<Hash32> own = leaf_hashes(range);
  if (!std::equal(own.begin(), own.end(), leaves.begin() + first_leaf)) {
    return fail(Code::kCorrupt,
                "content of blob " + id.short_text() + " is not what its name says");
  }
  return {};
}

std::uint64_t position_of(const BlobId& id) {
  // Most significant byte first, so that ring order and id order are one.
  std::uint64_t position = 0;
  for (std::size_t i = 0; i < 8; ++i) position = position << 8 | id.raw[i];
  return position;
}

}  // namespace dunlin
