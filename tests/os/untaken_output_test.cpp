#include "os/untaken_output.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "sched/process_events.h"

namespace dunlin {
namespace {

TEST(UntakenOutput, KeepsWhatIsNotTaken) {
  UntakenOutput output;
  EXPECT_EQ(output.end(), 0U);
  output.append(as_bytes("hello "));
  output.append(as_bytes("world"));
  EXPECT_EQ(to_text(output.at(0)), "hello world");
  output.take(6);
  EXPECT_EQ(output.taken(), 6U);
  EXPECT_EQ(output.size(), 5U);
  EXPECT_EQ(to_text(output.at(6)), "world");
  EXPECT_EQ(to_text(output.at(10)), "d");
  EXPECT_TRUE(output.at(11).empty());
}

TEST(UntakenOutput, TakingBackwardsOrBeyondTheEndDoesNoHarm) {
  UntakenOutput output;
  output.append(as_bytes("abc"));
  output.take(2);
  output.take(1);
  EXPECT_EQ(output.taken(), 2U);
  output.take(1000);
  EXPECT_EQ(output.taken(), 3U);
  EXPECT_EQ(output.size(), 0U);
  output.append(as_bytes("d"));
  EXPECT_EQ(to_text(output.at(3)), "d");
}

TEST(UntakenOutput, AgreesWithAPlainStringWhateverTheOrder) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    UntakenOutput output;
    std::string model;
    for (int step = 0; step < 60; ++step) {
      if (random.chance(0.6)) {
        const std::string more(random.below(3) == 0 ? random.below(200'000) : random.below(50),
                               static_cast<char>('a' + random.below(26)));
        output.append(as_bytes(more));
        model += more;
      } else {
        output.take(output.taken() + random.below(output.size() + 2));
      }
      ASSERT_EQ(output.end(), model.size());
      std::string rest;
      while (output.taken() + rest.size() < output.end()) {
        const ByteView piece = output.at(output.taken() + rest.size());
        ASSERT_FALSE(piece.empty());
        ASSERT_LE(piece.size(), kMaxOutputPiece);
        rest += as_text(piece);
      }
      ASSERT_EQ(rest, model.substr(output.taken()));
    }
  }
}

}  // namespace
}  // namespace dunlin
