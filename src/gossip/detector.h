// Who answers. Probes one member a period, helps others to probe, and turns silence into
// suspicion and suspicion into a verdict. Nobody declares a death who has not himself asked in
// vain: others only pass on what they are told, and probe when no verdict comes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "gossip/config.h"
#include "gossip/health.h"
#include "gossip/messages.h"
#include "gossip/prober.h"
#include "gossip/view.h"

namespace dunlin::gossip {

// What of a datagram is left for news.
constexpr std::size_t kNewsBudget = kMaxDatagram - kFrameOverhead;

class Detector {
 public:
  // All must outlive it.
  Detector(View& view, const GossipConfig& config, LocalHealth& health, Random random);

  void heard(Instant now, NodeId from);
  void handle(Instant now, NodeId from, const Ping& ping, Effects& out);
  void handle(Instant now, NodeId from, const Ack& ack, Effects& out);
  void handle(Instant now, NodeId from, const PingRequest& request, Effects& out);
  void handle(Instant now, NodeId from, const PingReport& report);

  void tick(Instant now, Effects& out);
  // After every input: what it doubted is probed, what it accused gets its deadline.
  void settle(Instant now, Effects& out);
  Instant next_deadline() const;
  // The process itself stood still that long: nobody else is to blame.
  void forgive(Duration late);

 private:
  void follow_probes(Instant now, Effects& out);
  void ask_helpers(const Prober::Step& step, Effects& out);
  void start_probe(Instant now, NodeId target, Effects& out);
  void probe_in_turn(Instant now, Effects& out);
  void follow_suspicions(Instant now, Effects& out);
  void schedule_verdict(Instant now, NodeId node);
  void reconnect(Instant now, Effects& out);
  void send_ping(NodeId to, std::uint32_t sequence, Channel channel, Effects& out);

  View& view_;
  const GossipConfig& config_;
  LocalHealth& health_;
  Random random_;
  Prober prober_;
  Instant probe_at_ = Instant::never();
  Instant reconnect_at_ = Instant::never();
};

}  // namespace dunlin::gossip
