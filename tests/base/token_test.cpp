#include "base/token.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace dunlin {
namespace {

JoinToken some_token(std::uint64_t seed) {
  Random random(seed);
  JoinToken token;
  random.fill(token.cluster.raw);
  random.fill(token.id.raw);
  random.fill(token.secret);
  return token;
}

TEST(Token, SurvivesBeingWrittenAndRead) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const JoinToken token = some_token(seed);
    const auto back = JoinToken::parse("  " + token.text() + "\n");
    ASSERT_TRUE(back);
    EXPECT_EQ(back->cluster, token.cluster);
    EXPECT_EQ(back->id, token.id);
    EXPECT_EQ(back->secret, token.secret);
    EXPECT_EQ(back->psk(), token.psk());
  }
}

TEST(Token, HasAKeyThatDependsOnEveryPart) {
  const JoinToken token = some_token(1);
  JoinToken other = token;
  other.cluster.raw[3] ^= 1;
  EXPECT_NE(other.psk(), token.psk());
  other = token;
  other.id.raw[7] ^= 1;
  EXPECT_NE(other.psk(), token.psk());
  other = token;
  other.secret[15] ^= 1;
  EXPECT_NE(other.psk(), token.psk());
}

TEST(Token, SaysWhatIsWrongWithAMisspeltOne) {
  const std::string good = some_token(2).text();
  auto message = [](const std::string& text) {
    const auto token = JoinToken::parse(text);
    EXPECT_FALSE(token) << text;
    if (token) return std::string();
    EXPECT_EQ(token.error().code, Code::kUsage);
    return token.error().message;
  };
  EXPECT_EQ(message(""), "the token is empty");
  EXPECT_EQ(message("\n"), "the token is empty");
  EXPECT_EQ(message("hello"), "the token does not begin with dun1-");
  EXPECT_EQ(message("dun2" + good.substr(4)),
            "the token is of a version this dunlin does not know");
  EXPECT_EQ(message(good.substr(0, 40)), "the token does not have four parts: was it cut?");
  EXPECT_EQ(message(good.substr(0, good.size() - 1)), "the token has a misspelt secret");
  EXPECT_EQ(message(good + "-x"), "the token does not have four parts: was it cut?");
  std::string bad = good;
  bad[6] = 'u';  // no digit of the alphabet
  EXPECT_EQ(message(bad), "the token has a misspelt cluster id");
}

TEST(Token, SurvivesArbitraryText) {
  Random random(3);
  const std::string good = some_token(4).text();
  for (int i = 0; i < 2000; ++i) {
    std::string text = good;
    const std::uint64_t changes = random.below(4);
    for (std::uint64_t c = 0; c <= changes; ++c) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    text.resize(random.below(text.size() + 1));
    const auto token = JoinToken::parse(text);
    if (token) {
      EXPECT_EQ(JoinToken::parse(token->text())->psk(), token->psk());
    }
  }
}

}  // namespace
}  // namespace dunlin
