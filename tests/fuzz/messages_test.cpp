// Every message and record that is decoded, each of its alternatives: what is encoded comes back,
// mutated and arbitrary bytes are refused or mean one thing, and no byte costs more memory than
// the codec promises.
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "dht/journal.h"
#include "dht/messages.h"
#include "dht/records.h"
#include "dht/router_messages.h"
#include "fuzz/allocations.h"
#include "fuzz/arbitrary.h"
#include "gossip/messages.h"
#include "node/admission.h"
#include "node/cluster_record.h"
#include "node/messages.h"
#include "sched/commands.h"
#include "sched/group_requests.h"
#include "sched/job_record.h"
#include "sched/messages.h"
#include "store/messages.h"

namespace dunlin::fuzz {
namespace {

constexpr std::uint64_t kValues = 600;
constexpr int kMutations = 5;
// A vector that doubles as it grows has asked for less than four times what it holds in the end.
constexpr std::size_t kMaxGrowth = 4;

// Decodes, and checks what must hold whatever the bytes are.
template <class T>
bool decodes(ByteView bytes) {
  const std::size_t before = bytes_allocated();
  const Result<T> value = decode<T>(bytes);
  const std::size_t took = bytes_allocated() - before;
  EXPECT_LE(took, 256 + kMaxGrowth * kMaxExpansion * bytes.size());
  if (!value) return false;
  const Bytes again = encode(*value);
  const Result<T> back = decode<T>(again);
  EXPECT_TRUE(back) << "what was decoded cannot be encoded";
  EXPECT_TRUE(back && encode(*back) == again);
  return true;
}

template <class T>
constexpr std::size_t kAlternatives = 1;
template <class... Ts>
constexpr std::size_t kAlternatives<std::variant<Ts...>> = sizeof...(Ts);

template <class... Ts>
std::size_t alternative(const std::variant<Ts...>& value) {
  return value.index();
}
template <class T>
std::size_t alternative(const T&) {
  return 0;
}

template <class T>
class Messages : public testing::Test {};

using Types =
    testing::Types<gossip::Message, gossip::Update, Envelope, GroupBody, GroupRecord, VoteFact,
                   RouterMessage, store::Message, sched::SchedMessage, sched::Command,
                   sched::GroupRequest, sched::GroupAnswer, JobSpec, sched::JobHead, NodeMessage,
                   RecordCommand, AdmissionRequest, AdmissionReply>;
TYPED_TEST_SUITE(Messages, Types);

TYPED_TEST(Messages, ComeBackAsTheyWere) {
  Source source(1);
  std::set<std::size_t> seen;
  for (std::uint64_t i = 0; i < kValues; ++i) {
    const auto value = arbitrary_of<TypeParam>(source);
    const Bytes bytes = encode(value);
    const Result<TypeParam> back = decode<TypeParam>(bytes);
    ASSERT_TRUE(back) << "value " << i;
    EXPECT_EQ(encode(*back), bytes);
    seen.insert(alternative(value));
  }
  EXPECT_EQ(seen.size(), kAlternatives<TypeParam>) << "each alternative must have been tried";
}

TYPED_TEST(Messages, MutatedMeanOneThingOrNothing) {
  Source source(2);
  std::size_t accepted = 0;
  for (std::uint64_t i = 0; i < kValues; ++i) {
    const Bytes bytes = encode(arbitrary_of<TypeParam>(source));
    for (int mutation = 0; mutation < kMutations; ++mutation) {
      Bytes changed = bytes;
      mutate(changed, source.random);
      accepted += decodes<TypeParam>(changed);
    }
  }
  EXPECT_LT(accepted, kValues * kMutations) << "some changes must have been noticed";
  EXPECT_GT(accepted, 0U);
}

TYPED_TEST(Messages, CutShortAreRefused) {
  Source source(3);
  for (std::uint64_t i = 0; i < kValues / 10; ++i) {
    const Bytes bytes = encode(arbitrary_of<TypeParam>(source));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(decodes<TypeParam>(ByteView(bytes).first(size))) << size << " of " << i;
    }
  }
}

TYPED_TEST(Messages, ArbitraryBytesAreHarmless) {
  Source source(4);
  for (std::uint64_t i = 0; i < 10 * kValues; ++i) {
    Bytes bytes(source.random.below(300));
    source.random.fill(bytes);
    // Containers and small numbers are what leads deep into a decoder.
    for (std::uint8_t& byte : bytes) {
      if (source.random.chance(0.5)) byte = static_cast<std::uint8_t>(0x90 | (byte & 0x0f));
      if (source.random.chance(0.3)) byte &= 0x0f;
    }
    decodes<TypeParam>(bytes);
  }
}

// A container that claims all the length there is, full of the smallest elements.
TYPED_TEST(Messages, LongListsOfNothingCostWhatTheyMay) {
  constexpr std::array<std::uint8_t, 7> kElements = {0x90, 0xc0, 0x00, 0xa0, 0x80, 0x91, 0x92};
  for (const std::uint8_t element : kElements) {
    for (std::uint8_t index = 0; index < 24; ++index) {
      for (std::uint8_t fields = 1; fields < 12; ++fields) {
        Bytes bytes{0x92, index, static_cast<std::uint8_t>(0x90 | fields), 0xdc, 0x10, 0x00};
        bytes.resize(bytes.size() + 0x1000 + fields, element);
        decodes<TypeParam>(bytes);
      }
    }
  }
}

}  // namespace
}  // namespace dunlin::fuzz
