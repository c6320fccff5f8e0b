// Every way a disk can come back, and what the journal says to it. The disk here is a DiskImage to
// which batches are applied as a disk would.
#include "dht/journal.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace dunlin {
namespace {

void apply(const std::vector<KeyedChange>& changes, std::map<std::string, Bytes>& table) {
  for (const auto& [key, value] : changes) {
    if (value) {
      table[key] = *value;
    } else {
      table.erase(key);
    }
  }
}

// A node's journal and the disk below it; every batch is durable at once.
struct Life {
  Journal journal;
  DiskImage disk;
  Recovered recovered;

  explicit Life(DiskImage image = {}) : disk(image) {
    auto opened = journal.open(std::move(image));
    EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().message);
    if (opened) recovered = std::move(*opened);
  }

  void write(Effects effects) {
    effects.row = journal.next_row();
    const DiskBatch batch = journal.seal(effects);
    std::erase_if(disk.rows, [&](const auto& row) {
      return row.first == batch.row || row.first < batch.trim_below;
    });
    disk.rows.emplace_back(batch.row, batch.row_data);
    apply(batch.facts, disk.facts);
    journal.on_durable(batch.row);
  }

  void record(std::string_view text) {
    Effects effects;
    effects.append(Module::kGroups, to_bytes(text));
    write(std::move(effects));
  }

  void fact(const std::string& key, std::optional<std::string_view> value) {
    Effects effects;
    if (value) {
      effects.put_fact(key, to_bytes(*value));
    } else {
      effects.erase_fact(key);
    }
    write(std::move(effects));
  }

  void trim(std::uint64_t below) {
    Effects effects;
    effects.trim_below = below;
    write(std::move(effects));
  }

  CheckpointBatch seal_checkpoint(const std::string& key, std::string_view value) {
    return journal.seal_checkpoint({{key, to_bytes(value)}});
  }

  void checkpoint(const std::string& key, std::string_view value) {
    const CheckpointBatch batch = seal_checkpoint(key, value);
    apply(batch.rows, disk.state);
    journal.on_checkpoint(batch.id);
  }
};

Result<Recovered> open(DiskImage image) {
  return Journal().open(std::move(image));
}

// "group:text group:text ...", what a reader of the log sees.
std::string records_of(const Recovered& recovered) {
  std::string all;
  for (const auto& record : recovered.records) {
    all += std::to_string(record.row) + ":" + to_text(record.data) + " ";
  }
  return all;
}

// Three records, a fact in between: rows 1 to 4.
Life small_life() {
  Life life;
  life.record("a");
  life.record("b");
  life.fact("vote/1", "x");
  life.record("c");
  return life;
}

void expect_corrupt(const DiskImage& image, const std::string& word) {
  const Result<Recovered> opened = open(image);
  ASSERT_FALSE(opened.has_value()) << "expected: " << word;
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
  EXPECT_NE(opened.error().message.find(word), std::string::npos) << opened.error().message;
  EXPECT_FALSE(opened.error().hint.empty());
}

TEST(Journal, AnEmptyDiskIsANewOne) {
  const auto opened = open({});
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->next_row, 1u);
  EXPECT_TRUE(opened->records.empty() && opened->facts.empty() && opened->state.empty());
  EXPECT_FALSE(opened->torn);
}

TEST(Journal, GivesBackWhatWasWrittenInItsOrder) {
  Life life;
  Effects effects;
  effects.append(Module::kGroups, to_bytes("a"));
  effects.append(Module::kSched, to_bytes("b"));
  effects.put_fact("vote/1", to_bytes("x"));
  effects.put_fact("vote/1", to_bytes("y"));
  effects.put_fact("vote/2", to_bytes("z"));
  life.write(std::move(effects));
  life.record("c");
  life.fact("vote/2", std::nullopt);
  life.checkpoint("group/1", "state");
  const auto opened = open(life.disk);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(records_of(*opened), "1:a 1:b 2:c ");
  EXPECT_EQ(opened->records[0].module, Module::kGroups);
  EXPECT_EQ(opened->records[1].module, Module::kSched);
  EXPECT_EQ(opened->facts, (std::map<std::string, Bytes>{{"vote/1", to_bytes("y")}}));
  EXPECT_EQ(opened->state, (std::map<std::string, Bytes>{{"group/1", to_bytes("state")}}));
  EXPECT_EQ(opened->next_row, 4u);
}

TEST(Journal, SealingEmptiesTheDurablePartOfTheEffectsAndNothingElse) {
  Journal journal;
  ASSERT_TRUE(journal.open({}).has_value());
  Effects effects;
  EXPECT_FALSE(journal.needs_batch(effects));
  effects.row = journal.next_row();
  effects.append(Module::kStore, to_bytes("a"));
  effects.put_fact("pin/1", {});
  effects.file_writes.push_back({"packs/000001", 7, to_bytes("bytes")});
  effects.send_when_durable({}, Channel::kStream, to_bytes("promise"));
  EXPECT_TRUE(journal.needs_batch(effects));
  const DiskBatch batch = journal.seal(effects);
  EXPECT_FALSE(effects.has_durable());
  EXPECT_EQ(effects.sends_when_durable.size(), 1u);
  EXPECT_EQ(batch.row, 1u);
  ASSERT_EQ(batch.files.size(), 1u);
  EXPECT_EQ(batch.files[0].offset, 7u);
  EXPECT_EQ(journal.last_row(), 1u);
}

TEST(Journal, GoesOnAfterARestartWhereItEnded) {
  Life life = small_life();
  Life second(life.disk);
  EXPECT_EQ(records_of(second.recovered), "1:a 2:b 4:c ");
  second.record("d");
  second.fact("vote/1", "later");
  Life third(second.disk);
  EXPECT_EQ(records_of(third.recovered), "1:a 2:b 4:c 5:d ");
  EXPECT_EQ(to_text(third.recovered.facts["vote/1"]), "later");
}

TEST(Journal, DropsATornLastRowAboveTheWitnessAndWritesItAnew) {
  Life life = small_life();
  life.disk.rows.back().second.pop_back();
  life.disk.witness = 3;
  Life second(life.disk);
  EXPECT_TRUE(second.recovered.torn);
  EXPECT_EQ(records_of(second.recovered), "1:a 2:b ");
  EXPECT_EQ(second.journal.next_row(), 4u);
  second.record("other");
  Life third(second.disk);
  EXPECT_FALSE(third.recovered.torn);
  EXPECT_EQ(records_of(third.recovered), "1:a 2:b 4:other ");
}

TEST(Journal, AMissingTailAboveTheWitnessIsHarmless) {
  Life life = small_life();
  life.disk.rows.pop_back();
  life.disk.witness = 3;
  const auto opened = open(life.disk);
  ASSERT_TRUE(opened.has_value());
  EXPECT_EQ(opened->next_row, 4u);
}

TEST(Journal, ATornVeryFirstRowIsANewDisk) {
  Life life;
  life.record("a");
  life.disk.rows[0].second.resize(9);
  const auto opened = open(life.disk);
  ASSERT_TRUE(opened.has_value());
  EXPECT_TRUE(opened->torn);
  EXPECT_EQ(opened->next_row, 1u);
}

TEST(Journal, ATornRowWhoseFactsAreThereIsCorrupt) {
  Life life;
  life.record("a");
  life.fact("vote/1", "x");
  life.disk.rows.back().second.pop_back();
  expect_corrupt(life.disk, "facts are missing or not as row 1 left them");
}

TEST(Journal, TwoTornRowsAreCorrupt) {
  Life life = small_life();
  life.disk.rows[2].second.pop_back();
  life.disk.rows[3].second.pop_back();
  life.disk.facts.clear();
  expect_corrupt(life.disk, "row 3 is damaged");
}

TEST(Journal, AnythingBadOrMissingAtOrBelowTheWitnessIsCorrupt) {
  Life life = small_life();
  life.disk.witness = 4;
  ASSERT_TRUE(open(life.disk).has_value());
  DiskImage torn = life.disk;
  torn.rows.back().second.pop_back();
  expect_corrupt(torn, "row 4 is damaged");
  DiskImage shorter = life.disk;
  shorter.rows.pop_back();
  expect_corrupt(shorter, "row 4 was durable, and the last one left is 3");
}

TEST(Journal, AHoleIsCorruptWhereverItIs) {
  const Life life = small_life();
  for (std::size_t i = 0; i + 1 < life.disk.rows.size(); ++i) {
    DiskImage image = life.disk;
    image.rows.erase(image.rows.begin() + static_cast<std::ptrdiff_t>(i));
    expect_corrupt(image, "row " + std::to_string(i + 1) + " is missing");
  }
}

TEST(Journal, ARowOfAnotherLifeIsCorrupt) {
  const Life life = small_life();
  Life other;
  other.record("a");
  other.record("not b");
  DiskImage image = life.disk;
  image.rows[1] = other.disk.rows[1];
  expect_corrupt(image, "row 3 is damaged");
  // A row that stands in another's place.
  image = life.disk;
  image.rows[1].second = image.rows[0].second;
  expect_corrupt(image, "row 2 is damaged");
}

TEST(Journal, ALostOrOutdatedOrForeignFactIsCorrupt) {
  Life life;
  life.fact("epoch/1", "1");
  life.fact("vote/1", "x");
  const Bytes old = life.disk.facts["vote/1"];
  life.fact("vote/1", "y");
  DiskImage lost = life.disk;
  lost.facts.erase("vote/1");
  expect_corrupt(lost, "facts are missing");
  DiskImage outdated = life.disk;
  outdated.facts["vote/1"] = old;
  expect_corrupt(outdated, "facts are missing or not as row 3");
  DiskImage foreign = life.disk;
  foreign.facts["vote/2"] = old;
  expect_corrupt(foreign, "fact 'vote/2' does not match its checksum");
  DiskImage undead = life.disk;
  life.fact("vote/1", std::nullopt);
  undead.rows = life.disk.rows;
  expect_corrupt(undead, "facts are missing or not as row 4");
}

TEST(Journal, TrimsRowsButNeverTheNewest) {
  Life life = small_life();
  life.trim(4);
  EXPECT_EQ(life.disk.rows.front().first, 4u);
  Life second(life.disk);
  EXPECT_EQ(records_of(second.recovered), "4:c ");
  second.trim(1000);
  ASSERT_EQ(second.disk.rows.size(), 1u);
  Life third(second.disk);
  EXPECT_EQ(third.journal.next_row(), 7u);
  EXPECT_EQ(to_text(third.recovered.facts["vote/1"]), "x");
  third.record("d");
  EXPECT_EQ(records_of(*open(third.disk)), "7:d ");
}

TEST(Journal, ATrimToWhereTheLogBeginsAlreadyNeedsNoBatch) {
  Life life = small_life();
  life.trim(3);
  Effects effects;
  effects.trim_below = 3;
  EXPECT_FALSE(life.journal.needs_batch(effects));
  effects.trim_below = 4;
  EXPECT_TRUE(life.journal.needs_batch(effects));
}

TEST(Journal, RowsBelowTheTrimMayStillLieThereInAnyCondition) {
  Life life = small_life();
  const DiskImage before = life.disk;
  life.trim(3);
  life.disk.rows.insert(life.disk.rows.begin(), before.rows[1]);
  life.disk.rows.insert(life.disk.rows.begin(), before.rows[0]);
  life.disk.rows[0].second.clear();
  const auto opened = open(life.disk);
  ASSERT_TRUE(opened.has_value()) << opened.error().message;
  EXPECT_EQ(records_of(*opened), "4:c ");
}

TEST(Journal, ALostFrontIsCorrupt) {
  Life life = small_life();
  life.trim(2);
  life.disk.rows.erase(life.disk.rows.begin());
  expect_corrupt(life.disk, "row 2 is missing");
}

TEST(Journal, ALostLogIsNoEmptyDisk) {
  Life life = small_life();
  DiskImage only_witness;
  only_witness.witness = 4;
  expect_corrupt(only_witness, "row 4 was durable, and the last one left is 0");
  DiskImage only_facts;
  only_facts.facts = life.disk.facts;
  expect_corrupt(only_facts, "the log is lost");
  life.checkpoint("group/1", "s");
  DiskImage only_state;
  only_state.state = life.disk.state;
  expect_corrupt(only_state, "row 4 was durable, and the last one left is 0");
}

TEST(Journal, TheCheckpointWitnessesTheLogWithoutAWitnessFile) {
  Life life = small_life();
  life.checkpoint("group/1", "s");
  life.disk.witness = 0;
  ASSERT_TRUE(open(life.disk).has_value());
  life.disk.rows.pop_back();
  expect_corrupt(life.disk, "row 4 was durable");
}

TEST(Journal, ALostOrOlderStateIsCorruptOnceTheLogReliesOnIt) {
  Life life = small_life();
  life.checkpoint("group/1", "old");
  const auto old = life.disk.state;
  life.checkpoint("group/1", "new");
  DiskImage before = life.disk;
  before.state = old;
  EXPECT_TRUE(open(before).has_value()) << "no row relies on checkpoint 2 yet";
  life.trim(4);
  DiskImage outdated = life.disk;
  outdated.state = old;
  expect_corrupt(outdated, "it is at checkpoint 1, and the log relies on 2");
  DiskImage lost = life.disk;
  lost.state.clear();
  expect_corrupt(lost, "it is at checkpoint 0, and the log relies on 2");
}

TEST(Journal, AStateAheadOfTheLogIsFine) {
  Life life = small_life();
  life.disk.witness = 4;
  const CheckpointBatch batch = life.seal_checkpoint("group/1", "s");
  apply(batch.rows, life.disk.state);  // durable, but the node dies before it knows
  Life second(life.disk);
  EXPECT_EQ(to_text(second.recovered.state["group/1"]), "s");
  second.checkpoint("group/2", "t");
  EXPECT_EQ(open(second.disk)->state.size(), 2u);
}

TEST(Journal, AStateRowLostOrBadOrOutdatedIsCorrupt) {
  Life life = small_life();
  life.checkpoint("group/1", "1");
  const Bytes old = life.disk.state["group/1"];
  life.checkpoint("group/2", "2");
  life.checkpoint("group/1", "3");
  DiskImage lost = life.disk;
  lost.state.erase("group/2");
  expect_corrupt(lost, "rows of checkpoint 3 are missing or outdated");
  DiskImage outdated = life.disk;
  outdated.state["group/1"] = old;
  expect_corrupt(outdated, "rows of checkpoint 3");
  DiskImage bad = life.disk;
  bad.state["group/2"].back() ^= 1;
  expect_corrupt(bad, "row 'group/2' does not match its checksum");
  DiskImage unmarked = life.disk;
  unmarked.state.erase("");
  expect_corrupt(unmarked, "lost its mark");
}

TEST(Journal, AFactCannotStandForAStateRow) {
  Life life;
  life.fact("same", "value");
  life.checkpoint("same", "value");
  EXPECT_NE(life.disk.facts["same"], life.disk.state["same"]);
  life.disk.state["same"] = life.disk.facts["same"];
  expect_corrupt(life.disk, "row 'same' does not match its checksum");
}

// ---- every byte ------------------------------------------------------------------------------

// What was promised: every row up to the witness, and facts and state as they were.
struct Verdict {
  int harmless = 0;
  int corrupt = 0;
};

// Opens a damaged copy: either kCorrupt, or all that the witness covers is there unharmed and at
// most the last row is gone.
void judge(const DiskImage& damaged, const Recovered& truth, Verdict& verdict) {
  const auto opened = open(damaged);
  if (!opened) {
    EXPECT_EQ(opened.error().code, Code::kCorrupt);
    ++verdict.corrupt;
    return;
  }
  ++verdict.harmless;
  EXPECT_GT(opened->next_row, damaged.witness);
  EXPECT_GE(opened->next_row + 1, truth.next_row) << "more than the last row is lost";
  EXPECT_EQ(opened->torn, opened->next_row < truth.next_row);
  EXPECT_EQ(opened->facts, truth.facts);
  EXPECT_EQ(opened->state, truth.state);
  const std::string all = records_of(truth);
  EXPECT_EQ(records_of(*opened), all.substr(0, records_of(*opened).size()));
}

Life busy_life(bool fact_last) {
  Life life = small_life();
  life.trim(2);
  life.checkpoint("group/1", "state");
  life.fact("epoch/1", "9");
  if (fact_last) {
    life.fact("epoch/1", "10");
  } else {
    life.record("last");
  }
  return life;
}

class JournalDamage : public testing::TestWithParam<bool> {};

TEST_P(JournalDamage, NoTruncatedOrFlippedByteIsEverASilentLoss) {
  const Life life = busy_life(GetParam());
  const std::uint64_t newest = life.journal.last_row();
  const Recovered truth = *open(life.disk);
  for (std::uint64_t witness : {std::uint64_t{0}, newest - 1, newest}) {
    Verdict verdict;
    for (std::size_t i = 0; i < life.disk.rows.size(); ++i) {
      for (std::size_t at = 0; at < life.disk.rows[i].second.size(); ++at) {
        DiskImage image = life.disk;
        image.witness = witness;
        image.rows[i].second.resize(at);
        judge(image, truth, verdict);
        for (int bit = 0; bit < 8; ++bit) {
          image = life.disk;
          image.witness = witness;
          image.rows[i].second[at] ^= static_cast<std::uint8_t>(1 << bit);
          judge(image, truth, verdict);
        }
      }
    }
    EXPECT_GT(verdict.corrupt, 0);
    // Only a last row without facts above the witness may go without a word.
    EXPECT_EQ(verdict.harmless > 0, witness < newest && !GetParam());
  }
}

TEST_P(JournalDamage, NoFlippedByteOfAFactOrStateRowPasses) {
  const Life life = busy_life(GetParam());
  const Recovered truth = *open(life.disk);
  Verdict verdict;
  auto damage = [&](std::map<std::string, Bytes> DiskImage::*table) {
    for (const auto& [key, sealed] : life.disk.*table) {
      for (std::size_t at = 0; at < sealed.size(); ++at) {
        DiskImage image = life.disk;
        (image.*table)[key][at] ^= 0x10;
        judge(image, truth, verdict);
        image = life.disk;
        (image.*table)[key].resize(at);
        judge(image, truth, verdict);
      }
    }
  };
  damage(&DiskImage::facts);
  damage(&DiskImage::state);
  EXPECT_EQ(verdict.harmless, 0);
  EXPECT_GT(verdict.corrupt, 100);
}

INSTANTIATE_TEST_SUITE_P(LastRow, JournalDamage, testing::Bool());

// Random lives with restarts, tears and trims: what comes back is what went in.
TEST(Journal, RandomLivesComeBackWhole) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    Life life;
    std::map<std::string, Bytes> facts;
    for (int step = 0; step < 60; ++step) {
      const std::string key = "k" + std::to_string(random.below(5));
      switch (random.below(6)) {
        case 0: life.trim(life.journal.next_row()); break;
        case 1:
          life.fact(key, std::nullopt);
          facts.erase(key);
          break;
        case 2:
          life.fact(key, key + std::to_string(step));
          facts[key] = to_bytes(key + std::to_string(step));
          break;
        case 3:
          if (life.journal.last_row() > 0) life.checkpoint(key, std::to_string(step));
          break;
        case 4: {
          life.disk.witness = random.below(life.journal.next_row());
          life = Life(std::move(life.disk));
          break;
        }
        default: life.record(key); break;
      }
    }
    const auto opened = open(life.disk);
    ASSERT_TRUE(opened.has_value()) << "seed " << seed << ": " << opened.error().message;
    EXPECT_EQ(opened->facts, facts) << "seed " << seed;
    EXPECT_EQ(opened->next_row, life.journal.next_row());
  }
}

}  // namespace
}  // namespace dunlin
