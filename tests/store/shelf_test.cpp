#include "store/shelf.h"

#include <gtest/gtest.h>

#include "store/pack.h"
#include "store/store_cluster.h"

namespace dunlin::store {
namespace {

constexpr Pin kShelfPin{GroupId{5}, 99};

BlobRef blob_of(ByteView content) {
  return {blob_id_of(content), static_cast<std::uint32_t>(content.size())};
}

class ShelfTest : public testing::Test {
 protected:
  ShelfTest() { shelf->set_disk(1ULL << 40, 1ULL << 39); }

  BlobRef add(const Bytes& content) {
    const BlobRef blob = blob_of(content);
    shelf->add(now, blob, content, out);
    return blob;
  }
  // What is to be durable is.
  void sync() {
    const Effects done = std::exchange(out, {});
    disk.apply({done.facts, done.file_writes, {}, {}});
    for (const Ticket& ticket : done.tickets) shelf->on_written(ticket, out);
  }
  // A new life; returns what was promised and is missing.
  std::vector<BlobId> reopen() {
    shelf = std::make_unique<Shelf>(config);
    for (const auto& [key, value] : disk.facts) EXPECT_TRUE(shelf->recover_fact(key, value));
    for (const auto& [file, bytes] : disk.files) shelf->recover_pack(file, bytes.size());
    return shelf->finish_recovery();
  }
  ReadDone answer_read(std::size_t i = 0) {
    const FileRead read = out.file_reads.at(i);
    return shelf->on_file_data(now, read.ticket, disk.read(read.extent));
  }

  StoreConfig config;
  std::unique_ptr<Shelf> shelf = std::make_unique<Shelf>(config);
  Effects out;
  Disk disk;
  Instant now{5'000'000};
};

TEST_F(ShelfTest, WhatIsAddedLiesInAPackAndIsFoundAfterARestart) {
  const Bytes content = noise(3000, 1);
  const BlobRef blob = add(content);
  shelf->add_pin(blob.id, kShelfPin, out);
  sync();
  EXPECT_EQ(disk.read(shelf->extent(blob.id)), content);
  const std::uint64_t digest = shelf->digest(blob.id);
  EXPECT_TRUE(reopen().empty());
  EXPECT_TRUE(shelf->holds(blob.id));
  EXPECT_EQ(shelf->ref(blob.id), blob);
  EXPECT_EQ(shelf->pins(blob.id, Pin{}, 10), std::vector<Pin>{kShelfPin});
  EXPECT_EQ(shelf->held_bytes(), 3000U);
  EXPECT_EQ(shelf->digest(blob.id), digest);
}

TEST_F(ShelfTest, AfterARestartNothingIsWrittenOverWhatIsThere) {
  const Bytes first = noise(3000, 1), second = noise(2000, 2);
  const BlobRef old = add(first);
  sync();
  reopen();
  const BlobRef fresh = add(second);
  sync();
  EXPECT_EQ(disk.read(shelf->extent(old.id)), first);
  EXPECT_EQ(disk.read(shelf->extent(fresh.id)), second);
}

TEST_F(ShelfTest, AFullPackIsFollowedByANewOne) {
  std::vector<BlobRef> blobs;
  for (std::uint64_t i = 0; i < 17; ++i) blobs.push_back(add(noise(kMaxBlob, i)));
  EXPECT_EQ(shelf->extent(blobs[0].id).file, "packs/000001");
  EXPECT_EQ(shelf->extent(blobs[14].id).file, "packs/000001");
  EXPECT_EQ(shelf->extent(blobs[16].id).file, "packs/000002");
  for (const FileWrite& write : out.file_writes) {
    EXPECT_LE(write.offset + write.data.size(), kPackSize);
  }
}

TEST_F(ShelfTest, ARestartKnowsWhatACopyIsMissingFromALostOrShortPack) {
  const BlobRef kept = add(noise(1000, 1));
  const BlobRef cut = add(noise(1000, 2));
  shelf->add_pin(kept.id, kShelfPin, out);
  shelf->add_pin(cut.id, kShelfPin, out);
  sync();
  disk.files["packs/000001"].resize(1500);
  EXPECT_EQ(reopen(), std::vector<BlobId>{cut.id});
  EXPECT_TRUE(shelf->holds(kept.id));
  EXPECT_FALSE(shelf->holds(cut.id));
  EXPECT_TRUE(shelf->is_bad(cut.id));
}

TEST_F(ShelfTest, FactsThatMakeNoSenseAreRefused) {
  const std::string id = blob_id_of(Bytes{}).text();
  const Bytes nonsense = to_bytes("nonsense");
  for (const std::string& key :
       {std::string("blob/"), "blob/" + id, "blob/x" + id, "pin/" + id, "pin/" + id + "/1",
        "pin/" + id + "/1/", "pin/" + id + "/70000/1", "pin/" + id + "/1/x",
        std::string("pin/x/1/1"), std::string("vote/1"), std::string()}) {
    EXPECT_EQ(shelf->recover_fact(key, nonsense).error().code, Code::kCorrupt) << key;
  }
  EXPECT_EQ(shelf->held(), 0U);
}

TEST_F(ShelfTest, AReadWaitsUntilTheBytesAreInTheFile) {
  const BlobRef blob = add(noise(100, 1));
  EXPECT_TRUE(shelf->holds(blob.id));
  EXPECT_FALSE(shelf->is_durable(blob.id));
  ASSERT_TRUE(shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out));
  EXPECT_TRUE(out.file_reads.empty());
  sync();
  EXPECT_TRUE(shelf->is_durable(blob.id));
  ASSERT_EQ(out.file_reads.size(), 1U);
  EXPECT_EQ(answer_read().content, noise(100, 1));
}

TEST_F(ShelfTest, ManyReadersCostOneRead) {
  const BlobRef blob = add(noise(100, 1));
  sync();
  for (std::uint64_t i = 0; i < 50; ++i) {
    ASSERT_TRUE(shelf->read(blob.id, {ReadFor::kFetch, i, {}, {}}, out));
  }
  ASSERT_EQ(out.file_reads.size(), 1U);
  EXPECT_EQ(answer_read().jobs.size(), 50U);
  EXPECT_EQ(shelf->reads(), 0U);
}

TEST_F(ShelfTest, ARottenCopyIsNotHeldUntilItReadsWellAgain) {
  const BlobRef blob = add(noise(100, 1));
  sync();
  shelf->take_changes();
  std::uint8_t& byte = disk.files["packs/000001"][kRecordHeader + 5];
  byte ^= 1;
  shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out);
  EXPECT_EQ(answer_read().content.error().code, Code::kCorrupt);
  EXPECT_FALSE(shelf->holds(blob.id));
  EXPECT_EQ(shelf->bad_copies(), 1U);
  byte ^= 1;
  shelf->read(blob.id, {ReadFor::kFetch, 2, {}, {}}, out);
  EXPECT_TRUE(answer_read(1).content);
  EXPECT_TRUE(shelf->holds(blob.id));
  const auto changes = shelf->take_changes();
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].held, -1);
  EXPECT_EQ(changes[1].held, 1);
  EXPECT_EQ(changes[0].delta + changes[1].delta, 0U);
}

TEST_F(ShelfTest, ANewCopyTakesTheBadOnesPlaceEvenWhileThatIsRead) {
  const Bytes content = noise(100, 1);
  const BlobRef blob = add(content);
  sync();
  shelf->mark_bad(blob.id);
  shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out);
  const FileRead old = out.file_reads.front();
  disk.files["packs/000001"][old.extent.offset] ^= 1;
  add(content);
  sync();
  const ReadDone done = shelf->on_file_data(now, old.ticket, disk.read(old.extent));
  EXPECT_FALSE(done.content);
  EXPECT_TRUE(shelf->holds(blob.id));
  EXPECT_EQ(disk.read(shelf->extent(blob.id)), content);
}

TEST_F(ShelfTest, WhatIsServedIsVerifiedByWhoeverAskedForIt) {
  const BlobRef blob = add(noise(100, 1));
  sync();
  disk.files["packs/000001"][kRecordHeader + 5] ^= 1;
  shelf->read(blob.id, {ReadFor::kServe, 1, {}, {}}, out);
  EXPECT_TRUE(answer_read().content);
  // As soon as anybody here relies on it, it is looked at.
  shelf->read(blob.id, {ReadFor::kServe, 1, {}, {}}, out);
  shelf->read(blob.id, {ReadFor::kScrub, 2, {}, {}}, out);
  EXPECT_FALSE(answer_read(1).content);
}

TEST_F(ShelfTest, AHostThatCannotReadJustNowLosesNoCopyByThat) {
  const BlobRef blob = add(noise(100, 1));
  sync();
  shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out);
  const FileRead busy = out.file_reads.front();
  const ReadDone done =
      shelf->on_file_data(now, busy.ticket, fail(Code::kLimit, "too many files are open"));
  EXPECT_FALSE(done.was_read());
  EXPECT_TRUE(shelf->holds(blob.id));
  out = Effects{};
  shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out);
  EXPECT_TRUE(answer_read().content);
  shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out);
  const FileRead broken = out.file_reads.back();
  EXPECT_FALSE(shelf->on_file_data(now, broken.ticket, fail(Code::kFailed, "I/O")).content);
  EXPECT_FALSE(shelf->holds(blob.id)) << "what cannot be read counts as missing";
}

TEST_F(ShelfTest, ReadsAreLimitedByNumberAndBytes) {
  std::vector<BlobRef> blobs;
  for (std::uint64_t i = 0; i < 40; ++i) blobs.push_back(add(noise(kMaxBlob, i)));
  sync();
  std::size_t accepted = 0;
  for (const BlobRef& blob : blobs) {
    accepted += shelf->read(blob.id, {ReadFor::kFetch, 1, {}, {}}, out) ? 1 : 0;
  }
  EXPECT_EQ(accepted, kMaxReadBytes / kMaxBlob);
  answer_read();
  EXPECT_TRUE(shelf->read(blobs.back().id, {ReadFor::kFetch, 1, {}, {}}, out));
}

TEST_F(ShelfTest, CopiesAreTrustedForAWhileAndNotAcrossARestart) {
  const BlobRef blob = add(noise(100, 1));
  sync();
  EXPECT_TRUE(shelf->is_verified(now, blob.id));
  EXPECT_FALSE(shelf->is_verified(now + config.trust_verified + seconds(2), blob.id));
  reopen();
  EXPECT_FALSE(shelf->is_verified(now, blob.id));
}

TEST_F(ShelfTest, TheReserveOfTheDiskIsNotTouched) {
  shelf->set_disk(100ULL << 30, config.disk_reserve + 1'000'000);
  EXPECT_TRUE(shelf->has_room_for(900'000));
  EXPECT_FALSE(shelf->has_room_for(1'000'000));
  add(noise(900'000, 1));
  EXPECT_FALSE(shelf->has_room_for(900'000));
  shelf->set_disk(100ULL << 30, 1000);
  EXPECT_FALSE(shelf->has_room_for(0));
  // A small disk keeps a tenth.
  shelf->set_disk(1ULL << 30, 200ULL << 20);
  EXPECT_TRUE(shelf->has_room_for(1 << 20));
}

TEST_F(ShelfTest, TheSumOfAllChangesIsTheDigest) {
  std::uint64_t sum = 0;
  Random random(3);
  const BlobRef blob = add(noise(10, 1));
  sync();
  for (int i = 0; i < 200; ++i) {
    const Pin pin{GroupId{static_cast<std::uint16_t>(random.below(3))}, random.below(5)};
    if (random.chance(0.6)) {
      shelf->add_pin(blob.id, pin, out);
    } else {
      shelf->remove_pin(blob.id, pin, out);
    }
  }
  for (const ShelfChange& change : shelf->take_changes()) sum += change.delta;
  EXPECT_EQ(sum, shelf->digest(blob.id));
  EXPECT_NE(shelf->pins_digest(blob.id), 0U);
}

TEST_F(ShelfTest, PinsComeInOrderAndInPages) {
  const BlobRef blob = add(noise(10, 1));
  const BlobRef other = add(noise(10, 2));
  for (std::uint64_t i = 0; i < 10; ++i) shelf->add_pin(blob.id, {GroupId{1}, 9 - i}, out);
  shelf->add_pin(other.id, kShelfPin, out);
  EXPECT_EQ(shelf->pins(blob.id, Pin{}, 4).back(), (Pin{GroupId{1}, 3}));
  EXPECT_EQ(shelf->pins(blob.id, {GroupId{1}, 4}, 100).size(), 6U);
  EXPECT_TRUE(shelf->pins(blob.id, {GroupId{2}, 0}, 100).empty());
}

}  // namespace
}  // namespace dunlin::store
