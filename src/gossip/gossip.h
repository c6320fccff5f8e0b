// Membership: who is there, and what is said about them. SWIM (Das, Gupta, Motivala, DSN 2002)
// with Lifeguard's three parts (Dadgar, Phillips, Currey, 2017): local health, suspicion timeouts
// that shrink with the number of independent witnesses, and telling a suspect first. Besides,
//  - any authentic packet of a member is life, whatever its module and however late;
//  - only a node whose own probe went unanswered declares a death;
//  - members and routes are compared by digests that ride on acks, and exchanged only where they
//    differ: at rest there is one ping and one ack a second;
//  - a restarted member (higher boot) is alive again at once.
// Views are the same everywhere in the end, never at a given moment: they find and suggest, and
// safety rests on none of this. Admitted members are trusted to speak the truth about others.
//
// All times are the node's monotonic clock. Limits: kMaxMembers (roster.h), kMaxRumours
// (rumours.h) and those of messages.h; what is dropped over them is found by a later exchange.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "gossip/config.h"
#include "gossip/detector.h"
#include "gossip/events.h"
#include "gossip/exchange.h"
#include "gossip/health.h"
#include "gossip/liveness.h"
#include "gossip/member.h"
#include "gossip/messages.h"
#include "gossip/view.h"

namespace dunlin {

class Gossip {
 public:
  // `self` must pass validate_facts(); `boot` must be durable. The Random must differ between two
  // processes even where all else is the same: it tells twins apart.
  Gossip(NodeFacts self, Boot boot, const GossipConfig& config, Random random);
  Gossip(const Gossip&) = delete;
  Gossip& operator=(const Gossip&) = delete;

  // Frames of Module::kGossip, except heartbeats (gossip::is_heartbeat), which are Liveness'.
  // Malformed ones are dropped.
  void receive(Instant now, NodeId from, ByteView frame, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;

  // For every authentic frame of any other module and every heartbeat: it proves life.
  void heard(Instant now, NodeId from);
  // A hint (a reset connection, a silent pair) that a member may be gone: it is probed at once.
  void doubt(Instant now, NodeId node);

  // Members learnt at join or read from disk. Those known already are passed over; with one of
  // them an exchange is opened at once, and retried with others until one answers.
  void seed(Instant now, const std::vector<Member>& members);
  // Must pass validate_facts().
  void set_facts(Instant now, NodeFacts facts);
  // Others learn of it when its class (load_class) changes, within GossipConfig::load_budget; of
  // `draining` at once.
  void set_load(Instant now, const Load& load);
  // This node has become leader of a group, or knows who has.
  void announce_route(Instant now, const Route& route);
  // Says good-bye. The node should live on until is_quiet(), so that others hear of it.
  void leave(Instant now, Effects& out);
  // Nothing is left to spread.
  bool is_quiet() const { return !view_.has_rumours(); }
  // The id is banned for good (the cluster record says so): it vanishes from members().
  void mark_forgotten(Instant now, NodeId node);

  // Everyone known, this node included.
  const std::map<NodeId, Member>& members() const { return view_.roster().members(); }
  std::optional<Route> route(GroupId group) const;
  const std::map<GroupId, Route>& routes() const { return view_.routes(); }
  // The same value means the same members and routes, suspicions and loads apart.
  std::uint64_t digest() const { return view_.digest(); }
  // 0: well. Up to GossipConfig::max_health while this node itself seems to be slow.
  std::uint32_t local_health() const { return health_.score(); }
  std::vector<GossipEvent> take_events() { return view_.take_events(); }

 private:
  void dispatch(Instant now, NodeId from, const gossip::Message& message, Effects& out);
  void settle(Instant now, Effects& out);
  void flush(Instant now, Effects& out);
  void report_load(Instant now);

  const GossipConfig config_;
  gossip::LocalHealth health_;
  Random random_;
  gossip::View view_;
  gossip::Detector detector_;
  gossip::Exchange exchange_;
  Instant flushed_at_;

  std::uint32_t load_class_ = 0;
  std::uint32_t load_announced_ = 0;
  std::uint32_t load_sequence_ = 0;
  Instant load_next_at_;
};

}  // namespace dunlin
