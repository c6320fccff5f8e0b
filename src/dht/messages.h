// What replicas and the nodes that hold them say to each other. A frame is one Envelope: all that
// one node has to say to another at the end of a turn.
//
// Every group message names the generations of both replicas and the sender's term. Replies say
// what is durable at the sender wherever that matters (AppendReply, granted votes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/fields.h"
#include "base/ids.h"
#include "dht/group_config.h"

namespace dunlin {

enum class EntryKind : std::uint8_t {
  kNoop,     // a new leader's first: commits what former terms left
  kPayload,  // for the state machine
  kConfig,   // an encoded GroupConfig, effective when appended
  kLast = kConfig,
};

struct Entry {
  Term term = 0;
  EntryKind kind = EntryKind::kNoop;
  Bytes payload;
  static constexpr auto fields() { return Fields<&Entry::term, &Entry::kind, &Entry::payload>{}; }
};

// ---- between replicas of a group ----------------------------------------------------------------

// From the leader: entries after `previous`, and the commit index. Without entries it probes, and
// proves leadership.
struct Append {
  LogIndex previous = 0;
  Term previous_term = 0;
  LogIndex commit = 0;
  std::vector<Entry> entries;
  static constexpr auto fields() {
    return Fields<&Append::previous, &Append::previous_term, &Append::commit, &Append::entries>{};
  }
};

// ok: everything up to `index` equals the leader's log and is durable here. Otherwise `index` is
// the `previous` that did not fit, and (hint, hint_term) the last entry here that might.
struct AppendReply {
  bool ok = false;
  LogIndex index = 0;
  LogIndex commit = 0;  // known here
  LogIndex hint = 0;
  Term hint_term = 0;
  static constexpr auto fields() {
    return Fields<&AppendReply::ok, &AppendReply::index, &AppendReply::commit, &AppendReply::hint,
                  &AppendReply::hint_term>{};
  }
};

// The message's term is the one stood for; a pre-vote does not change anybody's. `transfer`: the
// leader itself asked for this election, so voters need not have lost it.
struct VoteRequest {
  bool pre = false;
  bool transfer = false;
  LogIndex last = 0;
  Term last_term = 0;
  static constexpr auto fields() {
    return Fields<&VoteRequest::pre, &VoteRequest::transfer, &VoteRequest::last,
                  &VoteRequest::last_term>{};
  }
};

// Granted: with the request's term (a pre-candidate would take its voter's older term for stale,
// github.com/etcd-io/etcd/issues/8501). Refused: with the voter's own, so that a candidate behind
// it catches up, and the leader trusted instead.
struct VoteReply {
  bool pre = false;
  bool granted = false;
  NodeId leader;
  static constexpr auto fields() {
    return Fields<&VoteReply::pre, &VoteReply::granted, &VoteReply::leader>{};
  }
};

// "Am I still leader?" and "you are", for linearizable reads.
struct ReadProbe {
  std::uint64_t sequence = 0;
  static constexpr auto fields() { return Fields<&ReadProbe::sequence>{}; }
};
struct ReadReply {
  std::uint64_t sequence = 0;
  static constexpr auto fields() { return Fields<&ReadReply::sequence>{}; }
};

// A piece of a state machine's snapshot after entry `index`. `checksum` (of the whole) tells
// snapshots of one index apart; a transfer goes on where the receiver stands.
struct SnapshotChunk {
  LogIndex index = 0;
  Term term = 0;
  GroupConfig config;
  std::uint64_t checksum = 0;
  std::uint64_t total = 0;
  std::uint64_t offset = 0;
  Bytes data;
  static constexpr auto fields() {
    return Fields<&SnapshotChunk::index, &SnapshotChunk::term, &SnapshotChunk::config,
                  &SnapshotChunk::checksum, &SnapshotChunk::total, &SnapshotChunk::offset,
                  &SnapshotChunk::data>{};
  }
};
struct SnapshotReply {
  LogIndex index = 0;
  std::uint64_t checksum = 0;
  std::uint64_t received = 0;  // bytes; installed is said by an AppendReply
  static constexpr auto fields() {
    return Fields<&SnapshotReply::index, &SnapshotReply::checksum, &SnapshotReply::received>{};
  }
};

// From the leader to the voter that is to lead: stand for election at once.
struct TransferNow {
  static constexpr auto fields() { return Fields<>{}; }
};

// "Do you lead?" A leader answers with an Append.
struct Hello {
  static constexpr auto fields() { return Fields<>{}; }
};
struct NotLeading {
  NodeId leader;  // none: unknown
  static constexpr auto fields() { return Fields<&NotLeading::leader>{}; }
};

// To a replica outside the configuration that is in force at the committed entry `committed`, its
// generation or later: it was removed.
struct Removed {
  LogIndex committed = 0;
  static constexpr auto fields() { return Fields<&Removed::committed>{}; }
};
// The replica addressed is no more.
struct Gone {
  static constexpr auto fields() { return Fields<>{}; }
};

// Addresses whichever replica the node has: only a Hello to a leader one was told of.
constexpr Generation kAnyGeneration = 0;

using GroupBody =
    std::variant<Append, AppendReply, VoteRequest, VoteReply, ReadProbe, ReadReply, SnapshotChunk,
                 SnapshotReply, TransferNow, Hello, NotLeading, Removed, Gone>;

struct GroupMessage {
  GroupId group;
  Generation to = 0;
  Generation from = 0;
  Term term = 0;
  GroupBody body;
  static constexpr auto fields() {
    return Fields<&GroupMessage::group, &GroupMessage::to, &GroupMessage::from, &GroupMessage::term,
                  &GroupMessage::body>{};
  }
};

// ---- between nodes ------------------------------------------------------------------------------

// After a restart: what have I promised you?
struct PromiseQuery {
  static constexpr auto fields() { return Fields<>{}; }
};

// What the asker's replica of one group promised the sender's, as far as that remembers, and what
// the sender knows to be committed: the asker may have slept through changes of the voters.
struct GroupPromise {
  GroupId group;
  Generation generation = 0;  // of the asker's replica; 0: none is known to have promised anything
  Term term = 0;              // in which it voted for the sender, or led
  Term acknowledged_in = 0;   // the sender's term when it last acknowledged entries to it,
  LogIndex acknowledged = 0;  // up to this
  Generation by = 0;          // the sender's replica
  LogIndex committed = 0;     // a committed entry, the last that the sender knows to be,
  Term committed_term = 0;    // its term,
  GroupConfig config;         // and the configuration in force there
  static constexpr auto fields() {
    return Fields<&GroupPromise::group, &GroupPromise::generation, &GroupPromise::term,
                  &GroupPromise::acknowledged_in, &GroupPromise::acknowledged, &GroupPromise::by,
                  &GroupPromise::committed, &GroupPromise::committed_term, &GroupPromise::config>{};
  }
};

// A replica of the sender's that is no more: a committed configuration went without it.
struct RetiredReplica {
  GroupId group;
  Generation generation = 0;  // the latest
  static constexpr auto fields() {
    return Fields<&RetiredReplica::group, &RetiredReplica::generation>{};
  }
};

struct PromiseReply {
  Boot to_boot = 0;                  // the asker's life this answers
  Boot heard_boot = 0;               // its highest ever heard of
  std::uint64_t row = 0;             // the highest durable row it claimed in lives before `to_boot`
  std::vector<GroupPromise> groups;  // all of which the sender has a replica
  std::vector<RetiredReplica> retired;  // not told by earlier versions
  static constexpr std::size_t kRequiredFields = 4;
  static constexpr auto fields() {
    return Fields<&PromiseReply::to_boot, &PromiseReply::heard_boot, &PromiseReply::row,
                  &PromiseReply::groups, &PromiseReply::retired>{};
  }
};

// The hash of the placement view the sender holds, asking for the other's.
struct ViewAsk {
  std::uint64_t hash = 0;
  static constexpr auto fields() { return Fields<&ViewAsk::hash>{}; }
};
struct ViewReply {
  std::uint64_t hash = 0;
  static constexpr auto fields() { return Fields<&ViewReply::hash>{}; }
};

// The sender wants to hand over all its seats.
struct Leaving {
  static constexpr auto fields() { return Fields<>{}; }
};

using NodeNote = std::variant<PromiseQuery, PromiseReply, ViewAsk, ViewReply, Leaving>;

struct Envelope {
  Boot boot = 0;          // the sender's life
  std::uint64_t row = 0;  // its newest durable row
  std::vector<NodeNote> notes;
  std::vector<GroupMessage> messages;
  static constexpr auto fields() {
    return Fields<&Envelope::boot, &Envelope::row, &Envelope::notes, &Envelope::messages>{};
  }
};

}  // namespace dunlin
