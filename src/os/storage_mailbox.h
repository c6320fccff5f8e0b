// What the disk's threads have to say to the loop: gathered, and handed over in one wake-up.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/result.h"

namespace dunlin {

// Called on the loop's thread.
struct StorageCallbacks {
  // All batches up to this row are durable.
  std::function<void(std::uint64_t row)> on_durable;
  // That checkpoint is durable.
  std::function<void(std::uint64_t id)> on_checkpoint;
  std::function<void(const Ticket&, Result<Bytes>)> on_file_data;
  // True: the disk is full and its reserve is being used, or none could be set aside; take in
  // nothing new. False: there is room again.
  std::function<void(bool full)> on_disk_full;
};

class StorageMailbox {
 public:
  enum class Source : std::uint8_t { kLog = 1, kState = 2 };

  StorageMailbox(uv_loop_t* loop, StorageCallbacks callbacks);
  // Nothing is called any more. The handle closes in a later turn of the loop.
  ~StorageMailbox();
  StorageMailbox(const StorageMailbox&) = delete;
  StorageMailbox& operator=(const StorageMailbox&) = delete;

  // From any thread.
  void post_durable(std::uint64_t row);
  void post_checkpoint(std::uint64_t id);
  void post_file_data(const Ticket& ticket, Result<Bytes> data);
  void post_disk_full(Source source, bool full);

 private:
  struct Letters {
    std::uint64_t durable = 0;
    std::vector<std::uint64_t> checkpoints;
    std::vector<std::pair<Ticket, Result<Bytes>>> file_data;
  };

  void deliver();

  StorageCallbacks callbacks_;
  uv_async_t* wake_up_;  // lives until the loop has closed it
  std::mutex mutex_;
  Letters letters_;
  std::uint8_t full_ = 0;       // by source
  bool reported_full_ = false;  // the loop's thread alone
};

}  // namespace dunlin
