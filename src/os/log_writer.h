// The thread that makes batches durable: packs first, synced; then all rows and facts that wait in
// one transaction; then the witness. While one group syncs the next gathers ("group commit"), so
// that load makes groups larger and not later.
//
// Checkpoints of the write-ahead log never fall into a commit: they run when nothing waits, and
// only above kMaxLogPages between two groups.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "dht/journal.h"
#include "os/data_directory.h"
#include "os/file_reader.h"
#include "os/latency_histogram.h"
#include "os/log_database.h"
#include "os/pack_files.h"
#include "os/storage_mailbox.h"
#include "os/thread.h"

namespace dunlin {

class LogWriter {
 public:
  static constexpr std::uint64_t kMaxGroupBytes = 8 * 1024 * 1024;
  // Far above what a healthy node lets wait: the disk has stopped and nobody noticed.
  static constexpr std::uint64_t kMaxWaitingBytes = 1024 * 1024 * 1024;
  static constexpr int kIdleLogPages = 1000;  // worth a checkpoint when nothing waits: 4 MiB
  static constexpr int kMaxLogPages = 4000;   // a checkpoint whatever waits: 16 MiB

  // `reserve`: bytes to set aside against a full disk; 0: none.
  LogWriter(DataDirectory& directory, LogDatabase log, std::uint64_t reserve,
            StorageMailbox& mailbox, FileReader& files);
  // Makes durable all that waits.
  ~LogWriter();

  void submit(DiskBatch batch);
  // Removes a file after all batches submitted before are durable.
  void remove_file(std::string file);

  std::uint64_t waiting_bytes() const;
  // When the oldest batch not yet durable was submitted.
  std::optional<Instant> waiting_since() const;
  // What its commits took, packs included.
  LatencyHistogram commits() const;

 private:
  struct Job {
    DiskBatch batch;  // or, with row 0:
    std::string removal;
    Instant since;
    std::uint64_t size = 0;
  };
  enum class Turn : std::uint8_t { kWork, kIdle, kStop };

  void enqueue(Job job);
  void run();
  Turn wait_for_work();
  void take_group();
  void write_group();
  Result<void> try_write_group();
  Result<void> write_on_full_disk();
  void be_idle();
  void checkpoint();
  void go_on_unless_broken(const Result<void>& done);

  DataDirectory& directory_;
  StorageMailbox& mailbox_;
  FileReader& files_;
  const std::uint64_t reserve_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::uint64_t waiting_bytes_ = 0;       // in jobs_ and in the group being written
  std::optional<Instant> writing_since_;  // of the group being written
  bool stop_ = false;
  LatencyHistogram commits_;

  // The thread's own.
  LogDatabase log_;
  PackFiles packs_;
  std::vector<DiskBatch> group_;
  std::vector<std::string> removals_;
  std::uint64_t group_bytes_ = 0;
  bool has_reserve_;      // or needs none
  bool has_room_ = true;  // as far as the last trim or checkpoint could tell

  Thread thread_;  // last: it uses all the others
};

}  // namespace dunlin
