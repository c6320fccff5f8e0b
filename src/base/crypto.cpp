#include "base/crypto.h"

#include <sodium.h>

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

using Nonce = std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

Nonce nonce_of(std::uint64_t counter) {
  Nonce nonce{};
  put_u64(nonce.data() + 4, counter);
  return nonce;
}

crypto_generichash_state* state_of(std::array<std::uint8_t, 384>& raw) {
  static_assert(sizeof(crypto_generichash_state) <= 384);
  return reinterpret_cast<crypto_generichash_state*>(raw.data());
}

}  // namespace

void initialise_crypto() {
  ASSERT(sodium_init() >= 0);
}

Hash32 blake2b_256(ByteView data, ByteView key) {
  Hash32 out;
  crypto_generichash(out.data(), out.size(), data.data(), data.size(), key.data(), key.size());
  return out;
}

Hash64 blake2b_512(ByteView data) {
  Hash64 out;
  crypto_generichash(out.data(), out.size(), data.data(), data.size(), nullptr, 0);
  return out;
}

std::uint64_t blake2b_64(ByteView data) {
  // 16 bytes is the shortest digest the library offers.
  std::array<std::uint8_t, 16> out;
  crypto_generichash(out.data(), out.size(), data.data(), data.size(), nullptr, 0);
  return get_u64(out.data());
}

Blake2b::Blake2b(std::size_t digest_size) {
  crypto_generichash_init(state_of(state_), nullptr, 0, digest_size);
}

void Blake2b::update(ByteView data) {
  crypto_generichash_update(state_of(state_), data.data(), data.size());
}

void Blake2b::finish(std::span<std::uint8_t> out) {
  crypto_generichash_final(state_of(state_), out.data(), out.size());
}

KeyPair key_pair_from_seed(const Key32& seed) {
  KeyPair keys;
  crypto_sign_seed_keypair(keys.public_key.raw.data(), keys.secret.data(), seed.data());
  return keys;
}

NodeId node_id_of(const PublicKey& key) {
  const Hash32 hash = blake2b_256(key.bytes());
  NodeId id;
  std::copy_n(hash.begin(), id.raw.size(), id.raw.begin());
  return id;
}

Signature sign(const KeyPair& keys, ByteView message) {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       keys.secret.data());
  return signature;
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                     key.raw.data()) == 0;
}

Key32 x25519_public(const Key32& secret) {
  Key32 out;
  crypto_scalarmult_base(out.data(), secret.data());
  return out;
}

std::optional<Key32> x25519(const Key32& secret, const Key32& peer_public) {
  Key32 out;
  if (crypto_scalarmult(out.data(), secret.data(), peer_public.data()) != 0) return std::nullopt;
  return out;
}

Key32 curve_secret_of(const KeyPair& keys) {
  Key32 out;
  crypto_sign_ed25519_sk_to_curve25519(out.data(), keys.secret.data());
  return out;
}

std::optional<Key32> curve_public_of(const PublicKey& key) {
  Key32 out;
  if (crypto_sign_ed25519_pk_to_curve25519(out.data(), key.raw.data()) != 0) return std::nullopt;
  return out;
}

void seal_to(std::uint8_t* out, const Key32& key, std::uint64_t counter, ByteView associated,
             ByteView plain) {
  crypto_aead_chacha20poly1305_ietf_encrypt(out, nullptr, plain.data(), plain.size(),
                                            associated.data(), associated.size(), nullptr,
                                            nonce_of(counter).data(), key.data());
}

Bytes seal(const Key32& key, std::uint64_t counter, ByteView associated, ByteView plain) {
  Bytes out(plain.size() + kTagSize);
  seal_to(out.data(), key, counter, associated, plain);
  return out;
}

bool open_to(std::uint8_t* out, const Key32& key, std::uint64_t counter, ByteView associated,
             ByteView sealed) {
  ASSERT(sealed.size() >= kTagSize);
  return crypto_aead_chacha20poly1305_ietf_decrypt(
             out, nullptr, nullptr, sealed.data(), sealed.size(), associated.data(),
             associated.size(), nonce_of(counter).data(), key.data()) == 0;
}

std::optional<Bytes> open(const Key32& key, std::uint64_t counter, ByteView associated,
                          ByteView sealed) {
  if (sealed.size() < kTagSize) return std::nullopt;
  Bytes out(sealed.size() - kTagSize);
  if (!open_to(out.data(), key, counter, associated, sealed)) return std::nullopt;
  return out;
}

bool equal_secrets(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::span<std::uint8_t> secret) {
  sodium_memzero(secret.data(), secret.size());
}

}  // namespace dunlin
