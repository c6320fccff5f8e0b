// Brings the output of a node's running attempts to safety. Output of a job's attempts is gathered
// into segments, each put as one replicated blob, and where every piece lies is committed to the
// job's group; only then is the runner told that it may forget the bytes. What is small when an
// attempt ends rides in its result instead.
//
// So at most kSegmentAge (of long streams kLongSegmentAge) plus a commit, or what the runner holds
// back, is lost with a host. One segment of a job is on its way at a time: pieces go in order.
//
// Over the job's log limit the first and the last part are kept. The last part is at most kMaxTail:
// it lies with the runner, so that a task may write for ever and fill neither memory nor disk.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/epoch_gate.h"
#include "sched/process_events.h"
#include "sched/results.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kSegmentSize = 1024 * 1024;
constexpr Duration kSegmentAge = seconds(1);  // from a byte's arrival to the put of its segment
// Once a stream has so many pieces, fewer and longer ones are made of it: it may go on for days.
constexpr std::uint32_t kManyPieces = 600;
constexpr Duration kLongSegmentAge = seconds(4);
constexpr Duration kUrgentAge = milliseconds(10);  // when a result waits for it
constexpr std::size_t kPackSize = 64 * 1024;       // unpacked bytes of a stream that do not wait
constexpr std::uint64_t kMaxTail = 512 * 1024;

class LogWriter {
 public:
  LogWriter(Boot boot, const EpochGate& gates, std::uint64_t first_token);

  struct Source {
    GroupId group;
    JobId job;
    std::uint32_t index = 0;
    Attempt attempt;
  };
  // Output from these offsets on is expected; what lies before is safe.
  void open(ProcessKey key, const Source& source, std::uint64_t stdout_from,
            std::uint64_t stderr_from);
  void set_limit(ProcessKey key, std::uint64_t log_limit);
  void receive(Turn& turn, const ProcessOutput& output);
  // No more output comes. What is left of a stream and no longer than `most_inline` bytes need not
  // be written; 0: everything must be.
  void end(Turn& turn, ProcessKey key, std::size_t most_inline);
  // After end(): everything is safe, or small enough to ride in the result.
  bool is_settled(ProcessKey key) const;
  InlineOutput take_inline(ProcessKey key, bool is_stderr);
  bool is_truncated(ProcessKey key) const;
  bool is_silent(ProcessKey key) const;  // no byte was ever written
  void close(ProcessKey key);

  // True when the token is one of this writer's.
  bool on_stored(Turn& turn, std::uint64_t token, const Result<BlobRef>& blob);
  void on_committed(Turn& turn, const LogsCommitted& message);

  struct Read {
    bool is_here = false;
    bool truncated = false;
    std::uint64_t offset = 0;
    Bytes data;
    bool at_end = false;  // of what is known
  };
  Read read(ProcessKey key, bool is_stderr, std::uint64_t offset, std::size_t limit) const;

  void tick(Turn& turn);
  Instant next_deadline() const {
    return deadlines_.empty() ? Instant::never() : deadlines_.begin()->first;
  }

 private:
  struct Stream {
    std::uint64_t safe = 0;    // committed up to here
    std::uint64_t packed = 0;  // in a segment up to here
    std::uint64_t received = 0;
    std::uint64_t kept_from = 0;  // the first byte of `kept`
    Bytes kept;                   // up to `received`
    Instant unpacked_since = Instant::never();
    std::uint32_t pieces = 0;
    bool is_inlined = false;
    Duration age() const { return pieces < kManyPieces ? kSegmentAge : kLongSegmentAge; }
  };
  struct Entry {
    Source source;
    std::uint64_t limit = 1ULL << 30;
    std::array<Stream, 2> streams;
    bool ended = false;
  };
  struct Piece {
    ProcessKey key = 0;
    LogPiece place;  // its segment is not known before it is stored
  };
  struct Flight {
    Bytes data;  // until stored
    std::uint64_t token = 0;
    std::uint64_t sequence = 0;  // of the message, once stored
    std::vector<Piece> pieces;
    Instant repeat_at = Instant::never();
  };
  struct JobLog {
    GroupId group;
    std::set<ProcessKey> keys;
    Bytes data;  // the segment being gathered
    std::vector<Piece> pieces;
    Instant seal_at = Instant::never();
    std::optional<Flight> flight;
    Instant deadline = Instant::never();  // as entered in `deadlines_`
  };

  struct Range {
    std::uint64_t from = 0, to = 0;
  };
  // A segment takes no more: bytes, or as many pieces as one message about it may name.
  static bool is_full(const JobLog& log) {
    return log.data.size() >= kSegmentSize || log.pieces.size() >= kMaxLogPieces;
  }
  Range packable(const Entry& entry, const Stream& stream) const;
  bool is_cut(const Entry& entry, const Stream& stream) const;
  void pump(Turn& turn, const JobId& id, JobLog& log);
  void pack(Turn& turn, JobLog& log, ProcessKey key, bool is_stderr);
  void seal(Turn& turn, const JobId& id, JobLog& log);
  void put(Turn& turn, const JobId& id, JobLog& log);
  void send(Turn& turn, const JobId& id, JobLog& log);
  void trim(Turn& turn, ProcessKey key, bool is_stderr);
  void forget_if_done(const JobId& id);
  Instant deadline_of(const JobLog& log) const;
  // After each change of the job's streams: enters when it has something to do next.
  void schedule(const JobId& id);

  const Boot boot_;
  const EpochGate& gates_;
  std::uint64_t next_token_;
  std::uint64_t next_sequence_;
  std::map<ProcessKey, Entry> entries_;
  std::map<JobId, JobLog> jobs_;
  std::set<std::pair<Instant, JobId>> deadlines_;
  std::map<std::uint64_t, JobId> puts_;  // by token
};

}  // namespace dunlin::sched
