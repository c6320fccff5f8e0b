// The journal: turns the durable part of Effects into batches that can be trusted when they are
// read back, and judges at start what a disk says. Pure: src/os/storage and tests/sim/sim_disk
// carry the bytes.
//
// A database reopens after damage as if nothing had happened, only shorter (one flipped bit in
// SQLite's write-ahead log drops all commits behind it without an error). A node that votes after
// that breaks promises it no longer knows. So the journal trusts nothing:
//   - every batch writes one *row* with a sequence number; rows are gapless and each names the
//     checksum of the row before it, so a row lost, altered or from another life shows;
//   - every row carries the digest of *all* facts after its batch, so a fact that silently
//     vanished or is an older version of itself shows;
//   - every row names the first row still needed, so rows lost at the front show; the newest row
//     is never trimmed, so the sequence survives every trim;
//   - every row names the newest completed checkpoint of the applied state, and each checkpoint
//     carries its number, the digest of all state rows and the newest durable row, so that a lost
//     or older state database shows, and a lost log shows in the state;
//   - the *witness* is a lower bound of the newest row known to be durable.
// After "Protocol-Aware Recovery for Consensus-Based Storage" (Alagappan et al., FAST '18): a torn
// tail that nobody was promised is harmless, every other damage is amnesia.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/effects.h"
#include "base/result.h"

namespace dunlin {

// What to do about every kCorrupt of a node's own disk.
inline constexpr const char* kAmnesiaHint =
    "this node may have forgotten what it promised, so it cannot go on under its old id; "
    "start it as a new one: dunlin up --reset --join ADDR --token TOKEN";

// A keyed value as it lies on disk (sealed); no value erases the key.
using KeyedChange = std::pair<std::string, std::optional<Bytes>>;

// What a disk says at start; nothing of it is believed before Journal::open has judged it.
struct DiskImage {
  std::vector<std::pair<std::uint64_t, Bytes>> rows;  // ascending
  std::map<std::string, Bytes> facts;
  std::map<std::string, Bytes> state;
  std::map<std::string, std::uint64_t> files;  // the pack files there are, with their sizes
  std::uint64_t witness = 0;                   // 0: nothing known
};

// One batch for the log's disk. It becomes durable whole or not at all, in order of `row`: first
// the files' bytes, then the row and the facts in one transaction.
struct DiskBatch {
  std::uint64_t row = 0;
  Bytes row_data;
  std::vector<KeyedChange> facts;  // in this order: a key may occur twice
  std::vector<FileWrite> files;
  std::uint64_t trim_below = 0;  // the disk may drop lower rows once this batch is durable
};

// One transaction for the state's disk.
struct CheckpointBatch {
  std::uint64_t id = 0;
  std::vector<KeyedChange> rows;
};

struct Recovered {
  struct Record {
    std::uint64_t row = 0;
    Module module{};
    Bytes data;
  };
  std::vector<Record> records;  // in the order they were appended
  std::map<std::string, Bytes> facts;
  std::map<std::string, Bytes> state;
  std::map<std::string, std::uint64_t> files;
  std::uint64_t next_row = 1;
  bool torn = false;  // an unfinished last row was dropped; nobody had been promised anything
};

// Digest of a set of keyed values, kept up to date change by change: the sum of their checksums.
// Holds 16 bytes (and a hash node) per key instead of the values. It finds rot and lost writes of
// a disk, by chance 1 in 2^64; it is no seal against someone who writes the disk, for whom sums of
// unkeyed hashes are easily met: he has the node's key as well, which lies beside them.
class SetDigest {
 public:
  void put(const std::string& key, std::uint64_t checksum);
  void erase(const std::string& key);
  std::uint64_t sum() const { return sum_; }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> checksums_;  // by hash of the key
  std::uint64_t sum_ = 0;
};

class Journal {
 public:
  // Judges a disk; once, before anything else. kCorrupt: this node may have forgotten something
  // it promised and must not go on under its id (the message says what is wrong with what). An
  // empty disk is a new one.
  Result<Recovered> open(DiskImage image);

  // The row that the next batch will be; Effects::row is set to it.
  std::uint64_t next_row() const { return next_row_; }
  // What a promise without new records waits for: all it rests on lies in this row or below.
  std::uint64_t last_row() const { return next_row_ - 1; }

  // Is there anything for the disk in it?
  bool needs_batch(const Effects& effects) const;
  // Takes records, facts, file writes and trim out of `effects`, whose `row` must be next_row().
  // The batch must be submitted before the next one is sealed.
  DiskBatch seal(Effects& effects);
  // All rows up to this one are durable.
  void on_durable(std::uint64_t row);

  // Seals changes of the applied state (plain values) as the next checkpoint. One at a time, and
  // none before the first row is durable; it must be written, however late: the next builds on it.
  CheckpointBatch seal_checkpoint(std::vector<KeyedChange> changes);
  bool checkpoint_in_flight() const { return completed_checkpoint_ != sealed_checkpoint_; }
  // That checkpoint is durable: rows sealed from now on rely on it, and may trim what it holds.
  void on_checkpoint(std::uint64_t id);

 private:
  struct Row;
  struct CheckpointMark;

  using Rows = std::vector<std::pair<std::uint64_t, Bytes>>;

  // The row that the state's mark witnesses.
  Result<std::uint64_t> open_state(DiskImage& image, Recovered& out);
  Result<void> open_facts(DiskImage& image, Recovered& out);
  Result<void> open_rows(const Rows& rows, Recovered& out);
  static bool drop_torn_tail(Rows& rows, std::uint64_t witness);

  std::uint64_t next_row_ = 1;
  std::uint64_t first_row_ = 1;      // rows below are needed no more
  std::uint64_t durable_row_ = 0;    // all up to it
  std::uint64_t last_checksum_ = 0;  // of row next_row_ - 1
  std::uint64_t sealed_checkpoint_ = 0;
  std::uint64_t completed_checkpoint_ = 0;
  SetDigest facts_;
  SetDigest state_;
};

}  // namespace dunlin
