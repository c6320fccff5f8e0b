// The contract of os/storage.h, against the real disk and the simulator's.
#include <gtest/gtest.h>
#include <uv.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "dht/journal.h"
#include "os/loop_waker.h"
#include "os/storage.h"
#include "os/temporary_directory.h"
#include "sim/sim_disk.h"

namespace dunlin {
namespace {

// What the suite needs of a disk: input, "wait until all is done", and the next life.
struct Heard {
  std::vector<std::uint64_t> durable;
  std::vector<std::uint64_t> checkpoints;
  std::vector<std::pair<Ticket, Result<Bytes>>> file_data;
};

class RealDisk {
 public:
  RealDisk() {
    uv_loop_init(&loop_);
    waker_.emplace(&loop_);
  }
  ~RealDisk() {
    close();
    waker_->close();
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0);
  }

  Result<DiskImage> open() {
    close();
    auto storage = Storage::open(directory_ / "node", 0);
    if (!storage) return tl::unexpected(storage.error());
    storage_ = std::move(*storage);
    auto image = storage_->read_image();
    storage_->start(&loop_, {[this](std::uint64_t row) { heard_.durable.push_back(row); },
                             [this](std::uint64_t id) { heard_.checkpoints.push_back(id); },
                             [this](const Ticket& ticket, Result<Bytes> data) {
                               heard_.file_data.emplace_back(ticket, std::move(data));
                             },
                             [](bool) {}});
    return image;
  }

  void submit(DiskBatch batch) {
    last_ = batch.row;
    storage_->submit(std::move(batch));
  }
  void checkpoint(CheckpointBatch batch) {
    ++checkpoints_;
    storage_->checkpoint(std::move(batch));
  }
  void read_file(FileExtent extent, Ticket ticket) {
    ++reads_;
    storage_->read_file(std::move(extent), ticket);
  }
  void remove_file(std::string file) { storage_->remove_file(std::move(file)); }

  Heard settle() {
    EXPECT_TRUE(waker_->run_until([this] {
      return (last_ == 0 || (!heard_.durable.empty() && heard_.durable.back() == last_)) &&
             heard_.checkpoints.size() >= checkpoints_ && heard_.file_data.size() >= reads_;
    })) << "the disk does not get on";
    last_ = checkpoints_ = reads_ = 0;
    return std::exchange(heard_, {});
  }

 private:
  void close() {
    storage_.reset();
    uv_run(&loop_, UV_RUN_DEFAULT);
  }

  TemporaryDirectory directory_;
  uv_loop_t loop_;
  std::optional<LoopWaker> waker_;
  std::unique_ptr<Storage> storage_;
  Heard heard_;
  std::uint64_t last_ = 0;
  std::size_t checkpoints_ = 0;
  std::size_t reads_ = 0;
};

class SimulatedDisk {
 public:
  Result<DiskImage> open() {
    settle();
    disk_.crash({});
    return disk_.read_image();
  }
  void submit(DiskBatch batch) { disk_.submit({}, std::move(batch)); }
  void checkpoint(CheckpointBatch batch) { disk_.checkpoint(std::move(batch)); }
  void read_file(FileExtent extent, Ticket ticket) { disk_.read_file(std::move(extent), ticket); }
  void remove_file(std::string file) { disk_.remove_file(std::move(file)); }
  Heard settle() {
    sim::SimDisk::Completions done = disk_.complete();
    Heard heard;
    if (done.durable != 0) heard.durable.push_back(done.durable);
    heard.checkpoints = done.checkpoints;
    heard.file_data = std::move(done.file_data);
    return heard;
  }

 private:
  sim::SimDisk disk_;
};

DiskBatch batch_of(std::uint64_t row, std::string_view data) {
  DiskBatch batch;
  batch.row = row;
  batch.row_data = to_bytes(data);
  return batch;
}

using Rows = std::vector<std::pair<std::uint64_t, Bytes>>;
using Table = std::map<std::string, Bytes>;

template <class Disk>
class DiskContract : public testing::Test {
 protected:
  DiskImage open() {
    auto image = disk_.open();
    EXPECT_TRUE(image.has_value()) << (image ? "" : image.error().message);
    return image ? std::move(*image) : DiskImage{};
  }
  Result<Bytes> read(const std::string& file, std::uint64_t offset, std::uint64_t length) {
    disk_.read_file({file, offset, length}, {Module::kStore, 1, 2, 3});
    Heard heard = disk_.settle();
    EXPECT_EQ(heard.file_data.size(), 1u);
    if (heard.file_data.empty()) return fail(Code::kFailed, "no answer");
    EXPECT_EQ(heard.file_data[0].first.c, 3u);
    return heard.file_data[0].second;
  }
  Disk disk_;
};

using Disks = testing::Types<RealDisk, SimulatedDisk>;
TYPED_TEST_SUITE(DiskContract, Disks);

TYPED_TEST(DiskContract, AnEmptyDiskSaysNothing) {
  const DiskImage image = this->open();
  EXPECT_TRUE(image.rows.empty() && image.facts.empty() && image.state.empty());
  EXPECT_TRUE(image.files.empty());
  EXPECT_EQ(image.witness, 0u);
}

TYPED_TEST(DiskContract, WhatWasReportedDurableIsThereInTheNextLife) {
  this->open();
  DiskBatch batch = batch_of(1, "one");
  batch.facts = {{"vote/1", to_bytes("a")}, {"vote/2", Bytes{}}};
  this->disk_.submit(std::move(batch));
  this->disk_.submit(batch_of(2, std::string("\0\xff", 2)));
  EXPECT_EQ(this->disk_.settle().durable.back(), 2u);
  const DiskImage image = this->open();
  EXPECT_EQ(image.rows, (Rows{{1, to_bytes("one")}, {2, {0, 0xff}}}));
  EXPECT_EQ(image.facts, (Table{{"vote/1", to_bytes("a")}, {"vote/2", {}}}));
  EXPECT_EQ(image.witness, 2u);
}

TYPED_TEST(DiskContract, DurabilityIsReportedInOrderAndUpToTheLastRow) {
  this->open();
  for (std::uint64_t row = 1; row <= 300; ++row) {
    this->disk_.submit(batch_of(row, "row " + std::to_string(row)));
  }
  const Heard heard = this->disk_.settle();
  EXPECT_TRUE(std::is_sorted(heard.durable.begin(), heard.durable.end()));
  EXPECT_EQ(heard.durable.back(), 300u);
  EXPECT_EQ(this->open().rows.size(), 300u);
}

TYPED_TEST(DiskContract, FactsOfABatchAreAppliedInTheirOrder) {
  this->open();
  DiskBatch batch = batch_of(1, "");
  batch.facts = {
      {"a", to_bytes("1")}, {"a", to_bytes("2")}, {"b", to_bytes("3")}, {"b", std::nullopt}};
  this->disk_.submit(std::move(batch));
  batch = batch_of(2, "");
  batch.facts = {{"b", to_bytes("4")}, {"c", to_bytes("5")}, {"never", std::nullopt}};
  this->disk_.submit(std::move(batch));
  this->disk_.settle();
  EXPECT_EQ(this->open().facts,
            (Table{{"a", to_bytes("2")}, {"b", to_bytes("4")}, {"c", to_bytes("5")}}));
}

TYPED_TEST(DiskContract, TrimsAtMostWhatItMay) {
  this->open();
  for (std::uint64_t row = 1; row <= 1000; ++row) this->disk_.submit(batch_of(row, "x"));
  DiskBatch batch = batch_of(1001, "trims");
  batch.trim_below = 900;
  this->disk_.submit(std::move(batch));
  for (std::uint64_t row = 1002; row <= 1010; ++row) {
    this->disk_.submit(batch_of(row, "x"));
    this->disk_.settle();
  }
  const DiskImage image = this->open();
  ASSERT_FALSE(image.rows.empty());
  // Rows below 900 may linger or not; from there on all must be there.
  std::uint64_t expected = image.rows.front().first;
  EXPECT_LE(expected, 900u);
  for (const auto& [row, data] : image.rows) EXPECT_EQ(row, expected++);
  EXPECT_EQ(expected, 1011u);
  EXPECT_GT(image.rows.front().first, 1u) << "nothing was trimmed at all";
}

TYPED_TEST(DiskContract, ARowIsWrittenAnewUnderItsNumber) {
  this->open();
  this->disk_.submit(batch_of(1, "one"));
  this->disk_.submit(batch_of(2, "torn"));
  this->disk_.settle();
  this->open();
  this->disk_.submit(batch_of(2, "whole"));
  this->disk_.settle();
  EXPECT_EQ(this->open().rows, (Rows{{1, to_bytes("one")}, {2, to_bytes("whole")}}));
}

TYPED_TEST(DiskContract, PacksAreWrittenAtTheirOffsetsAndReadBack) {
  this->open();
  DiskBatch batch = batch_of(1, "");
  batch.files = {{"packs/000001", 0, to_bytes("hello")}, {"packs/000002", 3, to_bytes("x")}};
  this->disk_.submit(std::move(batch));
  batch = batch_of(2, "");
  batch.files = {{"packs/000001", 4, to_bytes("0 world")}};
  this->disk_.submit(std::move(batch));
  this->disk_.settle();
  EXPECT_EQ(to_text(*this->read("packs/000001", 0, 11)), "hell0 world");
  EXPECT_EQ(to_text(*this->read("packs/000001", 6, 3)), "wor");
  EXPECT_EQ(*this->read("packs/000002", 0, 4), (Bytes{0, 0, 0, 'x'}));
  EXPECT_EQ(this->read("packs/000001", 3, 0)->size(), 0u);
  const DiskImage image = this->open();
  EXPECT_EQ(image.files,
            (std::map<std::string, std::uint64_t>{{"packs/000001", 11}, {"packs/000002", 4}}));
  EXPECT_EQ(to_text(*this->read("packs/000001", 0, 5)), "hell0");
}

TYPED_TEST(DiskContract, AMissingPackIsNotFoundAndAShortOneCorrupt) {
  this->open();
  DiskBatch batch = batch_of(1, "");
  batch.files = {{"packs/000001", 0, to_bytes("hello")}};
  this->disk_.submit(std::move(batch));
  this->disk_.settle();
  EXPECT_EQ(this->read("packs/000007", 0, 1).error().code, Code::kNotFound);
  EXPECT_EQ(this->read("packs/000001", 0, 6).error().code, Code::kCorrupt);
  EXPECT_EQ(this->read("packs/000001", 100, 1).error().code, Code::kCorrupt);
  EXPECT_EQ(this->read("packs/000001", UINT64_MAX, 1).has_value(), false);
}

TYPED_TEST(DiskContract, ManyPacksInOneBatchAreAllWritten) {
  this->open();
  DiskBatch batch = batch_of(1, "");
  for (int i = 0; i < 40; ++i) {
    batch.files.push_back({"packs/" + std::to_string(i), 0, to_bytes(std::to_string(i))});
  }
  this->disk_.submit(std::move(batch));
  this->disk_.settle();
  EXPECT_EQ(this->open().files.size(), 40u);
  EXPECT_EQ(to_text(*this->read("packs/39", 0, 2)), "39");
}

TYPED_TEST(DiskContract, ARemovedPackIsGoneOnceTheBatchesBeforeAreDurable) {
  this->open();
  DiskBatch batch = batch_of(1, "");
  batch.files = {{"packs/000001", 0, to_bytes("hello")}};
  this->disk_.submit(std::move(batch));
  this->disk_.remove_file("packs/000001");
  this->disk_.remove_file("packs/never-there");
  this->disk_.submit(batch_of(2, ""));
  this->disk_.settle();
  // The removal follows the batches, and a read may come in between.
  const Instant end = monotonic_now() + LoopWaker::kPatience;
  bool is_there = true;
  while (is_there && monotonic_now() < end) {
    is_there = this->read("packs/000001", 0, 1).has_value();
  }
  EXPECT_FALSE(is_there);
  EXPECT_TRUE(this->open().files.empty());
}

TYPED_TEST(DiskContract, CheckpointsReplaceAndEraseRowsOfTheState) {
  this->open();
  this->disk_.submit(batch_of(1, ""));
  this->disk_.checkpoint({1, {{"a", to_bytes("1")}, {"b", to_bytes("2")}, {"", to_bytes("m")}}});
  this->disk_.checkpoint({2, {{"a", std::nullopt}, {"b", to_bytes("3")}, {"", to_bytes("n")}}});
  EXPECT_EQ(this->disk_.settle().checkpoints, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(this->open().state, (Table{{"", to_bytes("n")}, {"b", to_bytes("3")}}));
}

TYPED_TEST(DiskContract, LargeRowsAndFactsComeBackWhole) {
  this->open();
  DiskBatch batch = batch_of(1, "");
  batch.row_data.assign(6 * 1024 * 1024, 0xab);
  batch.facts = {{"big", Bytes(300'000, 0xcd)}};
  this->disk_.submit(batch);
  this->disk_.settle();
  const DiskImage image = this->open();
  ASSERT_EQ(image.rows.size(), 1u);
  EXPECT_EQ(image.rows[0].second, batch.row_data);
  EXPECT_EQ(image.facts.at("big"), *batch.facts[0].second);
}

// The journal and a disk through several lives, as a node uses them.
TYPED_TEST(DiskContract, CarriesAJournalThroughManyLives) {
  std::string written;
  for (int life = 0; life < 5; ++life) {
    Journal journal;
    auto recovered = journal.open(this->open());
    ASSERT_TRUE(recovered.has_value()) << recovered.error().message;
    EXPECT_FALSE(recovered->torn);
    std::string read;
    for (const auto& record : recovered->records) read += to_text(record.data);
    EXPECT_TRUE(written.ends_with(read)) << read << " of " << written;
    EXPECT_EQ(recovered->facts.count("node/boot"), life == 0 ? 0u : 1u);
    for (int i = 0; i < 20; ++i) {
      Effects effects;
      effects.row = journal.next_row();
      const std::string text = std::to_string(life) + ":" + std::to_string(i) + " ";
      effects.append(Module::kNode, to_bytes(text));
      effects.put_fact("node/boot", to_bytes(text));
      written += text;
      if (i == 15 && life > 0) effects.trim_below = effects.row - 5;
      this->disk_.submit(journal.seal(effects));
    }
    for (const std::uint64_t row : this->disk_.settle().durable) journal.on_durable(row);
    this->disk_.checkpoint(journal.seal_checkpoint({{"state", to_bytes(written)}}));
    for (const std::uint64_t id : this->disk_.settle().checkpoints) journal.on_checkpoint(id);
  }
}

}  // namespace
}  // namespace dunlin
