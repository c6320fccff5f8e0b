#include "os/glob.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

TEST(Glob, MatchesAsAShellDoes) {
  EXPECT_TRUE(glob_matches("a.txt", "a.txt"));
  EXPECT_FALSE(glob_matches("a.txt", "aXtxt"));
  EXPECT_TRUE(glob_matches("*.txt", "a.txt"));
  EXPECT_TRUE(glob_matches("*", ""));
  EXPECT_FALSE(glob_matches("?", ""));
  EXPECT_TRUE(glob_matches("a*b*c", "aXXbYYbc"));
  EXPECT_FALSE(glob_matches("a*b*c", "aXXbYYbcd"));
  EXPECT_TRUE(glob_matches("?b?", "abc"));
  EXPECT_TRUE(glob_matches("**", "anything"));
  EXPECT_FALSE(glob_matches("", "a"));
}

TEST(Glob, MatchesSetsAndRanges) {
  EXPECT_TRUE(glob_matches("part-[0-9]", "part-7"));
  EXPECT_FALSE(glob_matches("part-[0-9]", "part-x"));
  EXPECT_TRUE(glob_matches("[!a-c]x", "dx"));
  EXPECT_FALSE(glob_matches("[!a-c]x", "bx"));
  EXPECT_TRUE(glob_matches("[]x]", "]"));
  EXPECT_TRUE(glob_matches("[a-]", "-"));
  EXPECT_TRUE(glob_matches("a[", "a["));
  EXPECT_TRUE(glob_matches("*[0-9]z", "1a2z"));
}

TEST(Glob, ABackslashMakesTheNextCharacterOrdinary) {
  EXPECT_TRUE(glob_matches("\\*", "*"));
  EXPECT_FALSE(glob_matches("\\*", "a"));
  EXPECT_TRUE(glob_matches("\\[a]", "[a]"));
  EXPECT_TRUE(glob_matches("a\\", "a\\"));
}

TEST(Glob, ALeadingDotIsMatchedByADotOnly) {
  EXPECT_FALSE(glob_matches("*", ".hidden"));
  EXPECT_FALSE(glob_matches("?hidden", ".hidden"));
  EXPECT_TRUE(glob_matches(".*", ".hidden"));
}

TEST(Glob, TakesNoLongTimeForANastyPattern) {
  std::string pattern, name(2000, 'a');
  for (int i = 0; i < 500; ++i) pattern += "*a";
  EXPECT_FALSE(glob_matches(pattern + "b", name));
  EXPECT_TRUE(glob_matches(pattern, name));
}

TEST(Glob, SplitsPathsAndRefusesWhatLeavesTheDirectory) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(split_glob("a/*.txt").value(), (Words{"a", "*.txt"}));
  EXPECT_EQ(split_glob("./a//b/").value(), (Words{"a", "b"}));
  for (const char* bad : {"", "/", "/etc/passwd", "../x", "a/../../x", ".", "a/.."}) {
    EXPECT_FALSE(split_glob(bad)) << bad;
  }
}

}  // namespace
}  // namespace dunlin
