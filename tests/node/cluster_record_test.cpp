#include "node/cluster_record.h"

#include <gtest/gtest.h>

#include "base/crypto.h"

namespace dunlin {
namespace {

PublicKey key_of(std::uint8_t n) {
  PublicKey key;
  key.raw[0] = n;
  return key;
}

TokenRecord token_of(std::uint8_t n, std::uint32_t uses, WallTime expires = {}) {
  TokenRecord token;
  token.id.raw[0] = n;
  token.psk.raw[0] = n;
  token.uses = uses;
  token.expires_at = expires;
  return token;
}

Admit admit(const TokenRecord& token, std::uint8_t key, WallTime at = {1000}) {
  return {token.id, key_of(key), "host", at};
}

TEST(ClusterRecord, AdmitsAsManyAsTheTokenHasUses) {
  ClusterRecord record;
  const TokenRecord token = token_of(1, 2);
  ASSERT_TRUE(record.apply(AddToken{token}));
  EXPECT_TRUE(record.apply(admit(token, 1)));
  EXPECT_TRUE(record.apply(admit(token, 2)));
  const Result<void> third = record.apply(admit(token, 3));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::kRefused);
  EXPECT_TRUE(record.is_admitted(node_id_of(key_of(2))));
  EXPECT_FALSE(record.is_admitted(node_id_of(key_of(3))));
}

TEST(ClusterRecord, CountsAKeyAdmittedTwiceOnce) {
  ClusterRecord record;
  const TokenRecord token = token_of(1, 1);
  ASSERT_TRUE(record.apply(AddToken{token}));
  EXPECT_TRUE(record.apply(admit(token, 1)));
  EXPECT_TRUE(record.apply(admit(token, 1)));
  EXPECT_EQ(record.find_token(token.id)->used, 1U);
}

TEST(ClusterRecord, RefusesAnExpiredTokenByTheProposersClock) {
  ClusterRecord record;
  const TokenRecord token = token_of(1, 0, {5000});
  ASSERT_TRUE(record.apply(AddToken{token}));
  EXPECT_TRUE(record.apply(admit(token, 1, {5000})));
  EXPECT_FALSE(record.apply(admit(token, 2, {5001})));
}

TEST(ClusterRecord, RefusesATokenItDoesNotKnow) {
  ClusterRecord record;
  EXPECT_FALSE(record.apply(admit(token_of(9, 1), 1)));
}

TEST(ClusterRecord, KeepsAUsedTokensCountWhenTheTokenIsAddedAgain) {
  ClusterRecord record;
  const TokenRecord token = token_of(1, 1);
  ASSERT_TRUE(record.apply(AddToken{token}));
  ASSERT_TRUE(record.apply(admit(token, 1)));
  ASSERT_TRUE(record.apply(AddToken{token}));
  EXPECT_FALSE(record.apply(admit(token, 2)));
}

TEST(ClusterRecord, TakesTheNewerOfTwoCopiesOnly) {
  ClusterRecord newer;
  const TokenRecord token = token_of(1, 0);
  ASSERT_TRUE(newer.apply(AddToken{token}));
  const Bytes old_copy = newer.encode();
  ASSERT_TRUE(newer.apply(admit(token, 1)));
  ASSERT_TRUE(newer.apply(Retire{node_id_of(key_of(7))}));

  ClusterRecord other;
  ASSERT_TRUE(other.merge(newer.encode()));
  EXPECT_TRUE(other.is_admitted(node_id_of(key_of(1))));
  EXPECT_TRUE(other.is_retired(node_id_of(key_of(7))));
  ASSERT_TRUE(other.merge(old_copy));
  EXPECT_EQ(other.version(), newer.version());
  EXPECT_TRUE(other.is_admitted(node_id_of(key_of(1))));
}

TEST(ClusterRecord, RefusesBytesThatAreNoRecord) {
  ClusterRecord record;
  EXPECT_FALSE(record.merge(as_bytes("nonsense")));
  EXPECT_EQ(record.version(), 0U);
}

}  // namespace
}  // namespace dunlin
