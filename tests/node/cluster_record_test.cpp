#include "node/cluster_record.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/crypto.h"
#include "base/effects.h"
#include "node/messages.h"

namespace dunlin {
namespace {

PublicKey key_of(std::uint8_t n) {
  PublicKey key;
  key.raw[0] = n;
  return key;
}

TokenRecord token_of(std::uint16_t n, std::uint32_t uses, WallTime expires = {}) {
  TokenRecord token;
  token.id.raw[0] = static_cast<std::uint8_t>(n);
  token.id.raw[1] = static_cast<std::uint8_t>(n >> 8);
  token.psk.raw[0] = token.id.raw[0];
  token.uses = uses;
  token.expires_at = expires;
  return token;
}

Admit admit(const TokenRecord& token, std::uint8_t key, WallTime at = {1000}) {
  return {token.id, key_of(key), "host", at};
}

// Applies commands at one place of the log after the other.
struct Log {
  ClusterRecord record;
  LogIndex index = 0;
  Result<void> apply(const RecordCommand& command) { return record.apply(++index, command); }
};

TEST(ClusterRecord, AdmitsAsManyAsTheTokenHasUses) {
  Log log;
  ClusterRecord& record = log.record;
  const TokenRecord token = token_of(1, 2);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_TRUE(log.apply(admit(token, 1)));
  EXPECT_TRUE(log.apply(admit(token, 2)));
  const Result<void> third = log.apply(admit(token, 3));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::kRefused);
  EXPECT_TRUE(record.is_admitted(node_id_of(key_of(2))));
  EXPECT_FALSE(record.is_admitted(node_id_of(key_of(3))));
}

TEST(ClusterRecord, CountsAKeyAdmittedTwiceOnce) {
  Log log;
  ClusterRecord& record = log.record;
  const TokenRecord token = token_of(1, 1);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_TRUE(log.apply(admit(token, 1)));
  EXPECT_TRUE(log.apply(admit(token, 1)));
  EXPECT_EQ(record.find_token(token.id)->used, 1U);
}

TEST(ClusterRecord, RefusesAnExpiredTokenByTheProposersClock) {
  Log log;
  const TokenRecord token = token_of(1, 0, {5000});
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_TRUE(log.apply(admit(token, 1, {5000})));
  EXPECT_FALSE(log.apply(admit(token, 2, {5001})));
}

TEST(ClusterRecord, RefusesATokenItDoesNotKnow) {
  Log log;
  EXPECT_FALSE(log.apply(admit(token_of(9, 1), 1)));
}

TEST(ClusterRecord, KeepsAUsedTokensCountWhenTheTokenIsAddedAgain) {
  Log log;
  const TokenRecord token = token_of(1, 1);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  ASSERT_TRUE(log.apply(admit(token, 1)));
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_FALSE(log.apply(admit(token, 2)));
}

TEST(ClusterRecord, TakesTheNewerOfTwoCopiesOnly) {
  Log log;
  ClusterRecord& newer = log.record;
  const TokenRecord token = token_of(1, 0);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  const Bytes old_copy = newer.encode();
  ASSERT_TRUE(log.apply(admit(token, 1)));
  ASSERT_TRUE(log.apply(Retire{node_id_of(key_of(7))}));

  ClusterRecord other;
  ASSERT_TRUE(other.merge(newer.encode()));
  EXPECT_TRUE(other.is_admitted(node_id_of(key_of(1))));
  EXPECT_TRUE(other.is_retired(node_id_of(key_of(7))));
  ASSERT_TRUE(other.merge(old_copy));
  EXPECT_EQ(other.version(), newer.version());
  EXPECT_TRUE(other.is_admitted(node_id_of(key_of(1))));
}

TEST(ClusterRecord, AppliesNothingTwiceThatCameWithACopy) {
  Log leader;
  const TokenRecord token = token_of(1, 1);
  ASSERT_TRUE(leader.apply(AddToken{token, {}}));
  ASSERT_TRUE(leader.apply(admit(token, 1)));
  Log late;
  ASSERT_TRUE(late.record.merge(leader.record.encode()));
  ASSERT_TRUE(late.apply(AddToken{token, {}}));
  ASSERT_TRUE(late.apply(admit(token, 1)));
  EXPECT_EQ(late.record.encode(), leader.record.encode());
}

TEST(ClusterRecord, TokensThatNobodyMayUseMakeRoomForNewOnes) {
  Log log;
  for (std::uint16_t i = 1; i <= kMaxTokens; ++i) {
    const WallTime expires_at{i == 1 ? 0 : 5000};
    ASSERT_TRUE(log.apply(AddToken{token_of(i, 1, expires_at), {1}}));
  }
  EXPECT_FALSE(log.apply(AddToken{token_of(kMaxTokens + 1, 1), {5000}}));
  EXPECT_TRUE(log.apply(AddToken{token_of(kMaxTokens + 1, 1), {5001}}));
  EXPECT_NE(log.record.find_token(token_of(1, 1).id), nullptr) << "it may still be used";
  EXPECT_EQ(log.record.find_token(token_of(2, 1).id), nullptr);
}

TEST(ClusterRecord, RefusesATokenForUsersAtItsDoor) {
  Log log;
  TokenRecord token = token_of(1, 1);
  token.role = "user";
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_FALSE(log.apply(admit(token, 1)));
}

TEST(ClusterRecord, ARevokedTokenLetsNobodyInAndItsBearerIsToldSo) {
  Log log;
  const TokenRecord token = token_of(1, 0);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  ASSERT_TRUE(log.apply(admit(token, 1)));
  ASSERT_TRUE(log.apply(RevokeToken{token.id}));
  ASSERT_TRUE(log.apply(RevokeToken{token.id})) << "asked again after a lost answer";
  const Result<void> late = log.apply(admit(token, 2));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().message, "the token was revoked");
  EXPECT_TRUE(log.record.is_admitted(node_id_of(key_of(1)))) << "who is in stays in";
  EXPECT_EQ(log.apply(RevokeToken{token_of(2, 0).id}).error().code, Code::kNotFound);
  // Added again, as a repeated command may do, it stays revoked.
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_TRUE(log.record.find_token(token.id)->revoked);
}

TEST(ClusterRecord, ATokenOfAUserSaysWhoHeIsUntilItExpiresOrIsRevoked) {
  Log log;
  TokenRecord token = token_of(1, 0, {5000});
  token.role = "user";
  token.user = "ann";
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  EXPECT_EQ(log.record.user_of_token(token.id, {5000}).value_or(""), "ann");
  EXPECT_EQ(log.record.user_of_token(token.id, {5001}).error().message,
            "the token expired at 1970-01-01T00:00:05.000Z");
  ASSERT_TRUE(log.apply(RevokeToken{token.id}));
  EXPECT_EQ(log.record.user_of_token(token.id, {1}).error().message, "the token was revoked");
  ASSERT_TRUE(log.apply(AddToken{token_of(2, 0), {}}));
  EXPECT_FALSE(log.record.user_of_token(token_of(2, 0).id, {1})) << "it is one for nodes";
  EXPECT_FALSE(log.record.user_of_token(token_of(3, 0).id, {1}));
}

TEST(ClusterRecord, NoTokenMakesItsBearerRootOrNobody) {
  TokenRecord token = token_of(1, 0);
  EXPECT_TRUE(check_new_token(token));
  token.user = "ann";
  EXPECT_FALSE(check_new_token(token)) << "a node's token is nobody's";
  token.role = "user";
  EXPECT_TRUE(check_new_token(token));
  token.uses = 1;
  EXPECT_FALSE(check_new_token(token));
  token.uses = 0;
  for (const char* name : {"root", "", "-a", "a b", "a\nb", "a/b"}) {
    token.user = name;
    EXPECT_FALSE(check_new_token(token)) << name;
  }
  token.role = "admin";
  EXPECT_FALSE(check_new_token(token));
}

TEST(ClusterRecord, ACopyByAnOlderVersionIsReadAndItsTokensAreNotRevoked) {
  Log log;
  TokenRecord token = token_of(1, 0);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  Bytes copy = log.record.encode();
  // [version, [[7 fields, false]], ...] as it was written before tokens could be revoked.
  const auto last_field = std::find(copy.rbegin(), copy.rend(), 0xc2);
  ASSERT_NE(last_field, copy.rend());
  copy.erase(std::next(last_field).base());
  const auto head = std::find(copy.begin(), copy.end(), 0x98);
  ASSERT_NE(head, copy.end());
  *head = 0x97;
  ClusterRecord other;
  ASSERT_TRUE(other.merge(copy));
  EXPECT_EQ(other.encode(), log.record.encode());
}

TEST(ClusterRecord, ARetiredIdIsNeverAdmittedAgainAndTakesNoRoom) {
  Log log;
  const TokenRecord token = token_of(1, 0);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  ASSERT_TRUE(log.apply(admit(token, 1)));
  ASSERT_TRUE(log.apply(Retire{node_id_of(key_of(1))}));
  EXPECT_FALSE(log.record.is_admitted(node_id_of(key_of(1))));
  EXPECT_TRUE(log.record.admissions().empty());
  const Result<void> again = log.apply(admit(token, 1));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kRefused);
}

TEST(ClusterRecord, RefusesNamesThatAreTooLong) {
  Log log;
  TokenRecord token = token_of(1, 0);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  Admit long_name = admit(token, 1);
  long_name.name = std::string(kMaxRecordText + 1, 'x');
  EXPECT_EQ(log.apply(long_name).error().code, Code::kLimit);
  token.id.raw[0] = 2;
  token.user = std::string(kMaxRecordText + 1, 'x');
  EXPECT_EQ(log.apply(AddToken{token, {}}).error().code, Code::kLimit);
}

TEST(ClusterRecord, FitsIntoAFrameWhenAllItsLimitsAreReached) {
  Log log;
  TokenRecord token = token_of(1, 0);
  token.user = std::string(kMaxRecordText, 'u');
  token.role = "node";
  token.used = 1U << 31;
  token.expires_at = {1'800'000'000'000};
  const std::string name(kMaxRecordText, 'n');
  Result<void> added;
  for (std::uint32_t n = 0; added; ++n) {
    put_u32(token.id.raw.data(), n);
    added = log.apply(AddToken{token, {}});
  }
  EXPECT_EQ(added.error().code, Code::kLimit);
  PublicKey key;
  std::uint32_t next_key = 0;
  const auto fresh_key = [&] {
    put_u32(key.raw.data(), ++next_key);
    return key;
  };
  const Retire known{node_id_of(fresh_key())};
  Result<void> retired = log.apply(known);
  while (retired) retired = log.apply(Retire{node_id_of(fresh_key())});
  EXPECT_EQ(retired.error().code, Code::kLimit);
  EXPECT_TRUE(log.apply(known)) << "what is so already needs no room";
  Result<void> admitted;
  const TokenId first;
  while (admitted) admitted = log.apply(Admit{first, fresh_key(), name, {1000}});
  EXPECT_EQ(admitted.error().code, Code::kLimit);
  EXPECT_EQ(log.record.admissions().size(), kMaxAdmissions);

  const Bytes copy = log.record.encode();
  EXPECT_LT(node_frame(RecordCopyMessage{copy}).size(), kMaxFrame);
  ClusterRecord other;
  EXPECT_TRUE(other.merge(copy));
  EXPECT_EQ(other.encode(), copy);
}

TEST(ClusterRecord, RefusesBytesThatAreNoRecord) {
  ClusterRecord record;
  EXPECT_FALSE(record.merge(as_bytes("nonsense")));
  EXPECT_EQ(record.version(), 0U);
}

TEST(ClusterRecord, ASuccessorTakesThePlaceOfAnIdThatLostItsMemory) {
  Log log;
  const TokenRecord token = token_of(1, 1);
  ASSERT_TRUE(log.apply(AddToken{token, {}}));
  ASSERT_TRUE(log.apply(admit(token, 1)));
  ASSERT_TRUE(log.apply(Succeed{key_of(1), key_of(2), "host"}));
  EXPECT_TRUE(log.record.is_retired(node_id_of(key_of(1))));
  EXPECT_TRUE(log.record.is_admitted(node_id_of(key_of(2))));
  // Asked again after an answer that was lost.
  EXPECT_TRUE(log.apply(Succeed{key_of(1), key_of(2), "host"}));
}

TEST(ClusterRecord, ARetiredIdHasOneSuccessorOnly) {
  Log log;
  ASSERT_TRUE(log.apply(Succeed{key_of(1), key_of(2), "host"}));
  const Result<void> second = log.apply(Succeed{key_of(1), key_of(3), "copy"});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kRefused);
  EXPECT_FALSE(log.record.is_admitted(node_id_of(key_of(3))));
  EXPECT_FALSE(log.apply(Succeed{key_of(2), key_of(1), "back"}));
  ASSERT_TRUE(log.apply(Succeed{key_of(2), key_of(3), "host"}));
  EXPECT_TRUE(log.record.is_retired(node_id_of(key_of(2))));
}

}  // namespace
}  // namespace dunlin
