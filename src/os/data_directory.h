// A node's directory: who may use it, and the small files in it that are not databases.
//   lock      held by the process that uses the directory
//   log.db    rows and facts          state.db  applied state          packs/  blobs
//   witness   a lower bound of the newest durable row
//   reserve   space set aside for the groups to go on when the disk is full
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/file_descriptor.h"

namespace dunlin {

struct DiskSpace {
  std::uint64_t total = 0;  // bytes of the file system, for ordinary accounts
  std::uint64_t free = 0;
};

class DataDirectory {
 public:
  static constexpr std::uint64_t kReserve = 16 * 1024 * 1024;

  // Creates the directory (mode 0700, not its parents) and takes it. One that was there is closed
  // to others, but for passing through (0711). kRefused when another process has it (its pid is
  // said), when it is another account's, or holds folders of others; kFailed when it cannot be
  // written.
  static Result<DataDirectory> open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return path_ + "/" + name; }

  // kCorrupt when there is no log, but something that only exists beside one.
  Result<void> check_log_is_not_lost() const;

  // 0 when nothing can be read: the witness is a lower bound, so no alarm comes from its loss.
  std::uint64_t read_witness() const;
  // Overwrites it in place. Synced by the first call after open(), later ones leave it to the
  // kernel. False when that failed: the file says less than it could.
  bool write_witness(std::uint64_t row);

  // Sets `bytes` aside if that is not done yet and the disk has room for four times as much.
  // True when the reserve is there. By one thread, as free_reserve().
  bool fill_reserve(std::uint64_t bytes);
  // Gives the reserve to whoever writes next; false when there was none.
  bool free_reserve();
  // Before fill_reserve(): so that a database can be opened where nothing else is left.
  void remove_reserve();
  // From any thread: may so much be written without touching what is kept for the log? Of a
  // reserve in use the log keeps half, since a checkpoint lets it be cut.
  bool has_room_beside_log(std::uint64_t bytes) const;

  Result<DiskSpace> space() const;

 private:
  DataDirectory(std::string path, FileDescriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}

  std::string path_;
  FileDescriptor lock_;
  FileDescriptor witness_;
  bool witness_synced_ = false;
  bool has_reserve_ = false;
  std::uint64_t reserved_ = 0;
  // What the log may still need of the free space; behind a pointer, so that this can move.
  std::unique_ptr<std::atomic<std::uint64_t>> kept_for_log_ =
      std::make_unique<std::atomic<std::uint64_t>>(0);
};

// Moves databases, witness, identity, packs and what else is named in it to `path`/rotten-N, so
// that the next start finds an empty directory. Nothing is deleted. The new folder; kRefused while
// a process uses the directory, kNotFound when there is nothing to move.
Result<std::string> set_aside(const std::string& path, const std::vector<const char*>& more = {});

}  // namespace dunlin
