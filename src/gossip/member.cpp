#include "gossip/member.h"

#include <algorithm>
#include <bit>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/fields.h"

namespace dunlin {

namespace {

// A member as it travels outside of gossip's own messages.
struct StoredMember {
  NodeFacts facts;
  MemberState state = MemberState::kAlive;
  std::uint64_t incarnation = 0;
  Boot boot = 0;
  static constexpr auto fields() {
    using S = StoredMember;
    return Fields<&S::facts, &S::state, &S::incarnation, &S::boot>{};
  }
};

constexpr std::uint32_t kClassBits = 6;
constexpr std::uint32_t kClassMask = (1U << kClassBits) - 1;
constexpr std::uint64_t kMemoryUnit = std::uint64_t{1} << 20;
constexpr std::uint64_t kDiskUnit = std::uint64_t{1} << 30;

// 0, then two classes to each power of two: 1, 2, 3, 4, 6, 8, 12, 16 ...; 1 has one class.
std::uint32_t class_of(std::uint64_t value) {
  if (value < 2) return static_cast<std::uint32_t>(value);
  const auto exponent = static_cast<std::uint32_t>(std::bit_width(value)) - 1;
  const auto upper_half = static_cast<std::uint32_t>((value >> (exponent - 1)) & 1);
  return std::min(2 * exponent + upper_half, kClassMask);
}

std::uint64_t least_of(std::uint32_t value_class) {
  if (value_class < 2) return value_class;
  const std::uint32_t exponent = value_class / 2;
  const std::uint64_t power = std::uint64_t{1} << exponent;
  return value_class % 2 == 0 ? power : power + power / 2;
}

}  // namespace

Result<void> validate_facts(const NodeFacts& facts) {
  std::size_t text = 0;
  const std::pair<const char*, const std::string*> names[] = {{"name", &facts.name},
                                                              {"address", &facts.address},
                                                              {"zone", &facts.zone},
                                                              {"version", &facts.version}};
  for (const auto& [what, one] : names) {
    if (one->size() > kMaxNameSize) {
      return fail(Code::kLimit,
                  std::string("the ") + what + " of a node has " + std::to_string(one->size()) +
                      " characters",
                  std::to_string(kMaxNameSize) + " are allowed");
    }
    text += one->size();
  }
  if (facts.labels.size() > kMaxLabels || facts.resources.size() > kMaxLabels) {
    return fail(Code::kLimit, "a node has too many labels or resources", "at most 32 of each");
  }
  // Beside its characters an entry costs up to five bytes of framing and numbers.
  for (const auto& [key, value] : facts.labels) text += key.size() + value.size() + 5;
  for (const auto& [name, count] : facts.resources) text += name.size() + 5;
  if (text > kMaxFactsTextSize) {
    return fail(Code::kLimit, "the name, labels and resources of a node are too long together",
                "600 characters are allowed");
  }
  if (facts.id != node_id_of(facts.key)) return fail(Code::kUsage, "a node's id is not its key's");
  return {};
}

const char* member_state_name(MemberState state) {
  switch (state) {
    case MemberState::kAlive: return "alive";
    case MemberState::kSuspect: return "suspect";
    case MemberState::kDead: return "dead";
    case MemberState::kLeft: return "left";
  }
  return "unknown";
}

std::uint32_t load_class(const Load& load) {
  std::uint32_t packed = load.draining ? 1 : 0;
  for (const std::uint64_t value :
       {std::uint64_t{load.cpus_free}, load.memory_free / kMemoryUnit, std::uint64_t{load.running},
        std::uint64_t{load.queued}, load.disk_free / kDiskUnit}) {
    packed = (packed << kClassBits) | class_of(value);
  }
  return packed;
}

Load load_of_class(std::uint32_t load_class) {
  auto next = [&load_class] {
    const std::uint64_t value = least_of(load_class & kClassMask);
    load_class >>= kClassBits;
    return value;
  };
  Load load;
  load.disk_free = next() * kDiskUnit;
  load.queued = static_cast<std::uint32_t>(next());
  load.running = static_cast<std::uint32_t>(next());
  load.memory_free = next() * kMemoryUnit;
  load.cpus_free = static_cast<std::uint32_t>(next());
  load.draining = (load_class & 1) != 0;
  return load;
}

Bytes encode_member(const Member& member) {
  return encode(StoredMember{member.facts, member.state, member.incarnation, member.boot});
}

Result<Member> decode_member(ByteView bytes) {
  Result<StoredMember> stored = decode<StoredMember>(bytes);
  if (!stored) return tl::unexpected(stored.error());
  if (!validate_facts(stored->facts)) return fail(Code::kCorrupt, "malformed facts of a node");
  Member member;
  member.facts = std::move(stored->facts);
  member.state = stored->state;
  member.incarnation = stored->incarnation;
  member.boot = stored->boot;
  return member;
}

}  // namespace dunlin
