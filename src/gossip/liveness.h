// Pairs that depend on each other watch each other directly, because agreement about a death
// takes membership several seconds. One heartbeat a second and direction, over datagrams; any
// other frame to the peer stands in for it. After Cockroach's store liveness: directed, per pair,
// and vouching for the storage too. A suspicion is a hint that starts a pre-vote, never safety.
//
// Limits: kMaxWatched peers watched, kMaxWatched watchers, kMaxMarks marks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "gossip/events.h"
#include "gossip/messages.h"

namespace dunlin {

constexpr std::size_t kMaxWatched = 4096;
constexpr std::size_t kMaxMarks = 10'000;

struct LivenessConfig {
  Duration period = seconds(1);         // all heartbeats that are due leave in one wake-up
  Duration suspect_after = seconds(3);  // of silence
  // Even where other frames flow: for the flags and marks that only a heartbeat carries.
  Duration heartbeat_at_least = seconds(5);
  // After a reset connection, for an answer to a heartbeat that asks for one.
  Duration reset_grace = milliseconds(150);
};

// The highest that a peer has said of itself: a directory that shows less is a restored copy.
struct DurableMark {
  Boot boot = 0;
  std::uint64_t sequence = 0;
};

class Liveness {
 public:
  Liveness(NodeId self, Boot boot, const LivenessConfig& config, Random random);

  // Replaces the set of peers watched. Those who are new in it count as heard now.
  void watch(Instant now, const std::set<NodeId>& peers);
  const std::map<NodeId, DurableMark>& marks() const { return marks_; }
  std::optional<DurableMark> last_durable(NodeId node) const;
  // Watched, and not suspected.
  bool is_trusted(NodeId node) const;

  // Heartbeats (gossip::is_heartbeat); other and malformed frames are dropped.
  void receive(Instant now, NodeId from, ByteView frame, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;

  // For every frame of any module sent to, or authentic from, a node.
  void sent(Instant now, NodeId to);
  void heard(Instant now, NodeId from);
  // A connection of the peer was reset: suspected unless it answers within the grace.
  void reset(Instant now, NodeId node);
  // What heartbeats say of this node's storage. While `is_stalled` they vouch for nothing, and
  // say so; StorageStalled and StorageRecovered mark the changes.
  void set_storage(Instant now, std::uint64_t durable_sequence, bool is_stalled);

  std::vector<LivenessEvent> take_events() { return std::exchange(events_, {}); }

 private:
  struct Peer {
    Instant heard_at;
    Instant sent_at;    // anything
    Instant beaten_at;  // a heartbeat
    bool is_suspected = false;
    bool is_stalled = false;                // its own word about its storage
    bool has_answered = false;              // since it is watched: it knows that it is
    Instant verdict_at = Instant::never();  // of a reset
    Instant ask_again_at = Instant::never();
    std::uint32_t asked = 0;
  };
  struct Watcher {
    Instant until;
    Instant sent_at;
    Instant beaten_at;
  };

  void beat(Instant now, Effects& out);
  bool is_beat_due(Instant now, Instant sent_at, Instant beaten_at, bool is_skippable) const;
  void send(NodeId to, std::uint32_t ask, std::uint32_t answer, Effects& out);
  void ask(NodeId node, Peer& peer, Effects& out);
  void handle(Instant now, NodeId from, const gossip::Heartbeat& heartbeat, Effects& out);
  void note_watcher(Instant now, NodeId from, bool is_watching);
  void mark(NodeId from, const gossip::Heartbeat& heartbeat);
  void suspect(NodeId node, Peer& peer);
  void trust(Instant now, NodeId node, Peer& peer);
  void schedule();
  void forgive(Instant now, Duration late);

  const NodeId self_;
  const Boot boot_;
  const LivenessConfig config_;
  Random random_;
  std::map<NodeId, Peer> peers_;
  std::map<NodeId, Watcher> watchers_;  // who watches this node without being watched by it
  std::map<NodeId, DurableMark> marks_;
  std::uint64_t durable_ = 0;
  bool is_stalled_ = false;
  Instant beat_at_ = Instant::never();
  Instant check_at_ = Instant::never();
  std::vector<LivenessEvent> events_;
};

}  // namespace dunlin
