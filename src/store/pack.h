// Pack files: append-only runs of records, each a header of kRecordHeader bytes and the content.
//
//   offset  size
//        0     4  magic "DnB1"
//        4     4  length of the content, little-endian
//        8    32  the blob's id
//       40     8  checksum of the 40 bytes before (BLAKE2b)
//
// The index says where a record lies, so that reading content takes one disk operation; the header
// lets a pack be read without its index. The content needs no checksum: its name is one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "store/blob.h"

namespace dunlin::store {

constexpr std::size_t kRecordHeader = 48;
constexpr std::uint32_t kMaxPack = 999'999;

// "packs/000001"
std::string pack_file(std::uint32_t pack);
std::optional<std::uint32_t> pack_number(std::string_view file);

Bytes record_of(const BlobRef& blob, ByteView content);

struct PackRecord {
  BlobRef blob;
  std::uint64_t content_at = 0;
};

// All records with a sound header and content that is its name; what is not sound in between is
// passed over.
std::vector<PackRecord> scan_pack(ByteView pack);

}  // namespace dunlin::store
