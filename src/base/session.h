// One sealed stream between two nodes, as a pure state machine: what a socket read goes in, what
// it shall write comes out. The owner moves bytes and decides who is admitted.
//
//   dialer                                  listener
//   hello (clear, proof of the key, e)  ->            160 bytes
//                                       <-  answer    137 bytes, or a refusal of 4
//   third message                       ->            104 bytes
//                                       <-  verdict   a sealed record: admitted or not
//   frames in sealed records          <-->  the same
//
// The hello names magic, protocol version, mode, key and cluster; all of it is Noise's prologue.
// Its last 32 bytes prove knowledge of the pre-shared key, so that a stranger is answered with
// at most 4 bytes, sees no node's key, and costs no Diffie-Hellman. The handshake's messages are
// of fixed size: nothing is allocated on a stranger's word. Every node has one key: the curve form
// of its Ed25519 identity is Noise's static key. The answer to a replayed hello is unreadable.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/effects.h"
#include "base/ids.h"
#include "base/noise.h"
#include "base/result.h"

namespace dunlin {

constexpr std::uint16_t kProtocolVersion = 3;
// Frames are sealed in pieces of this size, so that a large one needs no second buffer as large.
constexpr std::size_t kMaxRecord = 16 * 1024;
// A token admits to one question and one answer; neither is large.
constexpr std::size_t kMaxJoinFrame = 256 * 1024;
// A client's frames are pieces of a stream of bytes.
constexpr std::size_t kMaxClientFrame = 64 * 1024;

enum class SessionMode : std::uint8_t {
  kMember = 1,  // proves the cluster's key
  kJoin = 2,    // proves a join token
  kClient = 3,  // proves a user's token
};

// kOutlived: a later life of this node is known; it is a restored copy, or has a twin. The last
// three are about the token of a client, which has proved it.
enum class Verdict : std::uint8_t {
  kAdmitted = 1,
  kNotAdmitted,
  kBusy,
  kOutlived,
  kTokenExpired,
  kTokenRevoked,
  kTokenOfNode,
};

// Which key a hello proves: a key epoch (first byte) or a token's id.
using KeyName = OpaqueId<struct KeyNameTag, 8>;
KeyName key_name_of_epoch(std::uint8_t epoch);
// What members prove; not the cluster's key itself, which seals datagrams.
Key32 member_psk(const Key32& cluster_key);
// What clients prove, from what joiners prove (JoinToken::psk): all that the cluster keeps of a
// token.
Key32 client_psk(const Key32& token_psk);

// Who this node is.
struct Identity {
  KeyPair keys;
  Boot boot = 0;
  ClusterId cluster;

  NodeId id() const { return node_id_of(keys.public_key); }
};

// Who the other end has proved to be.
struct SessionPeer {
  NodeId id;
  PublicKey key;
  Boot boot = 0;
  SessionMode mode = SessionMode::kMember;
  KeyName key_name;
};

class Session {
 public:
  struct Target {
    SessionMode mode = SessionMode::kMember;
    KeyName key_name;
    Key32 psk{};
    std::optional<PublicKey> expected;  // nobody: any holder of the key will do
  };
  using PskLookup = std::function<std::optional<Key32>(SessionMode, const KeyName&)>;

  enum class Phase {
    kHandshake,
    kDeciding,  // listener only: the peer has proved who it is; call decide()
    kOpen,
    kClosed,  // write what take_output() still gives, then close
  };

  // The ephemeral secret must be fresh from the operating system's generator for each session.
  static Session dial(const Identity& self, const Target& target, const Key32& ephemeral);
  static Session listen(const Identity& self, PskLookup lookup, const Key32& ephemeral);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Takes all that the socket read; appends the frames that it completes. An error closes: kRefused
  // (by the other end, or by us for what it is or lacks), kConflict (another node or cluster than
  // meant), kLimit (too large, too many), kCorrupt (no such session's bytes).
  Result<void> receive(ByteView data, std::vector<Bytes>& frames);

  // In kDeciding. Anything but kAdmitted closes; the dialer is told which.
  void decide(Verdict verdict);

  // At most max_frame() bytes. Waits until the session is open.
  void send(Bytes frame);
  bool has_output() const;
  // The next bytes for the socket: whole records, so up to about kMaxRecord beyond `most`.
  Bytes take_output(std::size_t most);

  Phase phase() const { return phase_; }
  // Known from kDeciding (listener) or kOpen (dialer) on.
  const SessionPeer& peer() const { return peer_; }
  std::size_t max_frame() const;
  bool is_outlived() const { return is_outlived_; }           // dialer: what the listener says
  bool is_shut_out() const { return is_shut_out_; }           // likewise: not admitted, for good
  std::size_t queued_bytes() const { return queued_bytes_; }  // not yet taken by take_output

 private:
  enum class Await { kPreface, kHello, kThird, kAnswerKind, kAnswer, kRefusal, kVerdict, kRecord };
  struct Opening;  // what only the handshake needs
  Session(const Identity& self, const Key32& ephemeral);
  Result<std::size_t> wanted(ByteView have) const;
  Result<void> take_message(ByteView message, std::vector<Bytes>& frames);
  Result<void> on_preface(ByteView message);
  Result<void> on_hello(ByteView message);
  Result<void> on_third(ByteView message);
  Result<void> on_answer(ByteView message);
  Result<void> on_refusal(ByteView message);
  Result<void> on_verdict(ByteView record);
  Result<void> on_record(ByteView record, std::vector<Bytes>& frames);
  Result<void> learn_peer(ByteView payload);
  void start_ciphers();
  void seal_record(Bytes& out, ByteView plain);
  Result<Bytes> open_record(ByteView record);

  Phase phase_ = Phase::kHandshake;
  Await await_ = Await::kPreface;
  std::unique_ptr<Opening> opening_;
  SessionPeer peer_;
  NoiseCipher send_cipher_;
  NoiseCipher receive_cipher_;

  Bytes pending_, control_;  // a message not yet whole; handshake bytes to write
  std::deque<Bytes> outbox_;
  std::size_t outbox_offset_ = 0, queued_bytes_ = 0;  // the offset is into its first frame
  Bytes frame_;                                       // being put together from records
  std::size_t frame_missing_ = 0;
  bool is_outlived_ = false;
  bool is_shut_out_ = false;
};

}  // namespace dunlin
