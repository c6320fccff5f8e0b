#include "gossip/gossip.h"

#include <algorithm>

namespace dunlin {

using gossip::kNewsBudget;

namespace {

// A tick this late means that the process stood still (paused, swapped out, starved).
constexpr Duration kLateAlarm = milliseconds(500);
// What one report of a load costs each node of the cluster: its size times how often it is told.
constexpr std::int64_t kLoadReportSize = 40;
// A good-bye goes to so many at once, besides spreading as a rumour.
constexpr std::size_t kGoodbyes = 32;
constexpr std::uint32_t kDrainingBit = 1U << 30;

}  // namespace

Gossip::Gossip(NodeFacts self, Boot boot, const GossipConfig& config, Random random)
    : config_(config),
      health_(config.max_health),
      random_(random),
      view_(std::move(self), boot, config_, health_, random_.fork()),
      detector_(view_, config_, health_, random_.fork()),
      exchange_(view_, config_) {}

void Gossip::receive(Instant now, NodeId from, ByteView frame, Effects& out) {
  if (from == view_.self() || view_.is_forgotten(from)) return;
  const Result<gossip::Message> message = gossip::decode_frame(frame);
  if (!message) return;
  detector_.heard(now, from);
  dispatch(now, from, *message, out);
  settle(now, out);
}

void Gossip::dispatch(Instant now, NodeId from, const gossip::Message& message, Effects& out) {
  struct Reader {
    Gossip& gossip;
    Instant now;
    NodeId from;
    Effects& out;
    void operator()(const gossip::Ping& m) const { gossip.detector_.handle(now, from, m, out); }
    void operator()(const gossip::Ack& m) const {
      gossip.detector_.handle(now, from, m, out);
      gossip.exchange_.compare(now, from, m.digest, out);
    }
    void operator()(const gossip::PingRequest& m) const {
      gossip.detector_.handle(now, from, m, out);
    }
    void operator()(const gossip::PingReport& m) const { gossip.detector_.handle(now, from, m); }
    void operator()(const gossip::News& m) const { gossip.view_.learn_news(now, from, m.news); }
    void operator()(const gossip::SyncRequest& m) const {
      gossip.exchange_.handle(now, from, m, out);
    }
    void operator()(const gossip::SyncReply& m) const {
      gossip.exchange_.handle(now, from, m, out);
    }
    void operator()(const gossip::SyncPush& m) const { gossip.exchange_.handle(now, from, m); }
    void operator()(const gossip::Heartbeat&) const {}
  };
  std::visit(Reader{*this, now, from, out}, message);
}

void Gossip::tick(Instant now, Effects& out) {
  const Instant due = detector_.next_deadline();
  if (due != Instant::never() && now - due > kLateAlarm) detector_.forgive(now - due);
  detector_.tick(now, out);
  exchange_.tick(now, out);
  view_.decay_patience(now);
  if (load_class_ != load_announced_ && now >= load_next_at_) report_load(now);
  settle(now, out);
}

void Gossip::settle(Instant now, Effects& out) {
  detector_.settle(now, out);
  flush(now, out);
}

Instant Gossip::next_deadline() const {
  Instant next = std::min({detector_.next_deadline(), exchange_.next_deadline(),
                           view_.next_deadline(), view_.noticed_at()});
  if (view_.has_rumours()) next = std::min(next, flushed_at_ + config_.gossip_interval);
  if (load_class_ != load_announced_) next = std::min(next, load_next_at_);
  return next;
}

// The first rumour after a quiet time leaves at once; more follow in steps of the interval.
void Gossip::flush(Instant now, Effects& out) {
  for (auto& [node, update] : view_.take_notices()) {
    out.send(node, Channel::kDatagram, encode_frame(gossip::News{{std::move(update)}}));
  }
  if (!view_.has_rumours() || now < flushed_at_ + config_.gossip_interval) return;
  flushed_at_ = now;
  const auto listeners = view_.roster().pick(config_.fanout, [&](const Member& member) {
    if (member.state == MemberState::kLeft) return false;
    return member.state != MemberState::kDead || now - member.since < config_.gossip_to_dead;
  });
  if (listeners.empty()) view_.drop_rumours();
  for (const NodeId listener : listeners) {
    std::vector<Bytes> news = view_.take_news(listener, kNewsBudget);
    if (news.empty()) break;
    out.send(listener, Channel::kDatagram, encode_frame(gossip::News{std::move(news)}));
  }
}

void Gossip::heard(Instant now, NodeId from) {
  detector_.heard(now, from);
}

void Gossip::doubt(Instant now, NodeId node) {
  view_.doubt(now, node);
}

void Gossip::seed(Instant now, const std::vector<Member>& members) {
  view_.seed(now, members);
  if (this->members().size() > 1) exchange_.join(now);
}

void Gossip::set_facts(Instant now, NodeFacts facts) {
  view_.set_facts(now, std::move(facts));
}

void Gossip::set_load(Instant now, const Load& load) {
  view_.set_own_load(now, load);
  load_class_ = load_class(load);
  const bool is_urgent = ((load_class_ ^ load_announced_) & kDrainingBit) != 0;
  if (is_urgent) report_load(now);
}

void Gossip::report_load(Instant now) {
  const bool is_urgent =
      load_sequence_ == 0 || ((load_class_ ^ load_announced_) & kDrainingBit) != 0;
  load_announced_ = load_class_;
  view_.announce_load(++load_sequence_, load_class_, is_urgent);
  const auto cost = kLoadReportSize * config_.load_retransmit *
                    static_cast<std::int64_t>(view_.roster().active_count());
  const Duration interval = microseconds(cost * 1'000'000 / config_.load_budget);
  load_next_at_ = now + std::max(interval, seconds(1));
}

void Gossip::announce_route(Instant now, const Route& route) {
  view_.announce_route(now, route);
}

void Gossip::leave(Instant now, Effects& out) {
  view_.leave(now);
  for (const NodeId node : view_.roster().pick(kGoodbyes, [](const Member& member) {
         return member.state == MemberState::kAlive || member.state == MemberState::kSuspect;
       })) {
    out.send(node, Channel::kDatagram,
             encode_frame(gossip::News{view_.take_news(node, kNewsBudget)}));
  }
  settle(now, out);
}

void Gossip::mark_forgotten(Instant now, NodeId node) {
  view_.mark_forgotten(now, node);
}

std::optional<Route> Gossip::route(GroupId group) const {
  const auto found = view_.routes().find(group);
  if (found == view_.routes().end()) return std::nullopt;
  return found->second;
}

}  // namespace dunlin
