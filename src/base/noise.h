// The handshake Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b: bytes in, bytes out, no chance drawn and no
// socket touched. Revision 34 of https://noiseprotocol.org/noise.html; names as there.
//
//   -> e
//   <- e, ee, s, es
//   -> s, se, psk
//
// Both sides learn the other's static key, the first message's sender only after the second; the
// third proves the pre-shared key. The responder proves it with the first transport message.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/crypto.h"

namespace dunlin {

// A key and the counter of what it has sealed or opened. One direction of an established session.
class NoiseCipher {
 public:
  NoiseCipher() = default;
  explicit NoiseCipher(const Key32& key) : key_(key) {}
  ~NoiseCipher() { wipe(key_); }
  NoiseCipher(const NoiseCipher&) = default;
  NoiseCipher& operator=(const NoiseCipher&) = default;

  // Writes plain.size() + kTagSize bytes.
  void seal_to(std::uint8_t* out, ByteView associated, ByteView plain);
  // Writes sealed.size() - kTagSize bytes. After a false the session is worth nothing any more.
  bool open_to(std::uint8_t* out, ByteView associated, ByteView sealed);

 private:
  Key32 key_{};
  std::uint64_t counter_ = 0;
};

class NoiseHandshake {
 public:
  enum class Role { kInitiator, kResponder };
  static constexpr std::size_t kDhLength = 32;
  // Lengths of the three messages without their payloads.
  static constexpr std::size_t kFirstLength = kDhLength + kTagSize;
  static constexpr std::size_t kSecondLength = kDhLength + kDhLength + 2 * kTagSize;
  static constexpr std::size_t kThirdLength = kDhLength + 2 * kTagSize;

  // The ephemeral secret must be fresh from the operating system's generator for each handshake.
  NoiseHandshake(Role role, ByteView prologue, const Key32& static_secret,
                 const Key32& ephemeral_secret, const Key32& psk);
  ~NoiseHandshake();
  NoiseHandshake(const NoiseHandshake&) = default;
  NoiseHandshake& operator=(const NoiseHandshake&) = default;

  // The next message. It must be our turn.
  Bytes write(ByteView payload);
  // The payload of the peer's next message; it must be the peer's turn. Nothing when it is
  // forged, cut, or made for another prologue or key: the handshake is dead then.
  std::optional<Bytes> read(ByteView message);

  bool is_finished() const { return messages_ == 3; }
  // Known from the message that carries it: the initiator's from the third, the other's from the
  // second.
  const Key32& remote_static() const { return remote_static_; }
  // Names this handshake among all others, on both sides the same.
  const Hash64& hash() const { return hash_; }

  struct Ciphers {
    NoiseCipher send;
    NoiseCipher receive;
  };
  // Once, when finished.
  Ciphers split() const;

 private:
  bool is_our_turn() const { return (messages_ % 2 == 0) == (role_ == Role::kInitiator); }
  void mix_hash(ByteView data);
  void mix_key(ByteView input);
  void mix_key_and_hash(ByteView input);
  bool mix_dh(const Key32& secret, const Key32& remote);
  void seal_and_hash(Bytes& out, ByteView plain);
  bool open_and_hash(ByteView sealed, Bytes& plain);

  void write_e(Bytes& out);
  void write_s(Bytes& out);
  void read_e(ByteView& from);
  bool read_s(ByteView& from);
  // The Diffie-Hellman tokens between the keys that a message carries.
  bool mix_after_e();
  bool mix_after_s();

  Role role_;
  int messages_ = 0;
  Key32 static_secret_;
  Key32 ephemeral_secret_;
  Key32 psk_;
  Key32 remote_static_{};
  Key32 remote_ephemeral_{};
  Hash64 chaining_key_{};
  Hash64 hash_{};
  NoiseCipher cipher_;
};

}  // namespace dunlin
