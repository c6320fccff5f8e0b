#include "gossip/detector.h"

#include <algorithm>

namespace dunlin::gossip {

namespace {

// Pings that nobody waits for: any answer counts as life.
constexpr std::uint32_t kUntracked = 0;
// Less than the local health could make it: a node that is cut off must come to an end.
constexpr std::uint32_t kMaxVerdictFactor = 4;

bool is_active(const Member& member) {
  return member.state == MemberState::kAlive || member.state == MemberState::kSuspect;
}

}  // namespace

Detector::Detector(View& view, const GossipConfig& config, LocalHealth& health, Random random)
    : view_(view),
      config_(config),
      health_(health),
      random_(random),
      prober_(config, health, static_cast<std::uint32_t>(random_.below(1 << 16))) {}

void Detector::heard(Instant now, NodeId from) {
  view_.heard(now, from);
  prober_.heard(now, from);
}

void Detector::send_ping(NodeId to, std::uint32_t sequence, Channel channel, Effects& out) {
  Ping ping{sequence, view_.boot(), view_.take_news(to, kNewsBudget)};
  out.send(to, channel, encode_frame(std::move(ping)));
}

void Detector::handle(Instant now, NodeId from, const Ping& ping, Effects& out) {
  view_.check_boot(now, from, ping.boot);
  view_.learn_news(now, from, ping.news);
  Ack ack{ping.sequence, view_.boot(), view_.digest(), view_.take_news(from, kNewsBudget)};
  out.send(from, Channel::kDatagram, encode_frame(std::move(ack)));
}

void Detector::handle(Instant now, NodeId from, const Ack& ack, Effects& out) {
  view_.check_boot(now, from, ack.boot);
  view_.learn_news(now, from, ack.news);
  if (const auto errand = prober_.acknowledged(from, ack.sequence)) {
    out.send(errand->asker, Channel::kDatagram,
             encode_frame(PingReport{errand->asker_sequence, true}));
  }
}

void Detector::handle(Instant now, NodeId from, const PingRequest& request, Effects& out) {
  view_.learn_news(now, from, request.news);
  if (request.target == view_.self() || view_.roster().find(request.target) == nullptr) return;
  const auto sequence = prober_.run_errand(now, from, request.sequence, request.target,
                                           milliseconds(request.wait_ms));
  if (sequence) send_ping(request.target, *sequence, Channel::kDatagram, out);
}

void Detector::handle(Instant, NodeId from, const PingReport& report) {
  prober_.reported(from, report.sequence, report.answered);
}

void Detector::tick(Instant now, Effects& out) {
  follow_probes(now, out);
  if (now >= probe_at_) probe_in_turn(now, out);
  follow_suspicions(now, out);
  if (now >= reconnect_at_) reconnect(now, out);
}

void Detector::settle(Instant now, Effects& out) {
  if (view_.has_left()) return;
  while (prober_.has_room()) {
    const auto doubted = view_.take_doubt();
    if (!doubted) break;
    start_probe(now, *doubted, out);
  }
  for (const NodeId node : view_.suspicions().take_changed()) schedule_verdict(now, node);
  if (probe_at_ == Instant::never() && view_.roster().active_count() > 1) {
    // Not all nodes that start together probe at the same instants.
    probe_at_ = now + random_.between(Duration{}, config_.probe_period);
  }
  if (reconnect_at_ == Instant::never() && view_.roster().members().size() > 1) {
    reconnect_at_ = now + random_.between(Duration{}, config_.reconnect_period);
  }
}

Instant Detector::next_deadline() const {
  if (view_.has_left()) return Instant::never();
  const Instant doubted_at = prober_.has_room() ? view_.doubted_at() : Instant::never();
  return std::min({prober_.next_deadline(), view_.suspicions().next_deadline(), probe_at_,
                   reconnect_at_, doubted_at});
}

void Detector::forgive(Duration late) {
  prober_.postpone(late);
  view_.suspicions().postpone(late);
  health_.worsen();
}

// ---- probes ------------------------------------------------------------------------------------

void Detector::start_probe(Instant now, NodeId target, Effects& out) {
  const Member* member = view_.roster().find(target);
  if (member == nullptr || !is_active(*member) || prober_.is_probing(target)) return;
  const std::uint32_t sequence = prober_.begin(now, target, view_.roster().peer(target).patience);
  send_ping(target, sequence, Channel::kDatagram, out);
}

void Detector::probe_in_turn(Instant now, Effects& out) {
  if (view_.has_left() || view_.roster().active_count() <= 1) {
    probe_at_ = Instant::never();
    return;
  }
  probe_at_ = now + config_.probe_period;
  if (!prober_.has_room()) return;
  const auto target = view_.roster().next_in_turn(
      [&](const Member& m) { return is_active(m) && !prober_.is_probing(m.facts.id); });
  if (target) start_probe(now, *target, out);
}

void Detector::follow_probes(Instant now, Effects& out) {
  const Prober::Due due = prober_.take_due(now);
  for (const Prober::Step& step : due.to_ask) ask_helpers(step, out);
  for (const Prober::Failure& failure : due.failures) {
    std::vector<NodeId> accusers{view_.self()};
    accusers.insert(accusers.end(), failure.witnesses.begin(), failure.witnesses.end());
    const bool was_witness = view_.is_witness(failure.target);
    view_.missed(now, failure.target);
    view_.accuse(now, failure.target, std::move(accusers));
    if (!was_witness) schedule_verdict(now, failure.target);
  }
  for (const Prober::Errand& errand : due.vain_errands) {
    if (view_.roster().find(errand.target) == nullptr) continue;
    const bool answered = view_.roster().peer(errand.target).heard_at > errand.begun_at;
    const bool was_witness = view_.is_witness(errand.target);
    if (!answered) view_.missed(now, errand.target);
    out.send(errand.asker, Channel::kDatagram,
             encode_frame(PingReport{errand.asker_sequence, answered}));
    if (!was_witness) schedule_verdict(now, errand.target);
  }
}

// The stream is tried beside the helpers: it gets through where only datagrams are lost.
void Detector::ask_helpers(const Prober::Step& step, Effects& out) {
  if (view_.roster().find(step.target) == nullptr) return;
  send_ping(step.target, step.sequence, Channel::kStream, out);
  std::vector<NodeId> helpers = view_.roster().pick(config_.helpers, [&](const Member& m) {
    return m.state == MemberState::kAlive && m.facts.id != step.target;
  });
  for (const NodeId helper : helpers) {
    PingRequest request{step.sequence, step.target,
                        static_cast<std::uint32_t>(step.wait.milliseconds()),
                        view_.take_news(helper, kNewsBudget)};
    out.send(helper, Channel::kDatagram, encode_frame(std::move(request)));
  }
  prober_.asked(step.sequence, std::move(helpers));
}

// ---- suspicions --------------------------------------------------------------------------------

void Detector::schedule_verdict(Instant now, NodeId node) {
  const Suspicion* suspicion = view_.suspicions().find(node);
  if (suspicion == nullptr) return;
  if (!view_.is_witness(node)) {
    // Time for those who are; spread out, lest all the others probe him at once.
    const Duration wait =
        config_.suspicion_max + random_.between(Duration{}, config_.suspicion_max);
    view_.suspicions().schedule(node, Instant::never(), suspicion->since + wait);
    return;
  }
  const std::size_t others = view_.roster().active_count();
  const std::size_t possible =
      std::min<std::size_t>(config_.confirmations, others > 2 ? others - 2 : 0);
  const std::size_t confirmations = std::max<std::size_t>(1, suspicion->accusers.size()) - 1;
  // A witness who may be slow himself takes longer over it.
  const std::int64_t factor = std::min(health_.factor(), kMaxVerdictFactor);
  const Duration timeout = suspicion_timeout(config_, std::min(confirmations, possible), possible);
  const Instant missed_at = view_.roster().peer(node).missed_at;
  const Instant verdict_at =
      std::max(suspicion->since + timeout * factor, missed_at + config_.suspicion_min * factor);
  const Instant remind_at = missed_at + config_.remind_after;
  view_.suspicions().schedule(node, remind_at > now ? remind_at : Instant::never(), verdict_at);
}

void Detector::follow_suspicions(Instant now, Effects& out) {
  for (const NodeId node : view_.suspicions().due(now)) {
    const Suspicion& suspicion = *view_.suspicions().find(node);
    if (suspicion.verdict_at > now) {
      send_ping(node, kUntracked, Channel::kDatagram, out);
      view_.suspicions().schedule(node, Instant::never(), suspicion.verdict_at);
    } else if (view_.is_witness(node)) {
      view_.declare_dead(now, node);
    } else {
      view_.suspicions().schedule(node, Instant::never(), now + config_.suspicion_max);
      view_.doubt(now, node);
    }
  }
}

// ---- the dead ----------------------------------------------------------------------------------

// After a partition each side holds the other for dead. All members together try about three of
// the dead a period, so the cost of a dead host does not grow with the cluster.
void Detector::reconnect(Instant now, Effects& out) {
  reconnect_at_ = view_.has_left() ? Instant::never() : now + config_.reconnect_period;
  view_.reap(now);
  const auto is_dead = [](const Member& m) { return m.state == MemberState::kDead; };
  const auto& members = view_.roster().members();
  const auto dead =
      std::ranges::count_if(members, [&](const auto& entry) { return is_dead(entry.second); });
  if (dead == 0) return;
  const double share =
      3.0 * static_cast<double>(dead) / static_cast<double>(view_.roster().active_count());
  if (!random_.chance(share)) return;
  for (const NodeId node : view_.roster().pick(1, is_dead)) {
    send_ping(node, kUntracked, Channel::kDatagram, out);
  }
}

}  // namespace dunlin::gossip
