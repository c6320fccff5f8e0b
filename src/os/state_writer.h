// The thread that writes checkpoints of the applied state, so that the log never waits for them.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include "dht/journal.h"
#include "os/data_directory.h"
#include "os/state_database.h"
#include "os/storage_mailbox.h"
#include "os/thread.h"

namespace dunlin {

class StateWriter {
 public:
  static constexpr int kMaxLogPages = 1000;  // of the write-ahead log, then it is copied: 4 MiB

  StateWriter(const DataDirectory& directory, StateDatabase state, StorageMailbox& mailbox);
  // Writes what waits, unless the disk is full.
  ~StateWriter();

  // Every checkpoint given is written, however long the disk is full: later ones build on it.
  void submit(CheckpointBatch batch);

 private:
  void run();
  bool write(const CheckpointBatch& batch);
  bool try_write(const CheckpointBatch& batch);
  bool wait_for_room();

  const DataDirectory& directory_;
  StorageMailbox& mailbox_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<CheckpointBatch> waiting_;
  bool stop_ = false;
  StateDatabase state_;  // the thread's own
  Thread thread_;        // last: it uses all the others
};

}  // namespace dunlin
