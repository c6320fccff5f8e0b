// Push-pull, digests first: acks carry one digest of all that a node believes; when two differ for
// longer than rumours need, the shares (buckets) that differ are exchanged over the stream. Where
// all agree it sends nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "base/effects.h"
#include "gossip/config.h"
#include "gossip/messages.h"
#include "gossip/view.h"

namespace dunlin::gossip {

constexpr std::size_t kMemberBuckets = 64;
constexpr std::size_t kRouteBuckets = 16;
constexpr std::size_t kRecordsPerFrame = 512;
constexpr std::uint32_t kMaxServedPerSecond = 20;

class Exchange {
 public:
  // Both must outlive it.
  Exchange(View& view, const GossipConfig& config) : view_(view), config_(config) {}

  // Opens one with somebody at once, for a node that has just learnt of others.
  void join(Instant now) { retry_at_ = now; }
  // A digest that came in an ack.
  void compare(Instant now, NodeId from, std::uint64_t digest, Effects& out);
  void handle(Instant now, NodeId from, const SyncRequest& request, Effects& out);
  void handle(Instant now, NodeId from, const SyncReply& reply, Effects& out);
  void handle(Instant now, NodeId from, const SyncPush& push);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const { return retry_at_; }

 private:
  void open(Instant now, NodeId with, Effects& out);
  bool may_serve(Instant now);
  std::vector<SyncReply> answer(Instant now, const SyncRequest& request) const;
  bool push_better(Instant now, NodeId to, const SyncReply& reply, Effects& out) const;

  View& view_;
  const GossipConfig& config_;
  Instant retry_at_ = Instant::never();  // until the first answer of this life
  Instant opened_at_ = kLongAgo;
  NodeId opened_with_;
  Duration gap_;
  std::uint32_t mismatches_ = 0;  // acks in a row whose digest differed
  Instant serving_since_ = kLongAgo;
  std::uint32_t served_ = 0;
};

}  // namespace dunlin::gossip
