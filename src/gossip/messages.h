// What gossip and liveness say on the wire. A frame is the byte of Module::kGossip and the msgpack
// of a `Message`. SWIM: Das, Gupta, Motivala, DSN 2002. Lifeguard: Dadgar, Phillips, Currey, 2017.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/effects.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/result.h"
#include "gossip/updates.h"

namespace dunlin::gossip {

constexpr std::size_t kMaxNews = 64;       // updates in one frame
constexpr std::size_t kMaxBuckets = 256;   // of members, or of routes, in one exchange
constexpr std::size_t kMaxRecords = 4096;  // members in one frame of an exchange

// Answered by Ack to the true sender, never with more than the ping and some news.
struct Ping {
  std::uint32_t sequence = 0;
  Boot boot = 0;  // of the sender
  std::vector<Bytes> news;
  static constexpr auto fields() { return Fields<&Ping::sequence, &Ping::boot, &Ping::news>{}; }
};

struct Ack {
  std::uint32_t sequence = 0;
  Boot boot = 0;             // of the sender
  std::uint64_t digest = 0;  // of all members and routes the sender knows
  std::vector<Bytes> news;
  static constexpr auto fields() {
    return Fields<&Ack::sequence, &Ack::boot, &Ack::digest, &Ack::news>{};
  }
};

// Please ping `target` for me, and report after `wait_ms` if it has not answered by then.
struct PingRequest {
  std::uint32_t sequence = 0;
  NodeId target;
  std::uint32_t wait_ms = 0;
  std::vector<Bytes> news;
  static constexpr auto fields() {
    using P = PingRequest;
    return Fields<&P::sequence, &P::target, &P::wait_ms, &P::news>{};
  }
};

// The outcome of a PingRequest. A negative one tells the asker that he is not the slow one
// (Lifeguard's nack), and makes the helper a second direct observer.
struct PingReport {
  std::uint32_t sequence = 0;
  bool answered = false;
  static constexpr auto fields() { return Fields<&PingReport::sequence, &PingReport::answered>{}; }
};

struct News {
  std::vector<Bytes> news;
  static constexpr auto fields() { return Fields<&News::news>{}; }
};

// All that is known of one member.
struct Record {
  Card card;
  Standing standing;
  std::uint32_t age_s = 0;  // of the state
  std::uint32_t load_sequence = 0;
  std::uint32_t load_class = 0;
  std::uint32_t load_age_s = 0;
  static constexpr auto fields() {
    using R = Record;
    return Fields<&R::card, &R::standing, &R::age_s, &R::load_sequence, &R::load_class,
                  &R::load_age_s>{};
  }
};

// Opens an exchange: digests of equal shares of the members (by id) and routes (by group). The
// number of digests, a power of two, is the number of shares.
struct SyncRequest {
  Introduction self;
  std::vector<std::uint64_t> members;
  std::vector<std::uint64_t> routes;
  static constexpr auto fields() {
    return Fields<&SyncRequest::self, &SyncRequest::members, &SyncRequest::routes>{};
  }
};

// All that the answerer knows of the shares that differ; a large answer comes as several.
struct SyncReply {
  std::uint32_t bucket_count = 1;
  std::vector<std::uint32_t> buckets;
  std::vector<Record> records;
  std::uint32_t route_bucket_count = 1;
  std::vector<std::uint32_t> route_buckets;
  std::vector<Route> routes;
  static constexpr auto fields() {
    using S = SyncReply;
    return Fields<&S::bucket_count, &S::buckets, &S::records, &S::route_bucket_count,
                  &S::route_buckets, &S::routes>{};
  }
};

// What the opener knows better.
struct SyncPush {
  std::vector<Record> records;
  std::vector<Route> routes;
  static constexpr auto fields() { return Fields<&SyncPush::records, &SyncPush::routes>{}; }
};

// Of a pair that watches each other; read by Liveness, not by Gossip.
struct Heartbeat {
  Boot boot = 0;
  std::uint64_t durable = 0;  // the sender's last durable log sequence
  bool storage_ok = true;
  bool watching = false;  // the sender wants to hear from the receiver
  std::uint32_t ask = 0;  // not 0: answer at once, with this number in `answer`
  std::uint32_t answer = 0;
  static constexpr auto fields() {
    using H = Heartbeat;
    return Fields<&H::boot, &H::durable, &H::storage_ok, &H::watching, &H::ask, &H::answer>{};
  }
};

using Message = std::variant<Ping, Ack, PingRequest, PingReport, News, SyncRequest, SyncReply,
                             SyncPush, Heartbeat>;

Bytes encode_frame(const Message& message);
// kCorrupt when it is no frame of this module, or breaks a limit.
Result<Message> decode_frame(ByteView frame);
// Without decoding the rest: is this frame for Liveness rather than for Gossip?
bool is_heartbeat(ByteView frame);

// What an update adds to a frame, besides a frame's own at most kFrameOverhead bytes.
constexpr std::size_t kFrameOverhead = 64;
inline std::size_t framed_size(const Bytes& update) {
  return update.size() + 3;
}

}  // namespace dunlin::gossip
