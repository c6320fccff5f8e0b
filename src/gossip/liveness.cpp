#include "gossip/liveness.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

using gossip::Heartbeat;

namespace {

constexpr Instant kLongAgo{std::numeric_limits<std::int64_t>::min() / 4};
// A tick this late means that this process stood still: the silence was here.
constexpr Duration kLateTick = milliseconds(500);
// Watchers are forgotten after so many of their longest intervals.
constexpr std::int64_t kWatcherIntervals = 3;

}  // namespace

Liveness::Liveness(NodeId self, Boot boot, const LivenessConfig& config, Random random)
    : self_(self), boot_(boot), config_(config), random_(random) {}

void Liveness::watch(Instant now, const std::set<NodeId>& peers) {
  std::erase_if(peers_, [&](const auto& entry) { return !peers.contains(entry.first); });
  for (const NodeId node : peers) {
    if (node == self_ || peers_.contains(node) || peers_.size() >= kMaxWatched) continue;
    Peer peer;
    peer.heard_at = now;
    peer.sent_at = peer.beaten_at = kLongAgo;
    if (const auto watcher = watchers_.find(node); watcher != watchers_.end()) {
      peer.sent_at = watcher->second.sent_at;
      peer.beaten_at = watcher->second.beaten_at;
      watchers_.erase(watcher);
    }
    peers_.emplace(node, peer);
    // The next wake-up is soon enough to tell it, and many watched at once share it.
    if (beat_at_ == Instant::never()) beat_at_ = now;
  }
  schedule();
}

std::optional<DurableMark> Liveness::last_durable(NodeId node) const {
  const auto found = marks_.find(node);
  if (found == marks_.end()) return std::nullopt;
  return found->second;
}

bool Liveness::is_trusted(NodeId node) const {
  const auto found = peers_.find(node);
  return found != peers_.end() && !found->second.is_suspected;
}

// ---- sending -----------------------------------------------------------------------------------

void Liveness::send(NodeId to, std::uint32_t ask, std::uint32_t answer, Effects& out) {
  Heartbeat heartbeat;
  heartbeat.boot = boot_;
  heartbeat.durable = durable_;
  heartbeat.storage_ok = !is_stalled_;
  heartbeat.watching = peers_.contains(to);
  heartbeat.ask = ask;
  heartbeat.answer = answer;
  out.send(to, Channel::kDatagram, gossip::encode_frame(heartbeat));
}

bool Liveness::is_beat_due(Instant now, Instant sent_at, Instant beaten_at,
                           bool is_skippable) const {
  // A wake-up comes a little early or late; half a period tells "this one" from "the last one".
  const Duration slack = config_.period / 2;
  if (now - beaten_at >= config_.heartbeat_at_least - slack) return true;
  const Instant last = is_skippable && !is_stalled_ ? std::max(sent_at, beaten_at) : beaten_at;
  return now - last >= config_.period - slack;
}

void Liveness::beat(Instant now, Effects& out) {
  for (auto& [node, peer] : peers_) {
    // Until the peer has shown that it knows of the watch, nothing else stands in.
    if (!is_beat_due(now, peer.sent_at, peer.beaten_at, peer.has_answered)) continue;
    peer.beaten_at = peer.sent_at = now;
    send(node, 0, 0, out);
  }
  std::erase_if(watchers_, [&](const auto& entry) { return entry.second.until <= now; });
  for (auto& [node, watcher] : watchers_) {
    if (!is_beat_due(now, watcher.sent_at, watcher.beaten_at, true)) continue;
    watcher.beaten_at = watcher.sent_at = now;
    send(node, 0, 0, out);
  }
  const bool is_idle = peers_.empty() && watchers_.empty();
  beat_at_ = is_idle ? Instant::never() : now + config_.period;
}

void Liveness::ask(NodeId node, Peer& peer, Effects& out) {
  while (peer.asked == 0) peer.asked = static_cast<std::uint32_t>(random_.next());
  send(node, peer.asked, 0, out);
}

void Liveness::sent(Instant now, NodeId to) {
  if (const auto peer = peers_.find(to); peer != peers_.end()) {
    peer->second.sent_at = now;
  } else if (const auto watcher = watchers_.find(to); watcher != watchers_.end()) {
    watcher->second.sent_at = now;
  }
}

void Liveness::set_storage(Instant now, std::uint64_t durable_sequence, bool is_stalled) {
  durable_ = std::max(durable_, durable_sequence);
  if (is_stalled == is_stalled_) return;
  is_stalled_ = is_stalled;
  if (is_stalled) {
    events_.push_back(StorageStalled{});
  } else {
    events_.push_back(StorageRecovered{});
  }
  // Everybody is to know at once.
  for (auto& [node, peer] : peers_) peer.beaten_at = kLongAgo;
  for (auto& [node, watcher] : watchers_) watcher.beaten_at = kLongAgo;
  if (beat_at_ != Instant::never()) beat_at_ = now;
}

// ---- hearing -----------------------------------------------------------------------------------

void Liveness::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  if (from == self_ || !gossip::is_heartbeat(frame)) return;
  const Result<gossip::Message> message = gossip::decode_frame(frame);
  if (!message) return;
  handle(now, from, std::get<Heartbeat>(*message), out);
  schedule();
}

void Liveness::handle(Instant now, NodeId from, const Heartbeat& heartbeat, Effects& out) {
  mark(from, heartbeat);
  note_watcher(now, from, heartbeat.watching);
  if (heartbeat.ask != 0) send(from, 0, heartbeat.ask, out);
  const auto found = peers_.find(from);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  peer.has_answered = true;
  peer.is_stalled = !heartbeat.storage_ok;
  if (peer.is_stalled) {
    suspect(from, peer);
    return;
  }
  if (peer.asked != 0 && heartbeat.answer == peer.asked) {
    peer.verdict_at = peer.ask_again_at = Instant::never();
    peer.asked = 0;
  }
  trust(now, from, peer);
}

void Liveness::note_watcher(Instant now, NodeId from, bool is_watching) {
  if (!is_watching || peers_.contains(from)) {
    watchers_.erase(from);
    return;
  }
  if (!watchers_.contains(from)) {
    if (watchers_.size() >= kMaxWatched) return;
    watchers_.emplace(from, Watcher{now, kLongAgo, kLongAgo});
    if (beat_at_ == Instant::never()) beat_at_ = now;
  }
  watchers_.at(from).until = now + config_.heartbeat_at_least * kWatcherIntervals;
}

void Liveness::mark(NodeId from, const Heartbeat& heartbeat) {
  if (!marks_.contains(from) && marks_.size() >= kMaxMarks) return;
  DurableMark& mark = marks_[from];
  mark.boot = std::max(mark.boot, heartbeat.boot);
  mark.sequence = std::max(mark.sequence, heartbeat.durable);
}

void Liveness::heard(Instant now, NodeId from) {
  const auto found = peers_.find(from);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  // A frame that was under way when the connection broke proves nothing, and neither do frames
  // of a node whose storage hangs: both need a heartbeat that says so.
  if (peer.verdict_at != Instant::never() || peer.is_stalled) return;
  trust(now, from, peer);
}

void Liveness::trust(Instant now, NodeId node, Peer& peer) {
  peer.heard_at = now;
  if (peer.verdict_at != Instant::never() || !peer.is_suspected) return;
  peer.is_suspected = false;
  events_.push_back(PeerRecovered{node});
}

void Liveness::suspect(NodeId node, Peer& peer) {
  peer.verdict_at = peer.ask_again_at = Instant::never();
  peer.asked = 0;
  if (peer.is_suspected) return;
  peer.is_suspected = true;
  events_.push_back(PeerSuspected{node});
}

void Liveness::reset(Instant now, NodeId node) {
  const auto found = peers_.find(node);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  if (peer.is_suspected || peer.verdict_at != Instant::never()) return;
  peer.verdict_at = now + config_.reset_grace;
  peer.ask_again_at = now;  // the first question leaves with the next tick, which is due now
  schedule();
}

// ---- time --------------------------------------------------------------------------------------

void Liveness::tick(Instant now, Effects& out) {
  const Instant due = next_deadline();
  if (due != Instant::never() && now - due > kLateTick) forgive(now, now - due);
  for (auto& [node, peer] : peers_) {
    if (now >= peer.ask_again_at) {
      const bool is_first = peer.asked == 0;
      ask(node, peer, out);
      peer.ask_again_at = is_first ? now + config_.reset_grace / 2 : Instant::never();
    }
    const bool is_silent = now - peer.heard_at >= config_.suspect_after;
    if (now >= peer.verdict_at || is_silent) suspect(node, peer);
  }
  if (now >= beat_at_) beat(now, out);
  schedule();
}

void Liveness::forgive(Instant now, Duration late) {
  for (auto& [node, peer] : peers_) {
    peer.heard_at = std::min(peer.heard_at + late, now);
    peer.verdict_at = peer.verdict_at + late;
  }
}

// A frame heard only makes a check unnecessary, so deadlines need not follow each of them.
void Liveness::schedule() {
  check_at_ = Instant::never();
  for (const auto& [node, peer] : peers_) {
    check_at_ = std::min({check_at_, peer.verdict_at, peer.ask_again_at});
    if (!peer.is_suspected) check_at_ = std::min(check_at_, peer.heard_at + config_.suspect_after);
  }
}

Instant Liveness::next_deadline() const {
  return std::min(beat_at_, check_at_);
}

}  // namespace dunlin
