#include "store/blob.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace dunlin {
namespace {

Bytes noise(std::size_t size, std::uint64_t seed) {
  Bytes out(size);
  Random(seed).fill(out);
  return out;
}

TEST(Blob, SameContentHasTheSameNameAndOtherContentAnother) {
  EXPECT_EQ(blob_id_of(noise(100'000, 1)), blob_id_of(noise(100'000, 1)));
  EXPECT_NE(blob_id_of(noise(100'000, 1)), blob_id_of(noise(100'000, 2)));
}

TEST(Blob, NamesAreFixedForAllTime) {
  // Names rest on disks: these change only together with the format of everything stored.
  EXPECT_EQ(to_hex(blob_id_of(Bytes{}).raw),
            "9e2933262dae3ec0ec7bf3b138923315314ce9816ad869c5f8fb54972b0a63b4");
  EXPECT_EQ(to_hex(blob_id_of(as_bytes("dunlin")).raw),
            "3e755a0188b6e7841292ad95af1172185d83d42b712669575e565f080e2631c1");
  EXPECT_EQ(to_hex(blob_id_of(Bytes(200'000, 7)).raw),
            "7c913cc81d75186d15751ddd0a060f59ce42aa4228614c4cc2b9c3d87474b36e");
}

TEST(Blob, EverySingleBitCounts) {
  Bytes data = noise(3 * kLeafSize + 5, 3);
  const BlobId id = blob_id_of(data);
  for (const std::size_t at : {std::size_t{0}, kLeafSize - 1, kLeafSize, data.size() - 1}) {
    data[at] ^= 0x10;
    EXPECT_NE(blob_id_of(data), id) << at;
    data[at] ^= 0x10;
  }
}

TEST(Blob, ALengthenedBlobHasAnotherNameEvenByZeros) {
  Bytes data(kLeafSize - 1, 0);
  const BlobId id = blob_id_of(data);
  data.push_back(0);
  EXPECT_NE(blob_id_of(data), id);
}

TEST(Blob, TheHashesOfABlobAreNotABlobOfTheSameName) {
  const Bytes data = noise(2 * kLeafSize, 4);
  Bytes leaves(4);
  put_u32(leaves.data(), static_cast<std::uint32_t>(data.size()));
  for (const Hash32& leaf : leaf_hashes(data)) append(leaves, leaf);
  EXPECT_NE(blob_id_of(leaves), blob_id_of(data));
  EXPECT_NE(leaf_hashes(leaves).front(), blob_id_of(data).raw);
}

TEST(Blob, WholeLeavesVerifyAlone) {
  const Bytes data = noise(3 * kLeafSize + 100, 5);
  const auto length = static_cast<std::uint32_t>(data.size());
  const BlobId id = blob_id_of(data);
  const auto leaves = leaf_hashes(data);
  const ByteView all(data);
  EXPECT_TRUE(verify_range(id, length, leaves, 0, all));
  EXPECT_TRUE(verify_range(id, length, leaves, 1, all.subspan(kLeafSize, 2 * kLeafSize)));
  EXPECT_TRUE(verify_range(id, length, leaves, 3, all.subspan(3 * kLeafSize)));
  EXPECT_TRUE(verify_range(id, length, leaves, 2, ByteView{}));
}

TEST(Blob, ARangeThatWasTamperedWithDoesNotVerify) {
  Bytes data = noise(2 * kLeafSize, 6);
  const auto length = static_cast<std::uint32_t>(data.size());
  const BlobId id = blob_id_of(data);
  auto leaves = leaf_hashes(data);
  data[kLeafSize + 9] ^= 1;
  const ByteView second = ByteView(data).subspan(kLeafSize);
  EXPECT_EQ(verify_range(id, length, leaves, 1, second).error().code, Code::kCorrupt);
  // Nor does it with leaf hashes made to fit.
  leaves[1] = leaf_hashes(second).front();
  EXPECT_EQ(verify_range(id, length, leaves, 1, second).error().code, Code::kCorrupt);
}

TEST(Blob, ARangeThatIsNotOfWholeLeavesOrLiesOutsideIsRefused) {
  const Bytes data = noise(2 * kLeafSize, 7);
  const auto length = static_cast<std::uint32_t>(data.size());
  const BlobId id = blob_id_of(data);
  const auto leaves = leaf_hashes(data);
  const ByteView all(data);
  EXPECT_EQ(verify_range(id, length, leaves, 0, all.first(100)).error().code, Code::kUsage);
  EXPECT_EQ(verify_range(id, length, leaves, 1, all).error().code, Code::kUsage);
  EXPECT_EQ(verify_range(id, length, leaves, 4'000'000'000U, all).error().code, Code::kUsage);
  EXPECT_EQ(verify_range(id, 4'000'000'000U, leaves, 0, all).error().code, Code::kUsage);
  const std::span<const Hash32> too_few(leaves.data(), 1);
  EXPECT_EQ(verify_range(id, length, too_few, 0, all).error().code, Code::kCorrupt);
}

TEST(Blob, RingOrderIsIdOrder) {
  BlobId low, high;
  low.raw[7] = 1;
  high.raw[0] = 1;
  EXPECT_EQ(position_of(low), 1U);
  EXPECT_LT(position_of(low), position_of(high));
}

}  // namespace
}  // namespace dunlin
