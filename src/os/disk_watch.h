// Keeps tasks from filling the disk on which their directories lie beside the node's databases:
// says when it is nearly full, and how much of it a task's directory holds. The runner ends the
// task that holds most, for it lives wherever tasks do, with or without a node.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "os/thread.h"

namespace dunlin {

// Of one round of counting, over all tasks. What is not counted is not held against anybody.
constexpr std::size_t kMaxCountedEntries = 200'000;

class DiskWatch {
 public:
  // `directory`: the node's; empty: nothing is watched.
  explicit DiskWatch(std::string directory);

  struct Look {
    bool is_low = false;
    std::uint64_t free = 0;          // bytes that tasks could still write
    std::uint64_t least_blamed = 0;  // bytes: ending who holds less would not help
    Duration pause;                  // until the next look; no disk fills up sooner
  };
  Look look() const;
  // What look() makes of a disk of `total` bytes, those kept for root not counted.
  static Look judge(std::uint64_t total, std::uint64_t free);

  // Bytes of the regular files below `path` that lie on this disk. Each entry takes one of
  // `entries`, and none is looked at once those are used up.
  std::uint64_t held_below(const std::string& path, std::size_t& entries) const;
  // The same of each path, with `entries` for all of them. One with countless files uses up what is
  // its own, and what the others do not need.
  std::vector<std::uint64_t> held_by_each(const std::vector<std::string>& paths,
                                          std::size_t entries) const;

  // Removes a directory with all in it, on a thread of its own, or before it returns where there
  // can be none. One at a time: see is_clearing().
  void clear(const std::string& path);
  bool is_clearing() const { return is_clearing_; }

 private:
  const std::string directory_;
  std::atomic<bool> is_clearing_ = false;
  std::unique_ptr<Thread> clearing_;
};

}  // namespace dunlin
