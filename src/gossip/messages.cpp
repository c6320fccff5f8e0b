#include "gossip/messages.h"

#include <algorithm>
#include <bit>

namespace dunlin::gossip {

namespace {

constexpr std::uint32_t kMaxWaitMs = 60'000;

bool is_valid(const Card& card) {
  return validate_facts(card.facts).has_value();
}

bool is_valid(const Standing& standing) {
  return standing.patience <= kMaxPatience;
}

bool is_valid(const Status& status) {
  return is_valid(status.standing) && status.accusers.size() <= kMaxAccusers;
}

bool is_valid(const Introduction& introduction) {
  return is_valid(introduction.card) && is_valid(introduction.standing);
}

bool is_valid(const LoadReport&) {
  return true;
}

bool is_valid(const Route& route) {
  return route.group.value < kMaxGroups;
}

bool is_valid(const std::vector<Bytes>& news) {
  return news.size() <= kMaxNews;
}

bool is_valid(const Ping& ping) {
  return is_valid(ping.news);
}
bool is_valid(const Ack& ack) {
  return is_valid(ack.news);
}
bool is_valid(const PingRequest& request) {
  return is_valid(request.news) && request.wait_ms <= kMaxWaitMs;
}
bool is_valid(const PingReport&) {
  return true;
}
bool is_valid(const News& news) {
  return is_valid(news.news);
}
bool is_valid(const Heartbeat&) {
  return true;
}

bool is_bucket_count(std::size_t count) {
  return count >= 1 && count <= kMaxBuckets && std::has_single_bit(count);
}

bool is_valid(const SyncRequest& request) {
  return is_valid(request.self) && is_bucket_count(request.members.size()) &&
         is_bucket_count(request.routes.size());
}

bool is_valid(const std::vector<Record>& records) {
  return records.size() <= kMaxRecords && std::ranges::all_of(records, [](const Record& record) {
           return is_valid(record.card) && is_valid(record.standing);
         });
}

bool is_valid(const std::vector<Route>& routes) {
  return routes.size() <= kMaxGroups &&
         std::ranges::all_of(routes, [](const Route& route) { return is_valid(route); });
}

bool are_buckets(const std::vector<std::uint32_t>& buckets, std::uint32_t count) {
  return is_bucket_count(count) && buckets.size() <= count &&
         std::ranges::all_of(buckets, [&](std::uint32_t bucket) { return bucket < count; });
}

bool is_valid(const SyncReply& reply) {
  return are_buckets(reply.buckets, reply.bucket_count) &&
         are_buckets(reply.route_buckets, reply.route_bucket_count) && is_valid(reply.records) &&
         is_valid(reply.routes);
}

bool is_valid(const SyncPush& push) {
  return is_valid(push.records) && is_valid(push.routes);
}

template <class Variant>
Result<Variant> decode_valid(ByteView bytes) {
  Result<Variant> value = decode<Variant>(bytes);
  if (!value) return value;
  if (!std::visit([](const auto& held) { return is_valid(held); }, *value)) {
    return fail(Code::kCorrupt, "a gossip message breaks a limit");
  }
  return value;
}

}  // namespace

bool supersedes(const Standing& newer, const Standing& older) {
  if (newer.boot != older.boot) return newer.boot > older.boot;
  const bool newer_left = newer.state == MemberState::kLeft;
  const bool older_left = older.state == MemberState::kLeft;
  if (newer_left != older_left) return newer_left;
  if (newer.incarnation != older.incarnation) return newer.incarnation > older.incarnation;
  return newer.state > older.state;
}

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
  return decode_valid<Message>(frame.subspan(1));
}

bool is_heartbeat(ByteView frame) {
  constexpr std::uint8_t kArrayOfTwo = 0x92;
  constexpr std::uint8_t kIndex = std::variant_size_v<Message> - 1;
  static_assert(std::is_same_v<std::variant_alternative_t<kIndex, Message>, Heartbeat>);
  return frame.size() > 2 && frame[0] == static_cast<std::uint8_t>(Module::kGossip) &&
         frame[1] == kArrayOfTwo && frame[2] == kIndex;
}

Bytes encode_update(const Update& update) {
  return encode(update);
}

Result<Update> decode_update(ByteView bytes) {
  return decode_valid<Update>(bytes);
}

}  // namespace dunlin::gossip
