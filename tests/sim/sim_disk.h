// A disk in memory with the contract of os/storage.h (one suite checks both), whose owner decides
// when anything becomes durable and what goes wrong. Deterministic: no clock, no thread, no chance
// of its own.
//
// The driver calls complete() whenever it wants the disk to have caught up; what lies between two
// calls is not durable, and a crash loses it or, as far as told, keeps a prefix of it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "dht/journal.h"

namespace dunlin::sim {

enum class DiskFault : std::uint8_t {
  kLostBatches,     // a crash lost batches that were not durable
  kTornRow,         // a crash left a piece of a row
  kTornFile,        // a crash left bytes of packs whose batch it lost
  kLaggingWitness,  // the witness of a power cut is older than the log
  kFlippedRow,      // one bit, on disk
  kFlippedFact,
  kFlippedState,
  kFlippedFile,
  kReadRot,    // a read came upon such a bit of a pack
  kLostTail,   // durable rows and the facts of that time vanish without an error
  kLostLog,    // log.db is gone
  kLostState,  // state.db is gone
  kFull,       // a batch went into the reserve, or a checkpoint had to wait
  kIoError,    // a write failed and ended the process
  kHang,       // a batch had to wait for a disk that hung
  kRestored,   // an older copy, or another node's, took this disk's place
  kLast = kRestored,
};
const char* name_of(DiskFault fault);

// How a crash leaves what was submitted and not completed.
struct Crash {
  std::size_t keep_batches = 0;   // this many became durable unacknowledged
  bool keep_checkpoint = false;   // so did the waiting checkpoint
  bool tear = false;              // the next batch left a prefix of its row, none of its facts
  bool leak_files = false;        // the lost batches' packs were written nevertheless
  std::size_t torn_bytes = 0;     // length of that prefix, modulo the row's
  std::uint64_t witness_lag = 0;  // a power cut: this many of the witness's last steps are undone
};

class SimDisk {
 public:
  static constexpr std::uint64_t kReserve = 1024 * 1024;
  static constexpr std::size_t kMaxUndo = 64;

  // What a copy of the directory holds.
  struct Snapshot {
    std::map<std::uint64_t, Bytes> rows;
    std::map<std::string, Bytes> facts;
    std::map<std::string, Bytes> state;
    std::map<std::string, Bytes> files;
    std::set<std::pair<std::string, std::uint64_t>> rotten;  // bytes of files that were flipped
    std::uint64_t witness = 0;
    std::uint64_t synced_witness = 0;  // no power cut takes it below
  };

  // Completions in the order in which they are to be delivered.
  struct Completions {
    std::optional<bool> disk_full;  // only when it changed
    std::uint64_t durable = 0;      // 0: nothing new
    std::vector<std::uint64_t> checkpoints;
    std::vector<std::pair<Ticket, Result<Bytes>>> file_data;
    std::optional<std::string> fatal;  // the process ends with this line: crash() must follow
  };

  // ---- the contract ----
  Result<DiskImage> read_image() const;
  void submit(Instant now, DiskBatch batch);
  void checkpoint(CheckpointBatch batch);
  void read_file(FileExtent extent, const Ticket& ticket);
  void remove_file(std::string file);
  std::optional<Instant> stalled_since(Instant now, Duration limit) const;
  std::uint64_t backlog() const;

  // ---- the driver ----
  bool has_waiting() const { return !jobs_.empty() || !checkpoints_.empty() || !reads_.empty(); }
  // Makes all that waits durable, or with a limit only so many batches, and hands out what there
  // is to say.
  Completions complete(std::size_t max_batches = SIZE_MAX);

  // ---- faults ----
  // The process is gone, all that waited with it.
  void crash(const Crash& crash);
  void set_full(bool full) { full_ = full; }
  bool is_full() const { return full_; }
  void set_hung(bool hung) {
    hung_ = hung;
    held_up_ = false;
  }
  // The next write fails; whether its batches are on disk is for crash() to say.
  void fail_next_write() { fails_ = true; }
  // No fault is under way or ordered any more.
  void mend() {
    set_full(false);
    set_hung(false);
    fails_ = false;
  }
  // One bit somewhere in that table; false when it holds nothing.
  bool flip_row(Random& random);
  bool flip_fact(Random& random);
  bool flip_state(Random& random);
  bool flip_file(Random& random);
  // The disk's own library hid some rot: the log and the facts are as they were `rows` rows ago.
  // At most kMaxUndo are known; false when there are none.
  bool lose_tail(std::uint64_t rows);
  bool lose_log();
  bool lose_state();
  // The witness is what it is in the copy. For clones: another disk's snapshot.
  Snapshot snapshot() const { return now_; }
  void restore(Snapshot snapshot);

  // For the checkers: what a look at the directory shows.
  bool has_rot() const { return !now_.rotten.empty(); }
  // A byte there was flipped, and not written again since.
  bool is_rotten(const FileExtent& extent) const;
  const std::map<std::string, Bytes>& facts() const { return now_.facts; }
  const std::map<std::string, Bytes>& files() const { return now_.files; }

  std::uint64_t count(DiskFault fault) const { return counts_[static_cast<std::size_t>(fault)]; }

 private:
  struct Job {
    DiskBatch batch;  // or, with row 0:
    std::string removal;
    Instant since;
  };

  void note(DiskFault fault) { ++counts_[static_cast<std::size_t>(fault)]; }
  bool complete_batches(std::size_t max_batches, Completions& out);
  void complete_checkpoints(Completions& out);
  Result<Bytes> read(const FileExtent& extent);
  bool make_room(const DiskBatch& batch, Completions& out);
  void apply(const DiskBatch& batch);
  void apply(const CheckpointBatch& batch);
  void write_files(const DiskBatch& batch);
  void report_full(Completions& out);
  void keep_what_was_written(const Crash& crash);

  // What each of the newest durable rows replaced, newest last: how lose_tail goes back.
  struct Undo {
    std::uint64_t row = 0;
    std::map<std::string, std::optional<Bytes>> facts;
    std::map<std::uint64_t, Bytes> trimmed;
  };

  Snapshot now_;
  std::set<std::pair<std::string, std::uint64_t>> met_rot_;  // counted once
  std::deque<Undo> undo_;
  bool is_first_row_ = true;  // of this life of the process

  std::deque<Job> jobs_;
  std::deque<CheckpointBatch> checkpoints_;
  std::deque<FileRead> reads_;
  bool full_ = false;
  bool hung_ = false;
  bool held_up_ = false;  // a batch had to wait for it
  bool fails_ = false;
  bool reported_full_ = false;
  std::uint64_t reserve_ = kReserve;  // left
  std::array<std::uint64_t, static_cast<std::size_t>(DiskFault::kLast) + 1> counts_{};
};

}  // namespace dunlin::sim
