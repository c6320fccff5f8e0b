#include "gossip/member.h"

#include <gtest/gtest.h>

#include "people.h"

namespace dunlin {
namespace {

using test::person;

TEST(Facts, AreRefusedWhenTheIdIsNotTheKeys) {
  NodeFacts facts = person(1);
  EXPECT_TRUE(validate_facts(facts).has_value());
  facts.id = person(2).id;
  EXPECT_EQ(validate_facts(facts).error().code, Code::kUsage);
}

TEST(Facts, AreRefusedWhenTheirTextsAreTooLong) {
  NodeFacts facts = person(1);
  facts.name = std::string(kMaxNameSize + 1, 'x');
  EXPECT_EQ(validate_facts(facts).error().code, Code::kLimit);

  facts = person(1);
  for (int i = 0; i < 33; ++i) facts.labels["l" + std::to_string(i)] = "v";
  EXPECT_EQ(validate_facts(facts).error().code, Code::kLimit);

  facts = person(1);
  facts.labels["k"] = std::string(kMaxFactsTextSize, 'x');
  EXPECT_EQ(validate_facts(facts).error().code, Code::kLimit);
}

TEST(Facts, TheLongestAllowedFitIntoADatagram) {
  NodeFacts facts = person(1);
  facts.cpus = facts.gpus = ~0U;
  facts.memory = facts.disk_total = ~0ULL;
  for (int i = 0; i < 32 && validate_facts(facts); ++i) {
    facts.labels["l" + std::to_string(i)] = "v";
    if (validate_facts(facts)) facts.resources["r" + std::to_string(i)] = ~0U;
  }
  while (validate_facts(facts)) facts.labels["l0"] += 'x';
  facts.labels["l0"].pop_back();
  ASSERT_TRUE(validate_facts(facts).has_value());
  const gossip::Introduction introduction{{facts, ~0ULL, ~0U, ~0ULL},
                                          {~0ULL, ~0ULL, MemberState::kAlive, 8}};
  const Bytes update = gossip::encode_update(introduction);
  EXPECT_LE(gossip::framed_size(update) + gossip::kFrameOverhead, kMaxDatagram);
}

TEST(Load, SmallDifferencesShareAClassAndDrainingDoesNot) {
  Load load{5, 9ULL << 30, 17, 0, 900ULL << 30, false};
  Load near = load;
  near.cpus_free = 4;
  near.memory_free += 1ULL << 30;
  near.running = 20;
  EXPECT_EQ(load_class(load), load_class(near));
  near.draining = true;
  EXPECT_NE(load_class(load), load_class(near));
  near = load;
  near.cpus_free = 3;
  EXPECT_NE(load_class(load), load_class(near));
}

TEST(Load, AClassNeverPromisesMoreThanThereIs) {
  for (std::uint32_t free : {0U, 1U, 2U, 3U, 5U, 7U, 11U, 63U, 100U, 4096U, ~0U}) {
    const Load load{free, std::uint64_t{free} << 20, free, free, std::uint64_t{free} << 30, true};
    const Load coarse = load_of_class(load_class(load));
    EXPECT_LE(coarse.cpus_free, load.cpus_free);
    EXPECT_GE(coarse.cpus_free, load.cpus_free - load.cpus_free / 3);
    EXPECT_LE(coarse.memory_free, load.memory_free);
    EXPECT_LE(coarse.disk_free, load.disk_free);
    EXPECT_EQ(coarse.draining, true);
    EXPECT_EQ(load_class(coarse), load_class(load)) << free;
  }
}

TEST(Member, SurvivesItsEncodingAndRottenBytesDoNot) {
  Member member = test::member(3, 9);
  member.state = MemberState::kDead;
  member.incarnation = 5;
  member.facts.labels["disk"] = "ssd";
  Bytes bytes = encode_member(member);
  const Result<Member> back = decode_member(bytes);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->facts, member.facts);
  EXPECT_EQ(back->state, MemberState::kDead);
  EXPECT_EQ(back->incarnation, 5U);
  EXPECT_EQ(back->boot, 9U);
  bytes[3] ^= 1;  // in the id, which then is not the key's
  EXPECT_FALSE(decode_member(bytes).has_value());
}

}  // namespace
}  // namespace dunlin
