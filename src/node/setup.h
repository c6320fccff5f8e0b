// Who a node is and which cluster it belongs to: what its disk remembers between lives, how it is
// born (founding, joining), and the messages of joining.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "base/effects.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/keyring.h"
#include "base/result.h"
#include "dht/journal.h"
#include "gossip/gossip.h"

namespace dunlin {

constexpr std::uint16_t kDefaultGroups = 256;

// What every life of a node on one directory shares.
struct Membership {
  KeyPair keys;  // the node's identity
  ClusterId cluster;
  std::uint16_t group_count = kDefaultGroups;
  KeyRing key_ring;

  NodeId id() const { return node_id_of(keys.public_key); }
};

// Facts under "node/" that make a directory this node's. Durable before the node says anything.
void put_membership(const Membership& membership, const Key32& identity_seed, Effects& out);
void put_boot(Boot boot, Effects& out);
void put_seeds(const std::vector<Member>& members, Effects& out);

// A founder's groups are not made yet: stands beside the membership until the batch that makes them
// erases it, so that a founder that ends in between founds them in its next life.
void put_founding(Effects& out);
void erase_founding(Effects& out);

// The node takes no tasks, in later lives too; what runs is given back at `until` (0: never).
void put_draining(WallTime until, Effects& out);
void erase_draining(Effects& out);
std::optional<WallTime> remembered_draining(const std::map<std::string, Bytes>& facts);

// The key of a node that is about to ask to be let in. An admission is bound to the key, so that
// one that was committed without the joiner's knowing is given to it again, in its next life, and
// the use of the token is not lost.
void put_newborn(const Key32& seed, Effects& out);
void erase_newborn(Effects& out);
std::optional<Key32> remembered_newborn(const std::map<std::string, Bytes>& facts);

// What a disk knows. kNotFound: the directory is nobody's yet; kCorrupt: facts that belong together
// are not all there.
struct Remembered {
  Membership membership;
  Boot boot = 0;          // of the life before
  bool founding = false;  // see put_founding
  std::vector<Member> seeds;
};
Result<Remembered> remembered(const std::map<std::string, Bytes>& facts);

// ---- joining: one sealed question and one answer, before the joiner is a node; its key is the one
// ---- that the session has proved ----------------------------------------------------------------

using SuccessionProof = OpaqueId<struct SuccessionTag, 64>;  // a Signature

// A node that lost its memory asks without a token: it proves that it had the key of the id that
// it gives up. That session is sealed with the cluster's own key.
struct Succession {
  PublicKey former;
  SuccessionProof proof;  // by the former key, of succession_statement
  static constexpr auto fields() { return Fields<&Succession::former, &Succession::proof>{}; }
};
Bytes succession_statement(const ClusterId& cluster, const PublicKey& successor);

struct AdmissionRequest {
  std::string name;
  std::string address;  // how others are to reach it
  std::string version;
  std::optional<Succession> succession;
  static constexpr auto fields() {
    using A = AdmissionRequest;
    return Fields<&A::name, &A::address, &A::version, &A::succession>{};
  }
};

struct AdmissionReply {
  bool admitted = false;
  std::string refusal;  // one line, when not admitted
  std::string hint;
  ClusterId cluster;
  std::uint16_t group_count = 0;
  Bytes key_ring;
  std::vector<Bytes> seeds;  // encoded members
  static constexpr auto fields() {
    using J = AdmissionReply;
    return Fields<&J::admitted, &J::refusal, &J::hint, &J::cluster, &J::group_count, &J::key_ring,
                  &J::seeds>{};
  }
};

Bytes encode_key_ring(const KeyRing& ring);
Result<KeyRing> decode_key_ring(ByteView bytes);

}  // namespace dunlin
