#include "base/datagram.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::uint8_t kPacketVersion = 1;
constexpr std::size_t kSenderAt = 2;
constexpr std::size_t kSenderBootAt = 18;
constexpr std::size_t kReceiverBootAt = 26;
constexpr std::size_t kCounterAt = 34;
static_assert(kCounterAt + 8 == kDatagramHeader);

// The first sealed byte: the kind, and in its upper half how many bytes of padding end the packet.
// Contents are at least as long as a hint's, so that every packet may be answered by one.
constexpr std::uint8_t kData = 0;
constexpr std::uint8_t kHint = 1;
constexpr std::size_t kMinContent = sizeof(Boot);
constexpr std::size_t kMinPacket = kDatagramHeader + 1 + kMinContent + kTagSize;

}  // namespace

bool ReplayWindow::is_fresh(std::uint64_t counter) const {
  if (counter >= end_) return true;
  if (end_ - counter > kReplayWindow) return false;
  const std::uint64_t bit = counter % kReplayWindow;
  return (seen_[bit / 64] >> (bit % 64) & 1) == 0;
}

void ReplayWindow::take(std::uint64_t counter) {
  ASSERT(is_fresh(counter) && counter != std::numeric_limits<std::uint64_t>::max());
  if (counter >= end_) {
    if (counter - end_ >= kReplayWindow) {
      seen_.fill(0);
    } else {
      for (std::uint64_t passed = end_; passed < counter; ++passed) {
        const std::uint64_t bit = passed % kReplayWindow;
        seen_[bit / 64] &= ~(std::uint64_t{1} << (bit % 64));
      }
    }
    end_ = counter + 1;
  }
  const std::uint64_t bit = counter % kReplayWindow;
  seen_[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

struct Datagrams::Header {
  std::uint8_t epoch = 0;
  NodeId sender;
  Boot sender_boot = 0;
  Boot receiver_boot = 0;
  std::uint64_t counter = 0;

  void write(std::uint8_t* to) const {
    to[0] = kPacketVersion;
    to[1] = epoch;
    std::copy(sender.raw.begin(), sender.raw.end(), to + kSenderAt);
    put_u64(to + kSenderBootAt, sender_boot);
    put_u64(to + kReceiverBootAt, receiver_boot);
    put_u64(to + kCounterAt, counter);
  }

  static Header read(ByteView packet) {
    Header header;
    header.epoch = packet[1];
    std::copy_n(packet.begin() + kSenderAt, header.sender.raw.size(), header.sender.raw.begin());
    header.sender_boot = get_u64(packet.data() + kSenderBootAt);
    header.receiver_boot = get_u64(packet.data() + kReceiverBootAt);
    header.counter = get_u64(packet.data() + kCounterAt);
    return header;
  }
};

Datagrams::Datagrams(const Identity& self, KeyLookup lookup)
    : self_(self),
      id_(self.id()),
      curve_secret_(curve_secret_of(self.keys)),
      lookup_(std::move(lookup)) {
  ASSERT(self.boot > 0);
}

void Datagrams::set_keys(const KeyRing& keys) {
  ASSERT(keys.keys.size() <= kMaxKeyEpochs);
  for (auto& [id, peer] : peers_) {
    peer.outbound.reset();
    // The peer may be ahead of us or behind: what it sealed with last says so no more.
    peer.epoch.reset();
    for (std::optional<Inbound>& inbound : peer.inbound) {
      if (inbound && keys.find(inbound->epoch) != ring_.find(inbound->epoch)) inbound.reset();
    }
  }
  ring_ = keys;
}

void Datagrams::learn_boot(NodeId id, Boot boot) {
  Peer* peer = peer_of(id);
  if (peer != nullptr && boot > peer->proven_boot) peer->told_boot = boot;
}

bool Datagrams::prove_boot(NodeId id, Boot boot) {
  Peer* peer = peer_of(id);
  if (peer == nullptr) return true;
  if (boot > peer->proven_boot) rise(*peer, boot);
  return boot == peer->proven_boot;
}

// A new life of the peer has new keys; what came under the old ones is told from replays no more,
// and is not believed.
void Datagrams::rise(Peer& peer, Boot boot) {
  peer.proven_boot = peer.told_boot = boot;
  peer.inbound = {};
}

// ---- peers and keys ----------------------------------------------------------------------------

Datagrams::Peer* Datagrams::peer_of(NodeId id) {
  const std::optional<PublicKey> key = id == id_ ? std::nullopt : lookup_(id);
  if (!key) return nullptr;
  const auto found = peers_.find(id);
  if (found != peers_.end()) return &found->second;

  const std::optional<Key32> curve = curve_public_of(*key);
  const std::optional<Key32> shared = curve ? x25519(curve_secret_, *curve) : std::nullopt;
  if (!shared || !make_room()) return nullptr;
  Peer& peer = peers_[id];
  peer.shared = *shared;
  peer.sent = counter_floor_;
  return &peer;
}

// The state of a node that is admitted no more may go: nothing of it is believed.
bool Datagrams::make_room() {
  if (peers_.size() < kMaxDatagramPeers) return true;
  for (auto it = peers_.begin(); it != peers_.end();) {
    if (lookup_(it->first)) {
      ++it;
      continue;
    }
    counter_floor_ = std::max(counter_floor_, it->second.sent);
    it = peers_.erase(it);
  }
  return peers_.size() < kMaxDatagramPeers;
}

// A peer that returns with the previous key is answered with it as long as the ring holds it.
std::optional<std::uint8_t> Datagrams::epoch_for(const Peer& peer) const {
  if (peer.epoch && ring_.find(*peer.epoch)) return peer.epoch;
  if (ring_.keys.empty()) return std::nullopt;
  return ring_.keys.front().first;
}

Key32 Datagrams::derive(const Key32& epoch_key, const Peer& peer, NodeId from, Boot from_boot,
                        NodeId to, Boot to_boot) const {
  Bytes data = to_bytes("dunlin datagram");
  append(data, peer.shared);
  append(data, self_.cluster.bytes());
  append(data, from.bytes());
  append(data, to.bytes());
  const std::size_t start = data.size();
  data.resize(start + 16);
  put_u64(data.data() + start, from_boot);
  put_u64(data.data() + start + 8, to_boot);
  const Key32 key = blake2b_256(data, epoch_key);
  wipe(data);
  return key;
}

Datagrams::Inbound* Datagrams::inbound_of(Peer& peer, std::uint8_t epoch) {
  for (std::optional<Inbound>& inbound : peer.inbound) {
    if (inbound && inbound->epoch == epoch) return &*inbound;
  }
  return nullptr;
}

Datagrams::Inbound& Datagrams::add_inbound(Peer& peer, std::uint8_t epoch, const Key32& key) {
  for (std::optional<Inbound>& inbound : peer.inbound) {
    if (!inbound) return inbound.emplace(Inbound{epoch, key, {}});
  }
  // set_keys() drops what the ring no longer holds, and the ring is no longer than this array.
  ASSERT(false);
  return *peer.inbound[0];
}

// ---- sealing -----------------------------------------------------------------------------------

Result<Bytes> Datagrams::seal(Instant now, NodeId to, ByteView frame) {
  if (frame.size() > kMaxDatagram) {
    return fail(Code::kLimit,
                "a datagram of " + std::to_string(frame.size()) + " bytes, over the limit");
  }
  Peer* peer = peer_of(to);
  if (peer == nullptr) return fail(Code::kNotFound, "node " + to.short_text() + " is no member");
  const std::optional<std::uint8_t> epoch = epoch_for(*peer);
  if (!epoch) return fail(Code::kRefused, "this node has no key of the cluster");
  if (peer->proven_boot == 0 || peer->told_boot != peer->proven_boot) {
    peer->unsent = {now, to_bytes(frame)};
  }
  return seal_for(*peer, to, peer->told_boot, *epoch, kData, frame);
}

Bytes Datagrams::seal_for(Peer& peer, NodeId to, Boot to_boot, std::uint8_t epoch,
                          std::uint8_t kind, ByteView content) {
  std::optional<Outbound>& outbound = peer.outbound;
  if (!outbound || outbound->epoch != epoch || outbound->to_boot != to_boot) {
    const Key32 key = derive(*ring_.find(epoch), peer, id_, self_.boot, to, to_boot);
    outbound = Outbound{epoch, to_boot, key};
  }
  const std::size_t padding = kMinContent - std::min(kMinContent, content.size());
  Bytes plain = {static_cast<std::uint8_t>(kind | padding << 4)};
  append(plain, content);
  plain.resize(plain.size() + padding);

  ASSERT(peer.sent != std::numeric_limits<std::uint64_t>::max());
  Bytes packet(kDatagramHeader + plain.size() + kTagSize);
  Header{epoch, id_, self_.boot, to_boot, peer.sent++}.write(packet.data());
  seal_to(packet.data() + kDatagramHeader, outbound->key, peer.sent - 1,
          ByteView(packet).first(kDatagramHeader), plain);
  return packet;
}

// ---- opening -----------------------------------------------------------------------------------

Result<Datagrams::Received> Datagrams::open(Instant now, ByteView packet) {
  if (packet.size() < kMinPacket || packet.size() > kMaxPacket || packet[0] != kPacketVersion) {
    return fail(Code::kCorrupt, "a packet that is no datagram of this version");
  }
  const Header header = Header::read(packet);
  if (!ring_.find(header.epoch)) {
    return fail(Code::kRefused, "a datagram sealed with a key this node does not hold");
  }
  Peer* peer = peer_of(header.sender);
  if (peer == nullptr) return fail(Code::kRefused, "a datagram from a stranger");
  if (header.counter == std::numeric_limits<std::uint64_t>::max()) {
    return fail(Code::kCorrupt, "a datagram with an impossible counter");
  }
  return open_from(now, *peer, header, packet);
}

Result<Datagrams::Received> Datagrams::open_from(Instant now, Peer& peer, const Header& header,
                                                 ByteView packet) {
  const bool is_present = header.sender_boot == peer.proven_boot;
  Inbound* inbound =
      is_present && header.receiver_boot == self_.boot ? inbound_of(peer, header.epoch) : nullptr;
  if (inbound != nullptr && !inbound->window.is_fresh(header.counter)) {
    return fail(Code::kRefused, "a datagram that was received before");
  }
  const Key32 key = inbound != nullptr ? inbound->key
                                       : derive(*ring_.find(header.epoch), peer, header.sender,
                                                header.sender_boot, id_, header.receiver_boot);
  const std::optional<Bytes> plain = dunlin::open(
      key, header.counter, packet.first(kDatagramHeader), packet.subspan(kDatagramHeader));
  if (!plain) return fail(Code::kCorrupt, "a datagram whose seal is broken");

  // From here on it is authentic, though perhaps old.
  Received out{header.sender, header.sender_boot, {}, {}, {}, false};
  const std::uint8_t kind = (*plain)[0] & 15;
  const std::size_t padding = (*plain)[0] >> 4;
  ByteView content = ByteView(*plain).subspan(1);
  if (padding > content.size()) return fail(Code::kCorrupt, "a datagram of impossible padding");
  content = content.first(content.size() - padding);

  if (header.sender_boot > peer.proven_boot) rise(peer, header.sender_boot);
  if (header.receiver_boot != self_.boot || header.sender_boot < peer.proven_boot) {
    if (kind != kHint) maybe_hint(now, peer, header, packet.size(), out);
    return out;
  }
  if (inbound == nullptr) inbound = &add_inbound(peer, header.epoch, key);
  inbound->window.take(header.counter);
  peer.told_boot = header.sender_boot;
  peer.epoch = header.epoch;

  std::optional<std::pair<Instant, Bytes>> unsent = std::exchange(peer.unsent, std::nullopt);
  if (kind == kData) {
    out.frame = to_bytes(content);
  } else if (kind == kHint && content.size() == sizeof(Boot)) {
    out.has_newer_self = get_u64(content.data()) > self_.boot;
    if (unsent && now - unsent->first <= kMaxUnsentAge) {
      out.resend =
          seal_for(peer, header.sender, peer.told_boot, header.epoch, kData, unsent->second);
    }
  }
  return out;
}

void Datagrams::maybe_hint(Instant now, Peer& peer, const Header& header, std::size_t packet_size,
                           Received& out) {
  if (peer.hinted_at && now - *peer.hinted_at < kHintInterval) return;
  peer.hinted_at = now;
  std::array<std::uint8_t, sizeof(Boot)> newest;
  put_u64(newest.data(), peer.proven_boot);
  out.reply = seal_for(peer, header.sender, header.sender_boot, header.epoch, kHint, newest);
  ASSERT(out.reply->size() <= packet_size);
}

}  // namespace dunlin
