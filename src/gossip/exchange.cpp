#include "gossip/exchange.h"

#include <algorithm>
#include <map>
#include <utility>

namespace dunlin::gossip {

namespace {

// Rumours are given this time to even out a difference.
constexpr Duration kQuiet = seconds(1);
// Where something changes all the time, so many differences in a row are a reason all the same.
constexpr std::uint32_t kMaxMismatches = 5;

std::vector<std::uint32_t> differing(const std::vector<std::uint64_t>& ours,
                                     const std::vector<std::uint64_t>& theirs) {
  std::vector<std::uint32_t> buckets;
  for (std::uint32_t bucket = 0; bucket < ours.size(); ++bucket) {
    if (ours[bucket] != theirs[bucket]) buckets.push_back(bucket);
  }
  return buckets;
}

bool contains(const std::vector<std::uint32_t>& buckets, std::uint32_t bucket) {
  return std::ranges::find(buckets, bucket) != buckets.end();
}

bool is_better(const Record& ours, const Record& theirs) {
  return supersedes(ours.standing, theirs.standing) ||
         std::tuple(ours.card.boot, ours.card.version, ours.card.life) >
             std::tuple(theirs.card.boot, theirs.card.version, theirs.card.life);
}

}  // namespace

void Exchange::compare(Instant now, NodeId from, std::uint64_t digest, Effects& out) {
  if (digest == view_.digest()) {
    mismatches_ = 0;
    return;
  }
  ++mismatches_;
  gap_ = std::clamp(gap_, config_.sync_gap, config_.sync_gap_max);
  if (view_.has_left() || now - opened_at_ < gap_) return;
  const bool is_busy = view_.has_rumours() || now - view_.changed_at() < kQuiet;
  if (is_busy && mismatches_ < kMaxMismatches) return;
  open(now, from, out);
}

void Exchange::open(Instant now, NodeId with, Effects& out) {
  opened_at_ = now;
  opened_with_ = with;
  gap_ = std::min(gap_ * 2, config_.sync_gap_max);
  mismatches_ = 0;
  SyncRequest request{view_.introduction(), view_.roster().bucket_digests(kMemberBuckets),
                      view_.route_digests(kRouteBuckets)};
  out.send(with, Channel::kStream, encode_frame(std::move(request)));
}

void Exchange::tick(Instant now, Effects& out) {
  if (now < retry_at_) return;
  const auto partner = view_.roster().pick(
      1, [](const Member& member) { return member.state != MemberState::kLeft; });
  if (partner.empty() || view_.has_left()) {
    retry_at_ = Instant::never();
    return;
  }
  retry_at_ = now + config_.join_retry;
  open(now, partner.front(), out);
}

bool Exchange::may_serve(Instant now) {
  if (now - serving_since_ >= seconds(1)) {
    serving_since_ = now;
    served_ = 0;
  }
  return ++served_ <= kMaxServedPerSecond;
}

void Exchange::handle(Instant now, NodeId from, const SyncRequest& request, Effects& out) {
  if (request.self.card.facts.id != from) return;
  view_.learn(now, from, request.self);
  if (!may_serve(now)) return;
  for (SyncReply& reply : answer(now, request)) {
    out.send(from, Channel::kStream, encode_frame(std::move(reply)));
  }
}

// At least one reply, even if nothing differs: a joiner waits for it. Every reply holds whole
// buckets, so that the opener can tell what is missing in it.
std::vector<SyncReply> Exchange::answer(Instant now, const SyncRequest& request) const {
  const std::size_t count = request.members.size();
  const auto buckets = differing(view_.roster().bucket_digests(count), request.members);
  std::map<std::uint32_t, std::vector<NodeId>> shares;
  for (const auto& [node, member] : view_.roster().members()) {
    const std::uint32_t bucket = Roster::bucket_of(node, count);
    if (contains(buckets, bucket)) shares[bucket].push_back(node);
  }
  std::vector<SyncReply> replies(1);
  SyncReply& first = replies.front();
  first.route_bucket_count = static_cast<std::uint32_t>(request.routes.size());
  first.route_buckets = differing(view_.route_digests(request.routes.size()), request.routes);
  for (const auto& [group, route] : view_.routes()) {
    const auto bucket = static_cast<std::uint32_t>(group.value % request.routes.size());
    if (contains(first.route_buckets, bucket)) first.routes.push_back(route);
  }
  for (const std::uint32_t bucket : buckets) {
    const std::vector<NodeId>& share = shares[bucket];
    if (!replies.back().records.empty() &&
        replies.back().records.size() + share.size() > kRecordsPerFrame) {
      replies.emplace_back();
    }
    SyncReply& reply = replies.back();
    reply.buckets.push_back(bucket);
    for (const NodeId node : share) {
      if (reply.records.size() < kMaxRecords) {
        reply.records.push_back(view_.roster().record(now, node));
      }
    }
  }
  for (SyncReply& reply : replies) reply.bucket_count = static_cast<std::uint32_t>(count);
  return replies;
}

void Exchange::handle(Instant now, NodeId from, const SyncReply& reply, Effects& out) {
  if (from != opened_with_) return;
  retry_at_ = Instant::never();
  bool was_useful = view_.learn_records(now, from, reply.records);
  was_useful |= view_.learn_routes(now, reply.routes);
  was_useful |= push_better(now, from, reply, out);
  if (was_useful) gap_ = config_.sync_gap;
}

bool Exchange::push_better(Instant now, NodeId to, const SyncReply& reply, Effects& out) const {
  std::map<NodeId, const Record*> theirs;
  for (const Record& record : reply.records) theirs.emplace(record.card.facts.id, &record);
  SyncPush push;
  bool was_useful = false;
  auto send = [&] {
    if (push.records.empty() && push.routes.empty()) return;
    was_useful = true;
    out.send(to, Channel::kStream, encode_frame(std::exchange(push, {})));
  };
  std::map<GroupId, Route> their_routes;
  for (const Route& route : reply.routes) their_routes.emplace(route.group, route);
  for (const auto& [group, route] : view_.routes()) {
    if (!contains(reply.route_buckets, group.value % reply.route_bucket_count)) continue;
    const auto found = their_routes.find(group);
    if (found == their_routes.end() || found->second != route) push.routes.push_back(route);
  }
  for (const auto& [node, member] : view_.roster().members()) {
    if (!contains(reply.buckets, Roster::bucket_of(node, reply.bucket_count))) continue;
    Record ours = view_.roster().record(now, node);
    const auto found = theirs.find(node);
    if (found != theirs.end() && !is_better(ours, *found->second)) continue;
    push.records.push_back(std::move(ours));
    if (push.records.size() >= kRecordsPerFrame) send();
  }
  send();
  return was_useful;
}

void Exchange::handle(Instant now, NodeId from, const SyncPush& push) {
  view_.learn_records(now, from, push.records);
  view_.learn_routes(now, push.routes);
}

}  // namespace dunlin::gossip
