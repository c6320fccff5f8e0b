// The format against the msgpack library's own way to pack and parse, and the rules of codec.h.
#include "base/codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <msgpack.hpp>

#include "base/fields.h"
#include "base/random.h"

namespace dunlin {
namespace {

template <class T>
Bytes packed(const T& value) {
  msgpack::sbuffer buffer;
  msgpack::pack(buffer, value);
  return to_bytes(std::string_view(buffer.data(), buffer.size()));
}

// Each form's edges, both signs.
std::vector<std::int64_t> edges() {
  std::vector<std::int64_t> values = {0, std::numeric_limits<std::int64_t>::min()};
  for (int bit = 0; bit < 63; ++bit) {
    for (const std::int64_t near : {-1, 0, 1}) {
      values.push_back((std::int64_t{1} << bit) + near);
      values.push_back(-(std::int64_t{1} << bit) + near);
    }
  }
  return values;
}

TEST(Msgpack, IntegersHaveTheShortestForm) {
  for (const std::int64_t value : edges()) {
    EXPECT_EQ(encode(value), packed(value)) << value;
    EXPECT_EQ(*decode<std::int64_t>(packed(value)), value);
    const auto positive = static_cast<std::uint64_t>(value);
    EXPECT_EQ(encode(positive), packed(positive)) << positive;
    EXPECT_EQ(*decode<std::uint64_t>(packed(positive)), positive);
  }
}

TEST(Msgpack, StringsAndContainersOfAnyLengthAreAsTheLibraryHasThem) {
  for (const std::size_t size : {0, 1, 15, 16, 31, 32, 255, 256, 65'535, 65'536, 70'000}) {
    const std::string text(size, 'x');
    EXPECT_EQ(encode(text), packed(text));
    EXPECT_EQ(*decode<std::string>(packed(text)), text);
    const Bytes binary(size, 7);
    EXPECT_EQ(encode(binary), packed(std::vector<unsigned char>(size, 7)));
    EXPECT_EQ(*decode<Bytes>(encode(binary)), binary);
    const std::vector<std::uint32_t> list(size, 1000);
    EXPECT_EQ(encode(list), packed(list));
    EXPECT_EQ(*decode<std::vector<std::uint32_t>>(packed(list)), list);
    std::map<std::uint32_t, bool> map;
    for (std::uint32_t i = 0; i < size; ++i) map[i] = i % 2 == 0;
    EXPECT_EQ(encode(map), packed(map));
    EXPECT_EQ((*decode<std::map<std::uint32_t, bool>>(packed(map))), map);
  }
}

TEST(Msgpack, RealsOfBothWidthsAreRead) {
  for (const double value : {-1.5, 0.1, std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(encode(value), packed(value));
    EXPECT_EQ(*decode<double>(packed(value)), value);
  }
  // The library writes whole ones as integers.
  EXPECT_EQ(*decode<double>(encode(3.0)), 3.0);
  EXPECT_EQ(*decode<double>(encode(-3.0)), -3.0);
  EXPECT_EQ(*decode<double>(packed(0.5F)), 0.5);
}

TEST(Msgpack, NumbersOutOfRangeAreRefused) {
  EXPECT_FALSE(decode<std::uint8_t>(encode(256)));
  EXPECT_FALSE(decode<std::uint64_t>(encode(-1)));
  EXPECT_FALSE(decode<std::int8_t>(encode(-129)));
  EXPECT_FALSE(decode<std::int64_t>(encode(std::numeric_limits<std::uint64_t>::max())));
  EXPECT_FALSE(decode<GroupId>(encode(kMaxGroups)));
  EXPECT_EQ(decode<GroupId>(encode(kMaxGroups - 1))->value, kMaxGroups - 1);
}

TEST(Msgpack, OtherTypesThanTheOneDueAreRefused) {
  EXPECT_FALSE(decode<std::string>(encode(Bytes{'a'})));
  EXPECT_FALSE(decode<Bytes>(encode(std::string("a"))));
  EXPECT_FALSE(decode<bool>(encode(1)));
  EXPECT_FALSE(decode<double>(encode(true)));
  EXPECT_FALSE(decode<std::uint64_t>(Bytes{0xc0}));
  EXPECT_FALSE(decode<std::uint64_t>(Bytes{0xc1}));
  EXPECT_FALSE(decode<std::uint64_t>(Bytes{0xd4, 0, 0}));  // an extension
}

TEST(Msgpack, LeftOverAndMissingBytesAreRefused) {
  const Bytes one = encode(std::uint64_t{70'000});
  EXPECT_TRUE(decode<std::uint64_t>(one));
  Bytes longer = one;
  longer.push_back(0);
  EXPECT_FALSE(decode<std::uint64_t>(longer));
  EXPECT_FALSE(decode<std::uint64_t>(ByteView(one).first(one.size() - 1)));
  EXPECT_FALSE(decode<std::uint64_t>({}));
}

TEST(Msgpack, CountsThatTheBytesCannotHoldAreRefusedBeforeAnythingIsMade) {
  const Bytes claim{0xdd, 0xff, 0xff, 0xff, 0xff, 0x00};
  Decoder in(claim);
  EXPECT_EQ(in.array(), 0U);
  EXPECT_FALSE(in.ok());
  const Bytes map_claim{0xdf, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00};
  Decoder map_in(map_claim);
  EXPECT_EQ(map_in.map(), 0U);
  EXPECT_FALSE(map_in.ok());
}

TEST(Msgpack, NestingHasALimit) {
  Bytes nest(Decoder::kMaxDepth + 1, 0x91);
  nest.push_back(0);
  Decoder in(nest);
  for (std::size_t depth = 0; depth < Decoder::kMaxDepth; ++depth) EXPECT_EQ(in.array(), 1U);
  EXPECT_TRUE(in.ok());
  EXPECT_EQ(in.array(), 0U);
  EXPECT_FALSE(in.ok());
}

// ---- versions -----------------------------------------------------------------------------------

struct Old {
  std::uint32_t number = 7;
  std::string name;
  static constexpr auto fields() { return Fields<&Old::number, &Old::name>{}; }
};

struct New {
  std::uint32_t number = 7;
  std::string name;
  std::vector<Old> more;
  std::uint32_t limit = 42;
  static constexpr std::size_t kRequiredFields = 2;
  static constexpr auto fields() {
    return Fields<&New::number, &New::name, &New::more, &New::limit>{};
  }
};

TEST(Codec, OldReadersPassOverNewFieldsHoweverDeep) {
  const New value{1, "a", std::vector<Old>(300, Old{2, "b"}), 3};
  const Result<std::vector<Old>> back =
      decode<std::vector<Old>>(encode(std::vector<New>{value, value}));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ(back->at(1).number, 1U);
  EXPECT_EQ(back->at(1).name, "a");
}

TEST(Codec, NewReadersKeepTheDefaultsOfFieldsThatOldWritersLack) {
  const Result<New> back = decode<New>(encode(Old{1, "a"}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->name, "a");
  EXPECT_TRUE(back->more.empty());
  EXPECT_EQ(back->limit, 42U);
}

TEST(Codec, FieldsThatWereAlwaysThereAreRequired) {
  const Bytes one{0x91, 0x01};
  EXPECT_FALSE(decode<Old>(one));
  EXPECT_FALSE(decode<New>(one));
  EXPECT_FALSE(decode<Old>(Bytes{0x90}));
}

TEST(Codec, WhatIsPassedOverMustBeWholeToo) {
  const Bytes whole{0x93, 0x01, 0xa1, 'a', 0x92, 0x01, 0xa2, 'b', 'c'};
  EXPECT_TRUE(decode<Old>(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(decode<Old>(ByteView(whole).first(size))) << size;
  }
  EXPECT_FALSE(decode<Old>(Bytes{0x93, 0x01, 0xa1, 'a', 0xdd, 0xff, 0xff, 0xff, 0xff}));
}

TEST(Codec, AKeyTwiceInAMapIsRefused) {
  EXPECT_TRUE((decode<std::map<std::uint32_t, std::uint32_t>>(Bytes{0x82, 1, 5, 2, 6})));
  EXPECT_FALSE((decode<std::map<std::uint32_t, std::uint32_t>>(Bytes{0x82, 1, 5, 1, 6})));
}

TEST(Codec, EmptyContainersAreRead) {
  EXPECT_TRUE((decode<std::map<std::uint32_t, std::uint32_t>>(Bytes{0x80}))->empty());
  EXPECT_TRUE(decode<std::vector<Old>>(Bytes{0x90})->empty());
  EXPECT_TRUE(decode<std::string>(Bytes{0xa0})->empty());
  EXPECT_TRUE(decode<Bytes>(Bytes{0xc4, 0})->empty());
}

TEST(Codec, VariantsAndPairsHaveExactlyTwoElements) {
  using Either = std::variant<std::uint32_t, std::string>;
  EXPECT_EQ(std::get<std::string>(*decode<Either>(encode(Either("x")))), "x");
  EXPECT_FALSE(decode<Either>(Bytes{0x93, 0x00, 0x01, 0x02}));
  EXPECT_FALSE(decode<Either>(Bytes{0x92, 0x02, 0x01})) << "no such alternative";
  using Two = std::pair<std::uint32_t, std::uint32_t>;
  EXPECT_FALSE(decode<Two>(Bytes{0x91, 0x00}));
  EXPECT_FALSE(decode<Two>(Bytes{0x93, 0x00, 0x01, 0x02}));
}

static_assert(least_encoded<Old>() == 3);
static_assert(least_encoded<New>() == 3, "fields that may be missing take no bytes");
static_assert(least_encoded<std::pair<NodeId, bool>>() == 20);

}  // namespace
}  // namespace dunlin
