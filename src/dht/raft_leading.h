// What a replica keeps only while it leads: how far each other replica is, and what waits.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/time.h"
#include "dht/group_config.h"

namespace dunlin {

// What a leader knows of another replica. After etcd raft's tracker (github.com/etcd-io/raft).
struct Progress {
  enum class State : std::uint8_t {
    kProbe,      // finding out where its log parts from ours: one message at a time
    kReplicate,  // entries flow, several messages at a time
    kSnapshot,   // it needs entries that are gone
  };
  static constexpr std::size_t kMaxInFlight = 8;

  State state = State::kProbe;
  LogIndex match = 0;  // durable there and equal
  LogIndex next = 1;
  LogIndex commit = 0;  // known there
  LogIndex commit_sent = 0;
  std::deque<LogIndex> in_flight;  // last index of each unacknowledged message
  bool awaiting = false;           // a probe or a piece of a snapshot is under way
  bool departing = false;          // has no seat any more: is only to be told that
  std::uint32_t farewells = 0;     // how often it was, without an answer
  bool gone = false;               // its node says that the seat will never be taken there
  std::uint64_t read_sequence = 0;
  std::uint64_t snapshot_offset = 0;
  Instant resend_at = Instant::never();
  Duration backoff;
};

struct GroupSnapshot {
  LogIndex index = 0;
  Term term = 0;
  GroupConfig config;
  std::uint64_t checksum = 0;
  Bytes state;
};

struct Leading {
  struct Read {
    std::uint64_t token = 0;
    std::uint64_t sequence = 0;  // of the probe that must be answered
    LogIndex index = 0;          // the commit index when it was asked
  };
  struct Transfer {
    Seat to;
    Instant until;
    bool asked = false;
  };

  LogIndex first_index = 0;  // the entry that began the term
  bool announced = false;
  std::map<Seat, Progress> peers;
  Instant send_at = Instant::never();
  Instant notice_at = Instant::never();  // when quiet followers are told of the commit index
  bool notice_due = false;
  Instant quorum_lost_until = Instant::never();
  std::optional<Transfer> transfer;

  std::deque<Read> reads;
  bool reads_gathered = false;
  std::uint64_t read_sequence = 0;  // of the newest probe sent
  Instant read_resend_at = Instant::never();

  std::optional<GroupSnapshot> snapshot;
  std::uint64_t snapshot_token = 0;  // asked for; 0: none
};

}  // namespace dunlin
