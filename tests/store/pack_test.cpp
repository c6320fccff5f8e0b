#include "store/pack.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace dunlin::store {
namespace {

Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  Random(seed).fill(out);
  return out;
}

BlobRef ref_of(ByteView content) {
  return {blob_id_of(content), static_cast<std::uint32_t>(content.size())};
}

Bytes pack_of(const std::vector<Bytes>& contents) {
  Bytes pack;
  for (const Bytes& content : contents) append(pack, record_of(ref_of(content), content));
  return pack;
}

std::vector<BlobId> ids_in(ByteView pack) {
  std::vector<BlobId> ids;
  for (const PackRecord& record : scan_pack(pack)) ids.push_back(record.blob.id);
  return ids;
}

TEST(Pack, TellsWhatLiesInItWithoutItsIndex) {
  const std::vector<Bytes> contents{noise(100, 1), {}, noise(70'000, 2), noise(1, 3)};
  const Bytes pack = pack_of(contents);
  const auto records = scan_pack(pack);
  ASSERT_EQ(records.size(), contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    EXPECT_EQ(records[i].blob, ref_of(contents[i]));
    const auto content = ByteView(pack).subspan(records[i].content_at, contents[i].size());
    EXPECT_EQ(to_bytes(content), contents[i]);
  }
}

TEST(Pack, ATornTailIsNoRecord) {
  const Bytes whole = pack_of({noise(300, 1), noise(300, 2)});
  for (std::size_t cut = 1; cut < 300 + kRecordHeader; ++cut) {
    const auto ids = ids_in(ByteView(whole).first(whole.size() - cut));
    ASSERT_EQ(ids, std::vector<BlobId>{blob_id_of(noise(300, 1))}) << cut;
  }
}

TEST(Pack, RotInOneRecordDoesNotHideTheOthers) {
  const std::vector<Bytes> contents{noise(500, 1), noise(500, 2), noise(500, 3)};
  const Bytes whole = pack_of(contents);
  const std::size_t record = 500 + kRecordHeader;
  for (std::size_t at = record; at < 2 * record; at += 7) {
    Bytes pack = whole;
    pack[at] ^= 0x20;
    const std::vector<BlobId> expected{blob_id_of(contents[0]), blob_id_of(contents[2])};
    ASSERT_EQ(ids_in(pack), expected) << at;
  }
}

TEST(Pack, ContentThatLooksLikeARecordIsContent) {
  const Bytes inner = pack_of({noise(50, 1)});
  const Bytes pack = pack_of({inner, noise(60, 2)});
  const std::vector<BlobId> expected{blob_id_of(inner), blob_id_of(noise(60, 2))};
  EXPECT_EQ(ids_in(pack), expected);
}

TEST(Pack, AnyBytesCanBeScanned) {
  EXPECT_TRUE(scan_pack(noise(100'000, 9)).empty());
  EXPECT_TRUE(scan_pack({}).empty());
  EXPECT_TRUE(scan_pack(to_bytes("DnB1DnB1DnB1")).empty());
}

TEST(Pack, FilesAreNamedByNumber) {
  EXPECT_EQ(pack_file(12), "packs/000012");
  EXPECT_EQ(pack_number("packs/000012"), 12U);
  for (const char* wrong : {"packs/12", "packs/00001x", "pack/000001", "packs/0000001", ""}) {
    EXPECT_EQ(pack_number(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace dunlin::store
