#include "dht/promises.h"

#include <algorithm>
#include <utility>

namespace dunlin {

namespace {

constexpr Duration kLongestWait = seconds(5);

}  // namespace

// Places are ordered as the ends of logs are: one beyond the end of a log is not in it.
GroupConfig PromiseCheck::counted_in(const Raft& raft) const {
  const auto told = committed_.find(raft.group());
  if (told == committed_.end()) return raft.config();
  const bool is_beyond = std::pair{told->second.term, told->second.index} >
                         std::pair{raft.log().last_term(), raft.log().last()};
  if (is_beyond) return GroupConfig{told->second.config.voters, {}, {}};
  const GroupConfig& own = raft.config();
  const bool is_committed = told->second.config == own && told->second.index >= raft.config_index();
  return is_committed && was_left(raft.group(), own) ? GroupConfig{own.voters, {}, {}} : own;
}

bool PromiseCheck::was_left(GroupId group, const GroupConfig& joint) const {
  const auto gone = retired_.find(group);
  if (gone == retired_.end()) return false;
  return std::any_of(joint.outgoing.begin(), joint.outgoing.end(), [&](const Seat& seat) {
    const bool stays = std::binary_search(joint.voters.begin(), joint.voters.end(), seat);
    const auto replica = gone->second.find(seat.node);
    return !stays && replica != gone->second.end() && replica->second >= seat.generation;
  });
}

bool PromiseCheck::has_answered(GroupId group, const Seat& seat) const {
  const auto answers = answered_.find(group);
  if (answers == answered_.end()) return false;
  const auto by = answers->second.find(seat.node);
  return by != answers->second.end() && by->second == seat.generation;
}

void PromiseCheck::learn(const NodeId& from, const GroupPromise& promise) {
  answered_[promise.group][from] = promise.by;
  if (!promise.config.is_valid()) return;
  Committed& known = committed_[promise.group];
  if (std::pair{known.term, known.index} >= std::pair{promise.committed_term, promise.committed}) {
    return;
  }
  known = {promise.committed_term, promise.committed, promise.config};
}

bool PromiseCheck::is_settled(const Raft& raft) const {
  // Without entries it does not know its voters: an old copy may have forgotten all of them. Who
  // addresses it is asked, and tells who they are.
  const GroupConfig config = counted_in(raft);
  if (config.voters.empty()) return false;
  return config.has_quorum(
      [&](const Seat& seat) { return seat == raft.self() || has_answered(raft.group(), seat); });
}

void PromiseCheck::ask(Turn& turn, const std::vector<const Raft*>& unverified) {
  ask_at_ = Instant::never();
  std::set<NodeId> to = std::exchange(callers_, {});
  if (unverified.empty()) return;
  for (const Raft* raft : unverified) {
    for (const Seat& seat : counted_in(*raft).all_voters()) {
      if (seat.node != self_ && !has_answered(raft->group(), seat)) to.insert(seat.node);
    }
  }
  if (to.empty()) return;
  for (const NodeId& node : to) turn.notes.push_back({node, PromiseQuery{}});
  ask_at_ = turn.now + wait_;
  wait_ = std::min(wait_ * 2, kLongestWait);
}

void PromiseCheck::peer_is_up(Instant now) {
  if (ask_at_ != Instant::never()) ask_at_ = now;
}

void PromiseCheck::is_wanted_by(Instant now, const NodeId& node) {
  callers_.insert(node);
  if (ask_at_ != Instant::never()) return;
  wait_ = kFirstWait;  // nothing was wanted for long: it need not wait for what was in vain
  ask_at_ = now;
}

std::optional<GroupsFatal> PromiseCheck::judge(Instant now, const NodeId& from,
                                               const PromiseReply& reply) {
  if (reply.heard_boot > boot_) {
    return GroupsFatal{"node " + from.short_text() + " knows a later life of this one (start " +
                           std::to_string(reply.heard_boot) + ", this is " + std::to_string(boot_) +
                           "): the directory is an old copy, or another process uses a copy of it",
                       true};
  }
  if (reply.to_boot != boot_) return std::nullopt;
  if (reply.row > last_row_) {
    return GroupsFatal{"node " + from.short_text() + " was told that row " +
                       std::to_string(reply.row) + " of the log was durable here, but it ends at " +
                       std::to_string(last_row_)};
  }
  for (const GroupPromise& promise : reply.groups) learn(from, promise);
  for (const RetiredReplica& replica : reply.retired) {
    Generation& known = retired_[replica.group][from];
    known = std::max(known, replica.generation);
  }
  // Voters that were not known may be among those told.
  ask_at_ = std::min(ask_at_, now + wait_);
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
