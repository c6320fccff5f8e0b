// Sealed datagrams between members, as pure code: frames in, packets out, and back. No handshake:
// the key of a direction is derived from what both ends know already,
//
//   BLAKE2b(cluster key of the epoch; X25519 of the two identities, cluster,
//           sender, receiver, sender's boot, receiver's boot)
//
// so a restart (a new boot) is a new key and a counter never repeats under one. The header
//
//   version u8 | key epoch u8 | sender NodeId 16 | sender's boot u64 | receiver's boot u64 |
//   counter u64
//
// is associated data. A sliding window, moved only after the tag holds, refuses replays (as in
// IPsec, RFC 4303 section 3.4.3). A sender that does not know the receiver's boot writes the last
// one it knew, or 0: such a packet is authentic but may be a replay from an earlier life, so its
// content is not delivered; it is answered by a sealed *boot hint*, to the address it came from,
// never larger than it and at most every kHintInterval for each peer.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/effects.h"
#include "base/ids.h"
#include "base/keyring.h"
#include "base/result.h"
#include "base/session.h"
#include "base/time.h"

namespace dunlin {

constexpr std::size_t kDatagramHeader = 42;
constexpr std::size_t kMaxPacket = kDatagramHeader + 1 + kMaxDatagram + kTagSize;
constexpr std::size_t kReplayWindow = 1024;
// Peers with derived keys; replay windows cannot be forgotten while a peer may still be believed.
constexpr std::size_t kMaxDatagramPeers = 8192;
constexpr Duration kHintInterval = milliseconds(100);
// A frame sent before the receiver's boot was known goes again with the boot's arrival if that is
// soon; one for each peer.
constexpr Duration kMaxUnsentAge = seconds(1);

// Which counters have been seen: the newest and the kReplayWindow - 1 before it.
class ReplayWindow {
 public:
  bool is_fresh(std::uint64_t counter) const;
  void take(std::uint64_t counter);  // must be fresh

 private:
  std::uint64_t end_ = 0;  // one more than the newest
  std::array<std::uint64_t, kReplayWindow / 64> seen_{};
};

class Datagrams {
 public:
  // The key of an admitted node; nothing for strangers and the revoked.
  using KeyLookup = std::function<std::optional<PublicKey>(NodeId)>;

  Datagrams(const Identity& self, KeyLookup lookup);

  void set_keys(const KeyRing& keys);
  // What is told of a peer's boot; believed for sending until the peer itself says otherwise.
  void learn_boot(NodeId peer, Boot boot);
  // The peer has shown it in a handshake. False when it has shown a higher one before: then this
  // is a restored copy of it.
  bool prove_boot(NodeId peer, Boot boot);

  // A packet for the peer. kNotFound: no such member; kLimit: larger than kMaxDatagram, or too
  // many peers; kRefused: no key of the cluster.
  Result<Bytes> seal(Instant now, NodeId to, ByteView frame);

  struct Received {
    NodeId from;
    Boot boot = 0;
    std::optional<Bytes> frame;
    // A boot hint, to be sent to the address that the packet came from.
    std::optional<Bytes> reply;
    // A frame that waited for the peer's boot, to be sent to the peer's own address.
    std::optional<Bytes> resend;
    // The peer knows a later life of this very node: this one is a restored copy, or has a twin.
    bool has_newer_self = false;
  };
  // An error (kRefused, kCorrupt) means: drop it, and tell nobody.
  Result<Received> open(Instant now, ByteView packet);

 private:
  struct Header;
  struct Inbound {  // one key epoch of the peer's present boot
    std::uint8_t epoch = 0;
    Key32 key{};
    ReplayWindow window;
  };
  struct Outbound {
    std::uint8_t epoch = 0;
    Boot to_boot = 0;
    Key32 key{};
  };
  struct Peer {
    Key32 shared{};                     // X25519 of the two identities
    Boot proven_boot = 0;               // the highest that the peer itself has shown
    Boot told_boot = 0;                 // what packets to it are addressed to
    std::uint64_t sent = 0;             // the counter: goes on through all keys
    std::optional<std::uint8_t> epoch;  // that the peer seals with
    std::optional<Outbound> outbound;
    std::array<std::optional<Inbound>, kMaxKeyEpochs> inbound;
    std::optional<Instant> hinted_at;
    std::optional<std::pair<Instant, Bytes>> unsent;
  };

  Peer* peer_of(NodeId id);
  bool make_room();
  static void rise(Peer& peer, Boot boot);
  std::optional<std::uint8_t> epoch_for(const Peer& peer) const;
  Key32 derive(const Key32& epoch_key, const Peer& peer, NodeId from, Boot from_boot, NodeId to,
               Boot to_boot) const;
  Inbound* inbound_of(Peer& peer, std::uint8_t epoch);
  Inbound& add_inbound(Peer& peer, std::uint8_t epoch, const Key32& key);
  Bytes seal_for(Peer& peer, NodeId to, Boot to_boot, std::uint8_t epoch, std::uint8_t kind,
                 ByteView content);
  Result<Received> open_from(Instant now, Peer& peer, const Header& header, ByteView packet);
  void maybe_hint(Instant now, Peer& peer, const Header& header, std::size_t packet_size,
                  Received& out);

  Identity self_;
  NodeId id_;
  Key32 curve_secret_;
  KeyLookup lookup_;
  KeyRing ring_;
  std::map<NodeId, Peer> peers_;
  // Above every counter of a peer whose state was dropped, so that none can repeat.
  std::uint64_t counter_floor_ = 0;
};

}  // namespace dunlin
