// The figures of membership, with the reasons that fix them. Tests shorten them; nobody else.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace dunlin {

struct GossipConfig {
  // SWIM's protocol period: one member is probed in each. Nothing on an idle node is faster.
  Duration probe_period = seconds(1);
  // After this without an answer the stream and helpers are asked too; well above a LAN's round
  // trip, and early enough to leave helpers most of the time.
  Duration ack_timeout = milliseconds(150);
  // After this the probe has failed, and suspicion begins.
  Duration probe_timeout = milliseconds(500);
  std::uint32_t helpers = 3;
  // Local health (Lifeguard): the timeouts of probes are stretched up to this + 1 times. Unlike
  // there the period is not: a probe a second is no load, and a node that is cut off shall learn
  // so in useful time.
  std::uint32_t max_health = 8;

  // From the miss of a witness to his verdict: `suspicion_max` when he is alone with it, falling
  // to `suspicion_min` with each of `confirmations` further witnesses. In that time a member that
  // answers 2 s late is heard by every witness, even if one ping is lost, and his refutation is
  // everywhere.
  Duration suspicion_min = milliseconds(2500);
  // A new witness pings once more, after this.
  Duration remind_after = milliseconds(50);
  Duration suspicion_max = seconds(8);
  std::uint32_t confirmations = 3;
  // A verdict on someone who was heard so recently is doubted, and he is told of it.
  Duration fresh = seconds(2);
  // Patience granted to a member that keeps refuting halves after this (up to twice this).
  Duration patience_decay = seconds(300);

  // While there is something to spread: so often, to so many, each rumour
  // `retransmit` * max(2, ceil(log10(members + 1))) times by each member.
  Duration gossip_interval = milliseconds(100);
  std::uint32_t fanout = 3;
  std::uint32_t retransmit = 4;
  Duration gossip_to_dead = seconds(30);

  // A dead member is tried now and then, so that a healed partition merges.
  Duration reconnect_period = seconds(5);
  // The least time between two exchanges opened; doubles to the greatest while they bring nothing.
  Duration sync_gap = seconds(1);
  Duration sync_gap_max = seconds(60);
  Duration join_retry = seconds(1);
  // Those who left are remembered so long, lest old news bring them back.
  Duration keep_left = seconds(std::int64_t{7} * 24 * 3600);

  // Bytes a second that changes of load may cost each node: the interval between one node's
  // reports grows with the number of members.
  std::uint32_t load_budget = 1000;
  std::uint32_t load_retransmit = 6;
};

}  // namespace dunlin
