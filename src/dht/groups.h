// All consensus groups of one node: each a Raft group of its own, with what they share done once
// per pair of nodes: frames, liveness, promises after a restart, placement.
//
// Safety: a quorum is counted in the group's installed configuration only (Q1); acknowledgements
// and votes leave when durable (Q2); a replica that restarted promises nothing before a majority of
// its group's voters, itself included, has answered what it had promised them (Q8).
//
// Sleep: there is no timer and no heartbeat per group. A leader sends while something is not
// acknowledged or the commit index is not known everywhere; then the group sleeps, and a follower
// trusts (leader, term, leader's boot) until pairwise liveness suspects the leader, a new boot of
// it shows, it denies, or a request to it stays without answer.
//
// Turns: Node calls tick() at the end of each turn of its loop in which now >= next_deadline(), and
// forwards take_events() after each input. propose() and read() only gather: the tick that ends
// the turn sends, one frame per peer. All durable wishes go into the Effects given.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/fields.h"
#include "base/random.h"
#include "base/result.h"
#include "dht/groups_config.h"
#include "dht/groups_events.h"

namespace dunlin {

// What this node had heard of another's disk: whoever shows less has lost something (Q8).
struct PeerMark {
  NodeId node;
  Boot boot = 0;
  std::uint64_t row = 0;  // durable there
  bool operator==(const PeerMark&) const = default;
  static constexpr auto fields() {
    return Fields<&PeerMark::node, &PeerMark::boot, &PeerMark::row>{};
  }
};

// What the disk gave back, as the journal judged it.
struct GroupsRecovery {
  std::map<std::string, Bytes> facts;                    // those that begin with "vote/"
  std::vector<std::pair<std::uint64_t, Bytes>> records;  // row and record, in order
  std::map<GroupId, AppliedState> applied;               // as checkpointed with the state
  std::uint64_t last_row = 0;                            // the newest durable row
  std::vector<PeerMark> marks;                           // as peer_marks() told last
};

class Groups {
 public:
  // Limits (Q10). Over them, propose() is refused with kLimit and reads are answered not ok.
  static constexpr std::size_t kMaxPayload = 1024 * 1024;
  static constexpr std::size_t kMaxBacklogBytes = 8 * 1024 * 1024;  // not yet committed, per group
  static constexpr std::size_t kMaxBacklogEntries = 4096;
  static constexpr std::size_t kMaxReads = 4096;  // waiting, per group
  static constexpr std::size_t kMaxSnapshot = 256 * 1024 * 1024;

  Groups(NodeId self, Boot boot, GroupsConfig config, Random random);
  ~Groups();
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  // Once, before other inputs: births all groups with this node as the one voter; or rebuilds what
  // a disk remembers; a joining node calls neither. Events (RestoreState, Fatal) may follow.
  void found(Instant now, Effects& out);
  void recover(Instant now, GroupsRecovery recovery, Effects& out);

  void receive(Instant now, NodeId from, ByteView frame, Effects& out);
  void tick(Instant now, Effects& out);
  Instant next_deadline() const;
  void on_durable(Instant now, const Ticket& ticket, Effects& out);
  std::vector<GroupsEvent> take_events();

  // ---- use of the groups ----------------------------------------------------------------------
  // Only where is_leading(); kUnreachable elsewhere. Committed (here or under another leader) or
  // lost: only events tell.
  Result<std::pair<Term, LogIndex>> propose(Instant now, GroupId group, Bytes payload,
                                            Effects& out);
  // Linearizable: ends in exactly one ReadReady. One confirmation serves all reads of a turn.
  void read(Instant now, GroupId group, std::uint64_t token, Effects& out);
  // Between LeadershipGained and LeadershipLost.
  bool is_leading(GroupId group) const;
  // 0 unless is_leading.
  Term leading_term(GroupId group) const;
  // The best guess, from the replica here or from routes: never more than a hint.
  std::optional<NodeId> leader(GroupId group) const;
  // The configuration that the replica here has installed; nothing when there is none.
  std::optional<GroupConfig> config(GroupId group) const;
  // Each set of nodes of which a majority is needed, should its leader, which is here, be lost.
  std::set<std::vector<NodeId>> voter_sets(GroupId group) const;
  // Where the state machine stands that has been given all events taken so far.
  std::optional<AppliedState> applied(GroupId group) const;
  // Answers SnapshotWanted; `index` as of applied(). Larger than kMaxSnapshot: none is sent.
  void provide_snapshot(Instant now, GroupId group, std::uint64_t token, LogIndex index,
                        Bytes state, Effects& out);
  // Has unfinished work: its elections come first.
  void set_unfinished(GroupId group, bool unfinished);
  // `checkpointed`: what a completed, synced checkpoint contains. Forgets what that covers, writes
  // stragglers anew, sets out.trim_below.
  void compact(Instant now, const std::map<GroupId, AppliedState>& checkpointed, Effects& out);

  // ---- what others know -----------------------------------------------------------------------
  // The pairs that watch each other: all nodes that share a group with this one, and those it
  // still suspects. Valid until the next call.
  const std::set<NodeId>& peers() const;
  // All members known, this node too.
  void set_members(Instant now, std::vector<GroupMember> members, Effects& out);
  void peer_suspected(Instant now, const NodeId& node, Effects& out);
  void peer_recovered(Instant now, const NodeId& node, Effects& out);
  void peer_restarted(Instant now, const NodeId& node, Boot boot, Effects& out);
  // The newest durable row a peer claimed (gossip's liveness): remembered for its promise check.
  void peer_durable(const NodeId& node, Boot boot, std::uint64_t row);
  // To be kept on disk now and then: after a power cut of all hosts nobody else remembers.
  std::vector<PeerMark> peer_marks() const;
  // A write has been stuck for long (true), or got through after all (false).
  void on_storage_stalled(Instant now, bool stalled, Effects& out);
  void learn_route(GroupId group, Term term, const NodeId& leader, Boot boot);

  // Hands over all seats. Repeatable; cannot be taken back within this boot.
  void prepare_to_leave(Instant now, Effects& out);
  // No replica is left here.
  bool may_leave() const;

 private:
  friend class Router;
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
