#include "base/noise.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::string_view kName = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b";
constexpr std::size_t kBlockLength = 128;  // of BLAKE2b

// RFC 2104. Noise wants the generic construction, not BLAKE2b's own keyed mode.
Hash64 hmac(ByteView key, ByteView first, ByteView second = {}) {
  std::array<std::uint8_t, kBlockLength> inner{};
  ASSERT(key.size() <= inner.size());
  std::copy(key.begin(), key.end(), inner.begin());
  std::array<std::uint8_t, kBlockLength> outer = inner;
  for (std::uint8_t& byte : inner) byte ^= 0x36;
  for (std::uint8_t& byte : outer) byte ^= 0x5c;

  Hash64 digest;
  Blake2b inside(digest.size());
  inside.update(inner);
  inside.update(first);
  inside.update(second);
  inside.finish(digest);
  Blake2b outside(digest.size());
  outside.update(outer);
  outside.update(digest);
  outside.finish(digest);
  return digest;
}

// Section 4.3: as many outputs as are asked for, two or three.
template <std::size_t N>
std::array<Hash64, N> hkdf(const Hash64& chaining_key, ByteView input) {
  const Hash64 temporary = hmac(chaining_key, input);
  std::array<Hash64, N> outputs;
  for (std::size_t i = 0; i < N; ++i) {
    const std::array<std::uint8_t, 1> number = {static_cast<std::uint8_t>(i + 1)};
    outputs[i] = hmac(temporary, i == 0 ? ByteView() : ByteView(outputs[i - 1]), number);
  }
  return outputs;
}

// "If HASHLEN is 64, then truncates temp_k to 32 bytes."
Key32 key_of(const Hash64& output) {
  Key32 key;
  std::copy_n(output.begin(), key.size(), key.begin());
  return key;
}

}  // namespace

void NoiseCipher::seal_to(std::uint8_t* out, ByteView associated, ByteView plain) {
  ASSERT(counter_ != std::numeric_limits<std::uint64_t>::max());
  dunlin::seal_to(out, key_, counter_++, associated, plain);
}

bool NoiseCipher::open_to(std::uint8_t* out, ByteView associated, ByteView sealed) {
  ASSERT(counter_ != std::numeric_limits<std::uint64_t>::max());
  return dunlin::open_to(out, key_, counter_++, associated, sealed);
}

NoiseHandshake::NoiseHandshake(Role role, ByteView prologue, const Key32& static_secret,
                               const Key32& ephemeral_secret, const Key32& psk)
    : role_(role), static_secret_(static_secret), ephemeral_secret_(ephemeral_secret), psk_(psk) {
  // "If protocol_name is less than or equal to HASHLEN bytes in length, sets h equal to
  // protocol_name with zero bytes appended to make HASHLEN bytes."
  static_assert(kName.size() <= std::tuple_size_v<Hash64>);
  std::copy(kName.begin(), kName.end(), hash_.begin());
  chaining_key_ = hash_;
  mix_hash(prologue);
}

NoiseHandshake::~NoiseHandshake() {
  wipe(static_secret_);
  wipe(ephemeral_secret_);
  wipe(psk_);
  wipe(chaining_key_);
}

void NoiseHandshake::mix_hash(ByteView data) {
  Blake2b hash(hash_.size());
  hash.update(hash_);
  hash.update(data);
  hash.finish(hash_);
}

void NoiseHandshake::mix_key(ByteView input) {
  const auto outputs = hkdf<2>(chaining_key_, input);
  chaining_key_ = outputs[0];
  cipher_ = NoiseCipher(key_of(outputs[1]));
}

void NoiseHandshake::mix_key_and_hash(ByteView input) {
  const auto outputs = hkdf<3>(chaining_key_, input);
  chaining_key_ = outputs[0];
  mix_hash(outputs[1]);
  cipher_ = NoiseCipher(key_of(outputs[2]));
}

bool NoiseHandshake::mix_dh(const Key32& secret, const Key32& remote) {
  std::optional<Key32> shared = x25519(secret, remote);
  if (!shared) return false;
  mix_key(*shared);
  wipe(*shared);
  return true;
}

// In a psk handshake the first token, e, already makes a key, so everything here is sealed.
void NoiseHandshake::seal_and_hash(Bytes& out, ByteView plain) {
  const std::size_t start = out.size();
  out.resize(start + plain.size() + kTagSize);
  cipher_.seal_to(out.data() + start, hash_, plain);
  mix_hash(ByteView(out).subspan(start));
}

bool NoiseHandshake::open_and_hash(ByteView sealed, Bytes& plain) {
  if (sealed.size() < kTagSize) return false;
  plain.resize(sealed.size() - kTagSize);
  if (!cipher_.open_to(plain.data(), hash_, sealed)) return false;
  mix_hash(sealed);
  return true;
}

// Section 9.2: in a psk handshake, "e" also mixes the ephemeral public key into the key.
void NoiseHandshake::write_e(Bytes& out) {
  const Key32 public_key = x25519_public(ephemeral_secret_);
  append(out, public_key);
  mix_hash(public_key);
  mix_key(public_key);
}

void NoiseHandshake::read_e(ByteView& from) {
  std::copy_n(from.begin(), kDhLength, remote_ephemeral_.begin());
  from = from.subspan(kDhLength);
  mix_hash(remote_ephemeral_);
  mix_key(remote_ephemeral_);
}

void NoiseHandshake::write_s(Bytes& out) {
  seal_and_hash(out, x25519_public(static_secret_));
}

bool NoiseHandshake::read_s(ByteView& from) {
  Bytes key;
  if (!open_and_hash(from.first(kDhLength + kTagSize), key)) return false;
  std::copy(key.begin(), key.end(), remote_static_.begin());
  from = from.subspan(kDhLength + kTagSize);
  return true;
}

// ee, in the second message.
bool NoiseHandshake::mix_after_e() {
  return messages_ == 0 || mix_dh(ephemeral_secret_, remote_ephemeral_);
}

// es, in the second message, then se and psk, in the third.
bool NoiseHandshake::mix_after_s() {
  const bool static_is_ours = (messages_ == 1) == (role_ == Role::kResponder);
  const bool ok = static_is_ours ? mix_dh(static_secret_, remote_ephemeral_)
                                 : mix_dh(ephemeral_secret_, remote_static_);
  if (ok && messages_ == 2) mix_key_and_hash(psk_);
  return ok;
}

Bytes NoiseHandshake::write(ByteView payload) {
  ASSERT(!is_finished() && is_our_turn());
  Bytes out;
  bool ok = true;
  if (messages_ < 2) {
    write_e(out);
    ok = mix_after_e();
  }
  if (ok && messages_ > 0) {
    write_s(out);
    ok = mix_after_s();
  }
  // read() refused keys of small order, the only ones that could fail here.
  ASSERT(ok);
  seal_and_hash(out, payload);
  ++messages_;
  return out;
}

std::optional<Bytes> NoiseHandshake::read(ByteView message) {
  ASSERT(!is_finished() && !is_our_turn());
  constexpr std::array<std::size_t, 3> kLengths = {kFirstLength, kSecondLength, kThirdLength};
  if (message.size() < kLengths[static_cast<std::size_t>(messages_)]) return std::nullopt;
  if (messages_ < 2) {
    read_e(message);
    // A first message is refused here rather than when its answer is written.
    if (messages_ == 0 && !x25519(ephemeral_secret_, remote_ephemeral_)) return std::nullopt;
    if (!mix_after_e()) return std::nullopt;
  }
  if (messages_ > 0 && (!read_s(message) || !mix_after_s())) return std::nullopt;
  Bytes payload;
  if (!open_and_hash(message, payload)) return std::nullopt;
  ++messages_;
  return payload;
}

NoiseHandshake::Ciphers NoiseHandshake::split() const {
  ASSERT(is_finished());
  const auto outputs = hkdf<2>(chaining_key_, {});
  const NoiseCipher first(key_of(outputs[0]));
  const NoiseCipher second(key_of(outputs[1]));
  if (role_ == Role::kInitiator) return {first, second};
  return {second, first};
}

}  // namespace dunlin
