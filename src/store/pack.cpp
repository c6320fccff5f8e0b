#include "store/pack.h"

#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "base/crypto.h"

namespace dunlin::store {

namespace {

constexpr std::string_view kMagic = "DnB1";
constexpr std::string_view kFolder = "packs/";
constexpr std::size_t kDigits = 6;
constexpr std::size_t kChecked = kRecordHeader - 8;

std::optional<BlobRef> header_at(ByteView bytes) {
  if (bytes.size() < kRecordHeader || as_text(bytes.first(4)) != kMagic) return std::nullopt;
  if (get_u64(bytes.data() + kChecked) != blake2b_64(bytes.first(kChecked))) return std::nullopt;
  BlobRef blob;
  blob.length = get_u32(bytes.data() + 4);
  std::copy_n(bytes.data() + 8, blob.id.raw.size(), blob.id.raw.begin());
  if (blob.length > kMaxBlob) return std::nullopt;
  return blob;
}

}  // namespace

std::string pack_file(std::uint32_t pack) {
  ASSERT(pack <= kMaxPack);
  std::string digits = std::to_string(pack);
  digits.insert(0, kDigits - digits.size(), '0');
  return std::string(kFolder) + digits;
}

std::optional<std::uint32_t> pack_number(std::string_view file) {
  if (!file.starts_with(kFolder) || file.size() != kFolder.size() + kDigits) return std::nullopt;
  std::uint32_t pack = 0;
  const char* end = file.data() + file.size();
  const auto [stop, error] = std::from_chars(file.data() + kFolder.size(), end, pack);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return pack;
}

Bytes record_of(const BlobRef& blob, ByteView content) {
  ASSERT(content.size() == blob.length);
  Bytes record(kRecordHeader);
  record.reserve(kRecordHeader + content.size());
  std::ranges::copy(kMagic, record.begin());
  put_u32(record.data() + 4, blob.length);
  std::ranges::copy(blob.id.raw, record.begin() + 8);
  put_u64(record.data() + kChecked, blake2b_64(ByteView(record).first(kChecked)));
  append(record, content);
  return record;
}

std::vector<PackRecord> scan_pack(ByteView pack) {
  std::vector<PackRecord> found;
  std::size_t at = 0;
  while (at + kRecordHeader <= pack.size()) {
    const auto blob = header_at(pack.subspan(at));
    const std::size_t content_at = at + kRecordHeader;
    if (blob && content_at + blob->length <= pack.size() &&
        blob_id_of(pack.subspan(content_at, blob->length)) == blob->id) {
      found.push_back({*blob, content_at});
      at = content_at + blob->length;
      continue;
    }
    // Something is unsound here: the next magic may begin anywhere behind.
    const auto rest = pack.subspan(at + 1);
    const auto next = std::search(rest.begin(), rest.end(), kMagic.begin(), kMagic.end());
    if (next == rest.end()) break;
    at += 1 + static_cast<std::size_t>(next - rest.begin());
  }
  return found;
}

}  // namespace dunlin::store
