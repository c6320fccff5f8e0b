// One replica of one group: Raft (Ongaro, "Consensus: Bridging Theory and Practice", 2014) with
// pre-vote, check-quorum, learners, joint consensus, read index and leadership transfer, and with
// pairwise liveness in the place of heartbeats and election timeouts.
//
// Where it differs from the book:
//  - Replicas are (node, generation). A message to or from another generation is a stranger's.
//  - A follower with a leader has no timer. It looks for another when liveness suspects the
//    leader, when a later boot of it shows, when it denies, or when it does not answer a Hello.
//  - Entries count, and are given out, only when durable here, so that a checkpoint of the applied
//    state never holds what this node's log might lose.
//  - After a restart it takes part in nothing until Groups has verified its promises (Q8).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dht/raft_leading.h"
#include "dht/raft_log.h"
#include "dht/records.h"
#include "dht/turn.h"

namespace dunlin {

class Raft {
 public:
  // Entries that a checkpoint covers are kept in memory for replicas a little behind.
  static constexpr LogIndex kKeptEntries = 64;
  static constexpr std::size_t kKeptBytes = 1024 * 1024;

  enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

  // A new, empty replica: it becomes durable with `turn`.
  Raft(GroupId group, const NodeId& self, Generation generation, Turn& turn);
  // What a disk remembers; records follow, then recovered(). Not verified.
  Raft(GroupId group, const NodeId& self, const VoteFact& fact, const AppliedState* applied);

  // ---- recovery -------------------------------------------------------------------------------
  void recover(std::uint64_t row, EntryRecord record);
  void recover(std::uint64_t row, SnapshotRecord record);
  // All records were given. A snapshot newer than the applied state is given out as an event.
  // False: entries are missing, or a configuration among them makes no sense.
  bool recovered(Turn& turn);
  bool is_verified() const { return verified_; }
  // A new replica of a node that may be an old copy, and have sat here before.
  void distrust() { verified_ = false; }
  void verify(Turn& turn);
  // What this replica's disk shows to be forgotten, given what a peer says it promised.
  std::optional<std::string> contradicts(const GroupPromise& promise) const;
  // What the replica on `node` promised this one, and what is known to be committed.
  GroupPromise promised_by(const NodeId& node) const;

  // ---- inputs ---------------------------------------------------------------------------------
  // The birth of the group: this replica its one voter.
  void found(Turn& turn);
  void receive(Turn& turn, const NodeId& from, GroupMessage message);
  void tick(Turn& turn);
  Instant deadline() const;
  void on_durable(Turn& turn);
  void peer_suspected(Turn& turn, const NodeId& node);
  void peer_recovered(Turn& turn, const NodeId& node);
  void peer_restarted(Turn& turn, const NodeId& node);
  void on_storage_stalled(Turn& turn);
  // Somebody says that the leader trusted does not lead, or does not answer: ask it.
  void doubt(Turn& turn);
  // It wants to stand for election; Groups says when, so that few do at once.
  bool wants_campaign() const { return wants_campaign_; }
  void campaign(Turn& turn);
  bool is_campaigning() const { return role_ == Role::kPreCandidate || role_ == Role::kCandidate; }

  // ---- use ------------------------------------------------------------------------------------
  Result<LogIndex> propose(Turn& turn, Bytes payload);
  void read(Turn& turn, std::uint64_t token);
  void provide_snapshot(Turn& turn, std::uint64_t token, LogIndex index, Bytes state);
  // `checkpointed` and below is not needed from the log any more, except for slow followers.
  void compact(LogIndex checkpointed);
  std::optional<std::uint64_t> row_needed() const { return log_.row_needed_above(checkpointed_); }
  // Writes the entries that keep an old row once more; the bytes written. A snapshot waiting for
  // its first checkpoint cannot be.
  bool may_rewrite() const { return log_.base() <= checkpointed_; }
  std::size_t rewrite(Turn& turn);

  // ---- leading: placement ---------------------------------------------------------------------
  bool is_leader() const { return role_ == Role::kLeader; }
  // Its own term's first entry is committed and given out.
  bool is_established() const { return leading_ != nullptr && leading_->announced; }
  bool is_transferring() const { return leading_ != nullptr && leading_->transfer.has_value(); }
  // Any of which may come to rule should this leader be lost: the last one committed and those
  // since.
  std::vector<GroupConfig> configs_in_force() const;
  // The installed configuration is committed.
  bool is_config_committed() const { return configs_.back().first <= commit_; }
  bool has_caught_up(const Seat& seat) const;
  // Its node says that it will never take that seat.
  bool is_gone(const Seat& seat) const;
  // Only when established, the last change committed, and `next` follows from the present one by
  // the rules of joint consensus.
  void change_config(Turn& turn, const GroupConfig& next);
  void transfer(Turn& turn, const NodeId& to);
  // Nodes that are gone for good need not be told that their replica was removed.
  void forget_departing(const std::set<NodeId>& gone);

  // ---- looking --------------------------------------------------------------------------------
  GroupId group() const { return group_; }
  const Seat& self() const { return self_; }
  Term term() const { return term_; }
  Role role() const { return role_; }
  const NodeId& leader() const { return leader_; }
  bool trusts_leader(const Peers& peers) const;
  const GroupConfig& config() const;
  // Of the entry that it came with; 0: none is known.
  LogIndex config_index() const { return configs_.empty() ? 0 : configs_.back().first; }
  LogIndex commit() const { return commit_; }
  const RaftLog& log() const { return log_; }
  AppliedState applied() const;
  // Holds, or waits for, a snapshot to send; or has part of one to take.
  bool is_sending_snapshot() const {
    return leading_ != nullptr && (leading_->snapshot || leading_->snapshot_token != 0);
  }
  bool is_taking_snapshot() const { return incoming_ != nullptr; }
  // What has come of one; it will be sent again from its beginning.
  void drop_snapshot() { incoming_.reset(); }
  // The committed configuration is without this replica.
  bool is_removed() const { return removed_; }
  LogIndex last() const { return log_.last(); }
  // Nodes that have to do with this replica: all seats, and those just dropped. The version rises
  // whenever they change.
  void add_peers(std::set<NodeId>& to) const;
  std::uint64_t peers_version() const { return peers_version_; }

 private:
  // What each peer's replica promised this one (Q8); survives changes of role.
  struct Heard {
    Generation generation = 0;
    Term term = 0;
    Term acknowledged_in = 0;
    LogIndex acknowledged = 0;
  };
  struct Incoming {
    GroupSnapshot snapshot;
    std::uint64_t total = 0;
  };
  struct Restore {
    LogIndex index = 0;
    Bytes state;
    AppliedState before;  // where the state machine stands until then
  };

  // raft.cpp
  void send(Turn& turn, const Seat& to, GroupBody body, bool when_durable = false);
  void send_in_term(Turn& turn, const Seat& to, Term term, GroupBody body, bool when_durable);
  void write_vote(Turn& turn);
  void install_config(LogIndex index, GroupConfig config);
  void truncate_after(LogIndex index);
  const GroupConfig& config_at(LogIndex index) const;
  Heard& heard_of(const Seat& seat);
  bool is_stranger(const Seat& from) const;
  bool receive_term(Turn& turn, const Seat& from, const GroupMessage& message);
  void receive_stale(Turn& turn, const Seat& from, const GroupMessage& message);
  void become_follower(Turn& turn, Term term);
  void set_leader(const Seat& leader);
  void apply(Turn& turn);
  void accept(Turn& turn, const Seat& from, Removed& message);
  void accept(Turn& turn, const Seat& from, Gone& message);

  // raft_election.cpp
  bool has_lease(const Turn& turn, const Seat& candidate) const;
  bool is_quorum_up(const Turn& turn) const;
  bool is_up_to_date(const VoteRequest& request) const;
  Duration election_delay(Turn& turn) const;
  Duration campaign_time(const Turn& turn) const;
  void seek_leader(Turn& turn);
  void stand(Turn& turn, bool transfer);
  void tally(Turn& turn);
  void end_campaign(Turn& turn);
  void answer_pre_vote(Turn& turn, const Seat& from, Term term, const VoteRequest& request);
  void take_pre_vote(Turn& turn, const Seat& from, Term term, const VoteReply& reply);
  void follow_hint(Turn& turn, const NodeId& leader);
  void answer_hello(Turn& turn, const Seat& from);
  void lose_leader(Turn& turn);
  void accept(Turn& turn, const Seat& from, VoteRequest& message);
  void accept(Turn& turn, const Seat& from, VoteReply& message);
  void accept(Turn& turn, const Seat& from, TransferNow& message);
  void accept(Turn& turn, const Seat& from, Hello& message);
  void accept(Turn& turn, const Seat& from, NotLeading& message);

  // raft_leader.cpp
  void become_leader(Turn& turn);
  void stop_leading(Turn& turn);
  LogIndex append_own(Turn& turn, EntryKind kind, Bytes payload);
  Progress& track(Turn& turn, const Seat& seat);
  void track_seats(Turn& turn);
  void advance_commit(Turn& turn);
  void announce(Turn& turn);
  void check_quorum(Turn& turn);
  void replicate(Turn& turn, const Seat& to, Progress& progress);
  void send_append(Turn& turn, const Seat& to, Progress& progress);
  bool is_level(const Progress& progress) const;
  void restart_progress(Turn& turn, const Seat& to, Progress& progress);
  void resend(Turn& turn, const Seat& to, Progress& progress);
  void refused(Turn& turn, const Seat& from, Progress& progress, const AppendReply& reply);
  void tick_leader(Turn& turn);
  void tick_transfer(Turn& turn);
  void send_read_probes(Turn& turn);
  void answer_reads(Turn& turn);
  void accept(Turn& turn, const Seat& from, AppendReply& message);
  void accept(Turn& turn, const Seat& from, ReadReply& message);

  // raft_follower.cpp
  void note_leader(Turn& turn, const Seat& from);
  bool is_well_formed(const Append& message) const;
  bool take_entries(Turn& turn, Append& message);
  void acknowledge(Turn& turn, const Seat& to, LogIndex index, LogIndex commit);
  void accept(Turn& turn, const Seat& from, Append& message);
  void accept(Turn& turn, const Seat& from, ReadProbe& message);

  // raft_snapshot.cpp
  void send_chunk(Turn& turn, const Seat& to, Progress& progress);
  void drop_snapshot_if_idle();
  void install(Turn& turn, const Seat& from);
  void accept(Turn& turn, const Seat& from, SnapshotChunk& message);
  void accept(Turn& turn, const Seat& from, SnapshotReply& message);

  const GroupId group_;
  const Seat self_;
  RaftLog log_;
  // Installed configurations and the index of the entry each came with; the first is the one in
  // force at the log's base. Empty until anything is known.
  std::vector<std::pair<LogIndex, GroupConfig>> configs_;

  Term term_ = 0;
  NodeId vote_;
  std::uint64_t vote_row_ = 0;  // that makes term and vote durable

  LogIndex commit_ = 0;
  LogIndex applied_ = 0;
  LogIndex checkpointed_ = 0;

  Role role_ = Role::kFollower;
  NodeId leader_;
  Generation leader_generation_ = 0;
  Boot leader_boot_ = 0;
  std::uint64_t peers_version_ = 1;
  bool verified_ = true;
  bool removed_ = false;

  // Looking for a leader.
  Instant election_at_ = Instant::never();
  bool wants_campaign_ = false;
  Instant campaign_until_ = Instant::never();
  std::uint32_t campaigns_ = 0;  // in vain, since the last leader
  Instant doubt_until_ = Instant::never();
  std::map<Seat, bool> votes_;

  std::unique_ptr<Leading> leading_;
  std::size_t backlog_bytes_ = 0;  // proposed in this term, not committed
  std::map<NodeId, Heard> heard_;
  std::map<LogIndex, std::pair<std::uint64_t, Entry>> recovering_;  // with rows
  std::unique_ptr<Incoming> incoming_;
  std::optional<Restore> restore_;
};

}  // namespace dunlin
