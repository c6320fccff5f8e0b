#include "gossip/messages.h"

#include <algorithm>
#include <bit>

namespace dunlin::gossip {

namespace {

constexpr std::uint32_t kMaxWaitMs = 60'000;

bool is_bucket_count(std::size_t count) {
  return count >= 1 && count <= kMaxBuckets && std::has_single_bit(count);
}

bool are_buckets(const std::vector<std::uint32_t>& buckets, std::uint32_t count) {
  return is_bucket_count(count) && buckets.size() <= count &&
         std::ranges::all_of(buckets, [&](std::uint32_t bucket) { return bucket < count; });
}

bool are_records(const std::vector<Record>& records) {
  return records.size() <= kMaxRecords && std::ranges::all_of(records, [](const Record& record) {
           return is_valid(record.card) && is_valid(record.standing);
         });
}

// Is a decoded message within the limits? What it carries is checked when it is read.
struct Limits {
  bool operator()(const Ping& m) const { return m.news.size() <= kMaxNews; }
  bool operator()(const Ack& m) const { return m.news.size() <= kMaxNews; }
  bool operator()(const PingRequest& m) const {
    return m.news.size() <= kMaxNews && m.wait_ms <= kMaxWaitMs;
  }
  bool operator()(const PingReport&) const { return true; }
  bool operator()(const News& m) const { return m.news.size() <= kMaxNews; }
  bool operator()(const SyncRequest& m) const {
    return is_valid(m.self) && is_bucket_count(m.members.size()) &&
           is_bucket_count(m.routes.size());
  }
  bool operator()(const SyncReply& m) const {
    return are_buckets(m.buckets, m.bucket_count) &&
           are_buckets(m.route_buckets, m.route_bucket_count) && are_records(m.records) &&
           m.routes.size() <= kMaxGroups;
  }
  bool operator()(const SyncPush& m) const {
    return are_records(m.records) && m.routes.size() <= kMaxGroups;
  }
  bool operator()(const Heartbeat&) const { return true; }
};

}  // namespace

Bytes encode_frame(const Message& message) {
  Bytes frame{static_cast<std::uint8_t>(Module::kGossip)};
  Encoder out(frame);
  put(out, message);
  return frame;
}

Result<Message> decode_frame(ByteView frame) {
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kGossip)) {
    return fail(Code::kCorrupt, "not a gossip frame");
  }
  Result<Message> message = decode<Message>(frame.subspan(1));
  if (!message) return message;
  if (!std::visit(Limits{}, *message)) {
    return fail(Code::kCorrupt, "a gossip message breaks a limit");
  }
  return message;
}

bool is_heartbeat(ByteView frame) {
  constexpr std::uint8_t kArrayOfTwo = 0x92;
  constexpr std::uint8_t kIndex = std::variant_size_v<Message> - 1;
  static_assert(std::is_same_v<std::variant_alternative_t<kIndex, Message>, Heartbeat>);
  return frame.size() > 2 && frame[0] == static_cast<std::uint8_t>(Module::kGossip) &&
         frame[1] == kArrayOfTwo && frame[2] == kIndex;
}

}  // namespace dunlin::gossip
