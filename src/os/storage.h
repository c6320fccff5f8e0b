// A node's disk: performs the durable part of Effects for its owner on the libuv loop. Nothing here
// makes the loop wait; three threads do (batches, checkpoints, reads). The contract is shared with
// tests/sim/sim_disk.h and checked by one suite, tests/os/disk_contract_test.cpp:
//
//   - Batches become durable in the order submitted, each whole or not at all: its file writes
//     first, then row and facts in one transaction. on_durable(row) speaks for all rows up to it.
//   - A crash at any moment leaves every batch reported durable, and of the others a prefix.
//   - Checkpoints are whole or not at all, independent of batches.
//   - A failed write or sync ends the process with one line (exit code 74): after a failed fsync
//     nobody knows what the kernel has dropped, and trying again would report success for lost
//     bytes ("Can Applications Recover from fsync Failures?", Rebello et al., USENIX ATC 2020).
//   - A full disk is the exception, since SQLite undoes the transaction: the reserve is given up,
//     the same batches are tried once more, and on_disk_full(true) tells the owner to take in
//     nothing new (no jobs, no blobs) while groups go on. When the reserve is used up too, the
//     process ends. Checkpoints wait for room instead. on_disk_full(false) comes once a new
//     reserve could be set aside.
#pragma once

#include <uv.h>

#include <memory>
#include <optional>
#include <string>

#include "base/effects.h"
#include "base/result.h"
#include "base/time.h"
#include "dht/journal.h"
#include "os/data_directory.h"
#include "os/latency_histogram.h"
#include "os/storage_mailbox.h"

namespace dunlin {

class Storage {
 public:
  // A write that takes longer speaks of a sick disk: heartbeats are withheld, leadership goes.
  static constexpr Duration kStallLimit = seconds(1);
  // With more waiting the owner refuses new work (kLimit). Far beyond it the process ends.
  static constexpr std::uint64_t kMaxBacklog = 64 * 1024 * 1024;

  // Takes the directory, made with mode 0700 if it is not there (its parent must be). kRefused:
  // another process has it, named by pid. kCorrupt: databases damaged or lost. kFailed: the rest.
  static Result<std::unique_ptr<Storage>> open(const std::string& directory,
                                               std::uint64_t reserve = DataDirectory::kReserve);
  // All that was submitted is durable afterwards. Needs a further turn of the loop if started.
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // What the disk says, for Journal::open; once, before start(). kCorrupt as open().
  Result<DiskImage> read_image();
  // From now on callbacks come, on the loop's thread; they must not destroy this object.
  void start(uv_loop_t* loop, StorageCallbacks callbacks);

  // All below: after start(), from the loop's thread.
  void submit(DiskBatch batch);
  void checkpoint(CheckpointBatch batch);
  // Answered by on_file_data: bytes; kNotFound; kCorrupt when the file is too short; kLimit.
  void read_file(FileExtent extent, const Ticket& ticket);
  // After all batches submitted so far are durable.
  void remove_file(std::string file);

  // Since when the oldest batch waits (on monotonic_now()), when that is longer than kStallLimit.
  std::optional<Instant> stalled_since(Instant now) const;
  // Bytes submitted and not durable yet.
  std::uint64_t backlog() const;
  // What the commits of the log took.
  LatencyHistogram log_commits() const;
  // As measured a moment ago.
  DiskSpace space();

 private:
  struct Parts;
  explicit Storage(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
