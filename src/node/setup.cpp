#include "node/setup.h"

#include <algorithm>

#include "base/codec.h"
#include "base/fields.h"

namespace dunlin {

namespace {

constexpr const char* kSeedFact = "node/identity";
constexpr const char* kClusterFact = "node/cluster";
constexpr const char* kBootFact = "node/boot";
constexpr const char* kSeedsFact = "node/seeds";
constexpr const char* kFoundingFact = "node/founding";
constexpr const char* kDrainingFact = "node/draining";
constexpr const char* kNewbornFact = "node/newborn";
constexpr std::size_t kMaxSeeds = 64;

using Secret = OpaqueId<struct SecretTag, 32>;
using WireKeyRing = std::vector<std::pair<std::uint8_t, Secret>>;

struct ClusterFact {
  ClusterId cluster;
  std::uint16_t group_count = 0;
  Bytes key_ring;
  static constexpr auto fields() {
    return Fields<&ClusterFact::cluster, &ClusterFact::group_count, &ClusterFact::key_ring>{};
  }
};

Secret to_secret(const Key32& key) {
  Secret secret;
  secret.raw = key;
  return secret;
}

template <class T>
Result<T> read_fact(const std::map<std::string, Bytes>& facts, const char* key) {
  const auto found = facts.find(key);
  if (found == facts.end()) {
    return fail(Code::kCorrupt, std::string("the fact ") + key + " is missing");
  }
  return decode<T>(found->second);
}

}  // namespace

Bytes encode_key_ring(const KeyRing& ring) {
  WireKeyRing wire;
  for (const auto& [epoch, key] : ring.keys) wire.emplace_back(epoch, to_secret(key));
  return encode(wire);
}

Result<KeyRing> decode_key_ring(ByteView bytes) {
  Result<WireKeyRing> wire = decode<WireKeyRing>(bytes);
  if (!wire || wire->empty() || wire->size() > kMaxKeyEpochs) {
    return fail(Code::kCorrupt, "malformed key ring");
  }
  KeyRing ring;
  for (const auto& [epoch, secret] : *wire) ring.keys.emplace_back(epoch, secret.raw);
  return ring;
}

Bytes succession_statement(const ClusterId& cluster, const PublicKey& successor) {
  Bytes statement;
  append(statement, as_bytes("dunlin succession"));
  append(statement, cluster.raw);
  append(statement, successor.raw);
  return statement;
}

void put_membership(const Membership& membership, const Key32& identity_seed, Effects& out) {
  out.put_fact(kSeedFact, encode(to_secret(identity_seed)));
  out.put_fact(kClusterFact, encode(ClusterFact{membership.cluster, membership.group_count,
                                                encode_key_ring(membership.key_ring)}));
}

void put_boot(Boot boot, Effects& out) {
  out.put_fact(kBootFact, encode(boot));
}

void put_seeds(const std::vector<Member>& members, Effects& out) {
  std::vector<Bytes> seeds;
  for (const Member& member : members) {
    if (seeds.size() == kMaxSeeds) break;
    seeds.push_back(encode_member(member));
  }
  out.put_fact(kSeedsFact, encode(seeds));
}

void put_founding(Effects& out) {
  out.put_fact(kFoundingFact, encode(true));
}

void erase_founding(Effects& out) {
  out.erase_fact(kFoundingFact);
}

void put_draining(WallTime until, Effects& out) {
  out.put_fact(kDrainingFact, encode(until));
}

void erase_draining(Effects& out) {
  out.erase_fact(kDrainingFact);
}

std::optional<WallTime> remembered_draining(const std::map<std::string, Bytes>& facts) {
  if (!facts.contains(kDrainingFact)) return std::nullopt;
  const Result<WallTime> until = read_fact<WallTime>(facts, kDrainingFact);
  return until ? *until : WallTime{};
}

void put_newborn(const Key32& seed, Effects& out) {
  out.put_fact(kNewbornFact, encode(to_secret(seed)));
}

void erase_newborn(Effects& out) {
  out.erase_fact(kNewbornFact);
}

std::optional<Key32> remembered_newborn(const std::map<std::string, Bytes>& facts) {
  if (!facts.contains(kNewbornFact)) return std::nullopt;
  const Result<Secret> seed = read_fact<Secret>(facts, kNewbornFact);
  if (!seed) return std::nullopt;
  return seed->raw;
}

Result<Remembered> remembered(const std::map<std::string, Bytes>& facts) {
  if (!facts.contains(kBootFact)) return fail(Code::kNotFound, "an empty directory");
  const Result<Secret> seed = read_fact<Secret>(facts, kSeedFact);
  const Result<ClusterFact> cluster = read_fact<ClusterFact>(facts, kClusterFact);
  const Result<Boot> boot = read_fact<Boot>(facts, kBootFact);
  if (!seed) return tl::unexpected(seed.error());
  if (!cluster) return tl::unexpected(cluster.error());
  if (!boot) return tl::unexpected(boot.error());
  Result<KeyRing> ring = decode_key_ring(cluster->key_ring);
  if (!ring) return tl::unexpected(ring.error());

  Remembered result;
  result.membership.keys = key_pair_from_seed(seed->raw);
  result.membership.cluster = cluster->cluster;
  result.membership.group_count = cluster->group_count;
  result.membership.key_ring = std::move(*ring);
  result.boot = *boot;
  result.founding = facts.contains(kFoundingFact);
  if (facts.contains(kSeedsFact)) {
    if (const auto seeds = read_fact<std::vector<Bytes>>(facts, kSeedsFact)) {
      for (const Bytes& bytes : *seeds) {
        if (Result<Member> member = decode_member(bytes)) result.seeds.push_back(*member);
      }
    }
  }
  return result;
}

}  // namespace dunlin
