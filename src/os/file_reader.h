// The thread that reads and removes packs, and measures the disk, so that neither the loop nor a
// commit waits for it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "base/effects.h"
#include "os/data_directory.h"
#include "os/storage_mailbox.h"
#include "os/thread.h"

namespace dunlin {

class FileReader {
 public:
  static constexpr std::size_t kMaxWaiting = 4096;

  FileReader(const DataDirectory& directory, StorageMailbox& mailbox);
  // What waits is dropped.
  ~FileReader();

  // Answered through the mailbox; kLimit when too many wait.
  void read(FileRead read);
  // From any thread. A file that cannot be removed stays, and is found at the next start.
  void remove(std::string file);
  // As last measured; asks for a new measure.
  DiskSpace space();

 private:
  void run();

  const DataDirectory& directory_;
  StorageMailbox& mailbox_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<FileRead> reads_;
  std::deque<std::string> removals_;
  bool measure_ = false;
  bool stop_ = false;
  DiskSpace space_;
  Thread thread_;  // last: it uses all the others
};

}  // namespace dunlin
