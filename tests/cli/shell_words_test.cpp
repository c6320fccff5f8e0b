#include "cli/shell_words.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dunlin {
namespace {

TEST(ShellWords, AreTakenApartAsAShellWould) {
  const auto words = [](const std::string& line) {
    const auto read = shell_words_from(line);
    if (!read) return "wrong: " + read.error().message;
    std::string text;
    for (const std::string& word : *read) text += "[" + word + "]";
    return text;
  };
  EXPECT_EQ(words("  a  'b c' \"d 'e'\" f\\ g "), "[a][b c][d 'e'][f g]");
  EXPECT_EQ(words("--env=A='x y'z '' \"\""), "[--env=A=x yz][][]");
  EXPECT_EQ(words("\"a\\\"b\\n\" 'c\\d'"), "[a\"b\\n][c\\d]");
  EXPECT_EQ(words("a#b # c d"), "[a#b]");
  EXPECT_EQ(words("a 'b"), "wrong: the quote ' is not closed");
  EXPECT_EQ(words(""), "");
}

TEST(ShellWords, AreReadBackAsTheyWere) {
  const std::vector<std::string> words = {"./work", "{}", "it's", "a b", "", "$HOME", "a\"b", "#"};
  const std::string line = shell_line(words);
  EXPECT_EQ(line, "./work {} 'it'\\''s' 'a b' '' '$HOME' 'a\"b' '#'");
  EXPECT_EQ(shell_words_from(line).value_or(std::vector<std::string>()), words);
}

}  // namespace
}  // namespace dunlin
