// The simulator's disk: each fault does what it says, is counted when it took effect, and meets
// the journal as it should. (What it shares with the real disk: tests/os/disk_contract_test.cpp.)
#include "sim/sim_disk.h"

#include <gtest/gtest.h>

namespace dunlin::sim {
namespace {

// A journal over a simulated disk; record N is "N", fact "k" is the newest number.
struct Life {
  SimDisk disk;
  Journal journal;
  Recovered recovered;

  Life() { restart(); }

  Result<void> restart() {
    journal = Journal();
    auto opened = journal.open(*disk.read_image());
    if (!opened) return tl::unexpected(opened.error());
    recovered = std::move(*opened);
    return {};
  }
  bool is_corrupt() {
    const Result<void> opened = restart();
    return !opened && opened.error().code == Code::kCorrupt;
  }
  void submit(bool with_fact = true, Instant now = {}) {
    Effects effects;
    effects.row = journal.next_row();
    const std::string text = std::to_string(effects.row);
    effects.append(Module::kGroups, to_bytes(text));
    if (with_fact) effects.put_fact("k", to_bytes(text));
    effects.file_writes.push_back({"packs/1", effects.row, to_bytes("x")});
    disk.submit(now, journal.seal(effects));
  }
  void write(int batches, bool with_fact = true) {
    for (int i = 0; i < batches; ++i) submit(with_fact);
    journal.on_durable(disk.complete().durable);
  }
  void checkpoint() {
    disk.checkpoint(journal.seal_checkpoint({{"s", to_bytes("state")}}));
    for (const std::uint64_t id : disk.complete().checkpoints) journal.on_checkpoint(id);
  }
  std::uint64_t last() const { return recovered.next_row - 1; }
};

TEST(SimDisk, ACrashLosesWhatWasNotCompletedAndNothingElse) {
  Life life;
  life.write(3);
  life.submit();
  life.submit();
  life.disk.crash({});
  ASSERT_TRUE(life.restart().has_value());
  EXPECT_EQ(life.last(), 3u);
  EXPECT_EQ(to_text(life.recovered.facts["k"]), "3");
  EXPECT_EQ(life.disk.count(DiskFault::kLostBatches), 1u);
  EXPECT_FALSE(life.disk.has_waiting());
  EXPECT_EQ(life.recovered.files["packs/1"], 4u);
}

TEST(SimDisk, ACrashMayKeepAPrefixThatNobodyWasToldOf) {
  Life life;
  life.write(3);
  for (int i = 0; i < 4; ++i) life.submit();
  Crash crash;
  crash.keep_batches = 2;
  life.disk.crash(crash);
  ASSERT_TRUE(life.restart().has_value());
  EXPECT_EQ(life.last(), 5u);
  EXPECT_EQ(to_text(life.recovered.facts["k"]), "5");
}

TEST(SimDisk, ACrashWithNothingWaitingCountsAsNoFault) {
  Life life;
  life.write(3);
  life.disk.crash({});
  for (int i = 0; i <= static_cast<int>(DiskFault::kLast); ++i) {
    EXPECT_EQ(life.disk.count(static_cast<DiskFault>(i)), 0u) << i;
    EXPECT_STRNE(name_of(static_cast<DiskFault>(i)), "");
  }
}

TEST(SimDisk, EveryTearIsHarmlessToTheJournal) {
  for (std::size_t bytes = 0; bytes < 60; ++bytes) {
    Life life;
    life.write(2);
    life.submit();
    life.submit();
    Crash crash;
    crash.keep_batches = 1;
    crash.tear = true;
    crash.torn_bytes = bytes;
    life.disk.crash(crash);
    const Result<void> opened = life.restart();
    ASSERT_TRUE(opened.has_value()) << bytes << ": " << opened.error().message;
    EXPECT_TRUE(life.recovered.torn);
    EXPECT_EQ(life.last(), 3u);
    EXPECT_EQ(life.disk.count(DiskFault::kTornRow), 1u);
    life.write(1);
    ASSERT_TRUE(life.restart().has_value());
    EXPECT_EQ(life.last(), 4u);
    EXPECT_FALSE(life.recovered.torn);
  }
}

TEST(SimDisk, PacksOfLostBatchesMayBeThere) {
  Life life;
  life.write(1);
  life.submit();
  Crash crash;
  crash.leak_files = true;
  life.disk.crash(crash);
  ASSERT_TRUE(life.restart().has_value());
  EXPECT_EQ(life.last(), 1u);
  EXPECT_EQ(life.recovered.files["packs/1"], 3u);
  EXPECT_EQ(life.disk.count(DiskFault::kTornFile), 1u);
}

TEST(SimDisk, APowerCutTurnsTheWitnessBackButNotBehindTheFirstRowOfItsLife) {
  Life life;
  life.write(2);
  life.write(3);
  Crash crash;
  crash.witness_lag = 2;
  life.disk.crash(crash);
  EXPECT_EQ(life.disk.read_image()->witness, 3u);
  crash.witness_lag = 1000;
  life.disk.crash(crash);
  EXPECT_EQ(life.disk.read_image()->witness, 1u);
  EXPECT_EQ(life.disk.count(DiskFault::kLaggingWitness), 2u);
  EXPECT_TRUE(life.restart().has_value());
}

TEST(SimDisk, EveryFlippedBitOfTheDatabasesIsFoundAndOfPacksIsRead) {
  using Flip = bool (SimDisk::*)(Random&);
  const std::pair<Flip, DiskFault> flips[] = {{&SimDisk::flip_row, DiskFault::kFlippedRow},
                                              {&SimDisk::flip_fact, DiskFault::kFlippedFact},
                                              {&SimDisk::flip_state, DiskFault::kFlippedState}};
  for (const auto& [flip, fault] : flips) {
    for (std::uint64_t seed = 1; seed < 100; ++seed) {
      Life life;
      Random random(seed);
      EXPECT_FALSE((life.disk.*flip)(random)) << "there is nothing to flip";
      life.write(4);
      life.checkpoint();
      EXPECT_TRUE((life.disk.*flip)(random));
      EXPECT_EQ(life.disk.count(fault), 1u);
      EXPECT_TRUE(life.is_corrupt()) << seed;
    }
  }
  Life life;
  Random random(1);
  life.write(1);
  EXPECT_TRUE(life.disk.flip_file(random));
  life.disk.read_file({"packs/1", 0, 2}, {});
  EXPECT_NE(*life.disk.complete().file_data[0].second, (Bytes{0, 'x'}));
  EXPECT_TRUE(life.restart().has_value());
}

TEST(SimDisk, ALostTailIsAmnesiaAsFarAsAnythingWitnessesIt) {
  Life life;
  life.write(5);
  EXPECT_TRUE(life.disk.lose_tail(2));
  EXPECT_TRUE(life.is_corrupt());
  // With an older witness nothing on this disk can tell, and the facts are of that time too.
  Life blind;
  blind.write(5);
  Crash crash;
  crash.witness_lag = 2;
  blind.disk.crash(crash);
  EXPECT_TRUE(blind.disk.lose_tail(2));
  ASSERT_TRUE(blind.restart().has_value());
  EXPECT_EQ(blind.last(), 3u);
  EXPECT_EQ(to_text(blind.recovered.facts["k"]), "3");
  // A checkpoint made since then can.
  Life marked;
  marked.write(5);
  marked.checkpoint();
  marked.disk.crash(crash);
  EXPECT_TRUE(marked.disk.lose_tail(2));
  EXPECT_TRUE(marked.is_corrupt());
  EXPECT_EQ(marked.disk.count(DiskFault::kLostTail), 1u);
}

TEST(SimDisk, ALostTailBringsTrimmedRowsBack) {
  Life life;
  life.write(5);
  Effects effects;
  effects.row = life.journal.next_row();
  effects.trim_below = 4;
  life.disk.submit({}, life.journal.seal(effects));
  life.disk.complete();
  EXPECT_EQ(life.disk.read_image()->rows.front().first, 4u);
  EXPECT_TRUE(life.disk.lose_tail(1));
  EXPECT_EQ(life.disk.read_image()->rows.front().first, 1u);
}

TEST(SimDisk, ALostLogOrStateIsAmnesia) {
  Life life;
  EXPECT_FALSE(life.disk.lose_log());
  life.write(2);
  EXPECT_FALSE(life.disk.lose_state());
  life.checkpoint();
  life.write(1);
  const SimDisk::Snapshot whole = life.disk.snapshot();
  EXPECT_TRUE(life.disk.lose_log());
  EXPECT_TRUE(life.is_corrupt());
  life.disk.restore(whole);
  EXPECT_TRUE(life.restart().has_value());
  EXPECT_TRUE(life.disk.lose_state());
  EXPECT_TRUE(life.is_corrupt());
}

TEST(SimDisk, ARestoredCopyLooksWholeToTheJournal) {
  Life life;
  life.write(2);
  const SimDisk::Snapshot copy = life.disk.snapshot();
  life.write(5);
  life.disk.crash({});
  life.disk.restore(copy);
  ASSERT_TRUE(life.restart().has_value()) << "only boot counters and peers unmask it";
  EXPECT_EQ(life.last(), 2u);
  EXPECT_EQ(life.disk.count(DiskFault::kRestored), 1u);
}

TEST(SimDisk, AFullDiskUsesItsReserveThenEndsTheProcess) {
  Life life;
  life.write(1);
  life.disk.set_full(true);
  EXPECT_EQ(life.disk.complete().disk_full, std::nullopt) << "nobody has noticed yet";
  life.submit();
  life.disk.checkpoint(life.journal.seal_checkpoint({}));
  SimDisk::Completions done = life.disk.complete();
  EXPECT_EQ(done.disk_full, true);
  EXPECT_EQ(done.durable, 2u);
  EXPECT_TRUE(done.checkpoints.empty());
  life.disk.set_full(false);
  done = life.disk.complete();
  EXPECT_EQ(done.disk_full, false);
  EXPECT_EQ(done.checkpoints.size(), 1u);
  life.disk.set_full(true);
  std::uint64_t durable = 2;
  do {
    life.submit();
    done = life.disk.complete();
    if (done.durable != 0) durable = done.durable;
  } while (!done.fatal);
  EXPECT_GT(durable, 1000u);
  life.disk.crash({});
  ASSERT_TRUE(life.restart().has_value());
  EXPECT_EQ(life.last(), durable);
  EXPECT_EQ(life.disk.count(DiskFault::kFull), 2u);
}

TEST(SimDisk, AFailedWriteAcknowledgesNothingAndMayBeThereOrNot) {
  for (const std::size_t kept : {0u, 1u}) {
    Life life;
    life.write(2);
    life.disk.fail_next_write();
    life.submit();
    const SimDisk::Completions done = life.disk.complete();
    EXPECT_EQ(done.durable, 0u);
    EXPECT_TRUE(done.fatal.has_value());
    Crash crash;
    crash.keep_batches = kept;
    life.disk.crash(crash);
    ASSERT_TRUE(life.restart().has_value());
    EXPECT_EQ(life.last(), 2 + kept);
    EXPECT_EQ(life.disk.count(DiskFault::kIoError), 1u);
  }
}

TEST(SimDisk, AHungDiskSaysNothingUntilItIsReleased) {
  Life life;
  life.write(1);
  life.disk.set_hung(true);
  EXPECT_EQ(life.disk.complete().durable, 0u);
  EXPECT_EQ(life.disk.count(DiskFault::kHang), 0u) << "nothing had to wait";
  life.submit(true, Instant{1000});
  life.submit(true, Instant{5000});
  EXPECT_EQ(life.disk.complete().durable, 0u);
  EXPECT_EQ(life.disk.complete().durable, 0u);
  EXPECT_EQ(life.disk.count(DiskFault::kHang), 1u);
  EXPECT_EQ(life.disk.stalled_since(Instant{1999}, microseconds(1000)), std::nullopt);
  EXPECT_EQ(life.disk.stalled_since(Instant{2000}, microseconds(1000)), Instant{1000});
  EXPECT_GT(life.disk.backlog(), 0u);
  life.disk.set_hung(false);
  EXPECT_EQ(life.disk.complete(1).durable, 2u);
  EXPECT_EQ(life.disk.complete().durable, 3u);
  EXPECT_EQ(life.disk.stalled_since(Instant::never(), microseconds(1)), std::nullopt);
}

}  // namespace
}  // namespace dunlin::sim
