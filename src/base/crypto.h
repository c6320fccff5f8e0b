// The primitives, over libsodium (crypto.cpp alone knows it). Secrets are made from bytes that the
// caller took from the operating system's generator; nothing here draws chance by itself.
// All functions are pure; initialise_crypto() must have been called once in the process.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/ids.h"

namespace dunlin {

using Hash32 = std::array<std::uint8_t, 32>;
using Hash64 = std::array<std::uint8_t, 64>;
using Key32 = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

constexpr std::size_t kTagSize = 16;  // of ChaCha20-Poly1305

// Picks the fastest implementations for this processor. Aborts if the library refuses.
void initialise_crypto();

// BLAKE2b-256, and BLAKE2b-512 (what Noise calls HASH), optionally keyed (key up to 64 bytes).
Hash32 blake2b_256(ByteView data, ByteView key = {});
Hash64 blake2b_512(ByteView data);
// The first 8 bytes of BLAKE2b as an integer: checksums of rows, positions on the ring.
std::uint64_t blake2b_64(ByteView data);

// Hashing in pieces, for what does not lie in one run of memory.
class Blake2b {
 public:
  explicit Blake2b(std::size_t digest_size);
  void update(ByteView data);
  // Ends it; `out` must be as long as the digest_size given.
  void finish(std::span<std::uint8_t> out);

 private:
  alignas(64) std::array<std::uint8_t, 384> state_;
};

// An Ed25519 identity. `secret` is libsodium's 64-byte form (seed, then public key).
struct KeyPair {
  PublicKey public_key;
  std::array<std::uint8_t, 64> secret{};
};

KeyPair key_pair_from_seed(const Key32& seed);
NodeId node_id_of(const PublicKey& key);
Signature sign(const KeyPair& keys, ByteView message);
bool verify(const PublicKey& key, ByteView message, const Signature& signature);

// X25519. The identity's curve form serves as Noise's static key, so that a node has one key.
Key32 x25519_public(const Key32& secret);
// Nothing when the peer's key is of small order: the result would be known to everyone.
std::optional<Key32> x25519(const Key32& secret, const Key32& peer_public);
Key32 curve_secret_of(const KeyPair& keys);
// Nothing when the bytes are no point of the curve.
std::optional<Key32> curve_public_of(const PublicKey& key);

// ChaCha20-Poly1305 (IETF, RFC 8439) with the nonce 4 zero bytes then `counter` little-endian, as
// in Noise and WireGuard. A key must never seal twice with one counter.
Bytes seal(const Key32& key, std::uint64_t counter, ByteView associated, ByteView plain);
// Writes plain.size() + kTagSize bytes to `out`, which may begin where `plain` does.
void seal_to(std::uint8_t* out, const Key32& key, std::uint64_t counter, ByteView associated,
             ByteView plain);
// Nothing when the tag does not hold.
std::optional<Bytes> open(const Key32& key, std::uint64_t counter, ByteView associated,
                          ByteView sealed);
// Writes sealed.size() - kTagSize bytes to `out`; false, with `out` zeroed, when the tag does not
// hold. `sealed` must be at least kTagSize long.
bool open_to(std::uint8_t* out, const Key32& key, std::uint64_t counter, ByteView associated,
             ByteView sealed);

// Compares in constant time.
bool equal_secrets(ByteView a, ByteView b);
void wipe(std::span<std::uint8_t> secret);

}  // namespace dunlin
