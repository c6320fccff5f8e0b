#include "store/sorted_blocks.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "store/deadlines.h"

namespace dunlin::store {
namespace {

struct Record {
  std::uint32_t key = 0;
  std::uint32_t value = 0;
};
using Blocks = SortedBlocks<Record, &Record::key>;

std::vector<std::uint32_t> keys_from(const Blocks& blocks, std::uint32_t from) {
  std::vector<std::uint32_t> keys;
  blocks.scan(from, [&](const Record& record) {
    keys.push_back(record.key);
    return true;
  });
  return keys;
}

TEST(SortedBlocks, DoesWhatAMapDoes) {
  Random random(1);
  Blocks blocks;
  std::map<std::uint32_t, std::uint32_t> model;
  for (int step = 0; step < 60'000; ++step) {
    const auto key = static_cast<std::uint32_t>(random.below(5000));
    // It grows, shrinks to nothing, and grows again.
    const bool insert = random.chance(step / 20'000 == 1 ? 0.05 : 0.8);
    if (insert) {
      const Record record{key, static_cast<std::uint32_t>(step)};
      EXPECT_EQ(blocks.insert(record), model.emplace(key, record.value).second);
    } else {
      EXPECT_EQ(blocks.erase(key), model.erase(key) == 1);
    }
    ASSERT_EQ(blocks.size(), model.size());
    const auto probe = static_cast<std::uint32_t>(random.below(5000));
    const Record* found = blocks.find(probe);
    ASSERT_EQ(found != nullptr, model.contains(probe));
    if (found != nullptr) {
      EXPECT_EQ(found->value, model.at(probe));
    }
    if (step % 997 != 0) continue;
    std::vector<std::uint32_t> expected;
    for (auto at = model.lower_bound(probe); at != model.end(); ++at) expected.push_back(at->first);
    EXPECT_EQ(keys_from(blocks, probe), expected);
  }
}

TEST(SortedBlocks, AScanEndsWhenItsVisitorHasEnough) {
  Blocks blocks;
  for (std::uint32_t i = 0; i < 1000; ++i) blocks.insert({i, i});
  std::size_t seen = 0;
  blocks.scan(500, [&](const Record&) { return ++seen < 3; });
  EXPECT_EQ(seen, 3U);
}

TEST(Deadlines, AKeyHasOneDeadlineAndTheEarliestComesFirst) {
  Deadlines<int> deadlines;
  EXPECT_EQ(deadlines.next(), Instant::never());
  deadlines.set(1, Instant{50});
  deadlines.set(2, Instant{20});
  deadlines.set(1, Instant{10});
  EXPECT_EQ(deadlines.size(), 2U);
  EXPECT_EQ(deadlines.pop_due(Instant{9}), std::nullopt);
  EXPECT_EQ(deadlines.pop_due(Instant{30}), 1);
  EXPECT_EQ(deadlines.pop_due(Instant{30}), 2);
  EXPECT_EQ(deadlines.pop_due(Instant{90}), std::nullopt);
}

}  // namespace
}  // namespace dunlin::store
