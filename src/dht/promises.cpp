#include "dht/promises.h"

#include <algorithm>

namespace dunlin {

namespace {

constexpr Duration kLongestWait = seconds(5);

}  // namespace

bool PromiseCheck::is_settled(const Raft& raft) const {
  const GroupConfig& config = raft.config();
  // Without entries it has acknowledged none, and votes only in groups whose voters know it.
  if (config.voters.empty()) return true;
  return config.has_quorum(
      [&](const Seat& seat) { return seat == raft.self() || answered_.contains(seat.node); });
}

void PromiseCheck::ask(Turn& turn, const std::vector<const Raft*>& unverified) {
  ask_at_ = Instant::never();
  std::set<NodeId> to;
  for (const Raft* raft : unverified) {
    for (const Seat& seat : raft->config().all_voters()) {
      if (seat.node != self_ && !answered_.contains(seat.node)) to.insert(seat.node);
    }
  }
  if (to.empty()) return;
  for (const NodeId& node : to) turn.notes.push_back({node, PromiseQuery{}});
  ask_at_ = turn.now + wait_;
  wait_ = std::min(wait_ * 2, kLongestWait);
}

void PromiseCheck::peer_is_up(Instant now, const NodeId& node) {
  if (ask_at_ != Instant::never() && !answered_.contains(node)) ask_at_ = now;
}

std::optional<std::string> PromiseCheck::judge(const NodeId& from, const PromiseReply& reply) {
  if (reply.heard_boot > boot_) {
    return "node " + from.short_text() + " knows a later life of this one (start " +
           std::to_string(reply.heard_boot) + ", this is " + std::to_string(boot_) +
           "): the directory is an old copy, or another process uses a copy of it";
  }
  if (reply.to_boot != boot_) return std::nullopt;
  if (reply.row > last_row_) {
    return "node " + from.short_text() + " was told that row " + std::to_string(reply.row) +
           " of the log was durable here, but it ends at " + std::to_string(last_row_);
  }
  answered_.insert(from);
  return std::nullopt;
}

PromiseReply PromiseCheck::answer(const Peer& peer, Boot to_boot,
                                  std::vector<GroupPromise> groups) {
  PromiseReply reply;
  reply.to_boot = to_boot;
  reply.heard_boot = peer.boot;
  reply.row = peer.boot == to_boot ? peer.old_row : peer.row;
  reply.groups = std::move(groups);
  return reply;
}

}  // namespace dunlin
