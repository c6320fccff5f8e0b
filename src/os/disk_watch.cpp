#include "os/disk_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "os/directory_entries.h"
#include "os/file_descriptor.h"
#include "os/workdir.h"

namespace dunlin {

namespace {

// Free space below which a task has to go: a fiftieth of the disk within these, and never more
// than the part at which no new task is taken (sched/sched.h), so that none begins just to be
// ended.
constexpr std::uint64_t kLowPart = 50;
constexpr std::uint64_t kMostPart = 20;
constexpr std::uint64_t kLowAtLeast = 32 * 1024 * 1024;
constexpr std::uint64_t kLowAtMost = 512 * 1024 * 1024;
constexpr std::uint64_t kBlamedPart = 4;  // of that

constexpr std::int64_t kBytesPerMicrosecond = 4000;  // no task writes faster
constexpr Duration kShortestPause = milliseconds(20);
constexpr Duration kLongestPause = milliseconds(500);

std::uint64_t low_water(std::uint64_t total) {
  return std::min(std::clamp(total / kLowPart, kLowAtLeast, kLowAtMost), total / kMostPart);
}

// Directories are entered without following links, each by its descriptor: tasks are at work here.
std::uint64_t count_below(const FileDescriptor& at, dev_t disk, std::size_t depth,
                          std::size_t& entries) {
  const Directory stream = directory_stream(at.get());
  std::uint64_t bytes = 0;
  while (const dirent* entry = stream && entries > 0 ? readdir(stream.get()) : nullptr) {
    struct stat about {};
    if (is_dots(entry->d_name)) continue;
    --entries;
    if (fstatat(at.get(), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (about.st_dev != disk) continue;
    if (S_ISREG(about.st_mode)) bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
    if (!S_ISDIR(about.st_mode) || depth == kMaxWorkdirDepth) continue;
    constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const FileDescriptor inner(openat(at.get(), entry->d_name, kHow));
    if (inner.is_open()) bytes += count_below(inner, disk, depth + 1, entries);
  }
  return bytes;
}

}  // namespace

DiskWatch::DiskWatch(std::string directory) : directory_(std::move(directory)) {}

DiskWatch::Look DiskWatch::look() const {
  struct statvfs about {};
  if (directory_.empty() || statvfs(directory_.c_str(), &about) != 0)
    return {false, 0, 0, kLongestPause};
  // What is kept for root is no part of the disk for anybody here.
  const std::uint64_t total = (about.f_blocks - (about.f_bfree - about.f_bavail)) * about.f_frsize;
  return judge(total, about.f_bavail * about.f_frsize);
}

DiskWatch::Look DiskWatch::judge(std::uint64_t total, std::uint64_t free) {
  const std::uint64_t low = low_water(total);
  Look look;
  look.is_low = free < low;
  look.free = free;
  look.least_blamed = low / kBlamedPart;
  const auto spare = static_cast<std::int64_t>(look.is_low ? 0 : free - low);
  look.pause =
      std::clamp(microseconds(spare / kBytesPerMicrosecond), kShortestPause, kLongestPause);
  return look;
}

std::uint64_t DiskWatch::held_below(const std::string& path, std::size_t& entries) const {
  struct stat disk {};
  if (stat(directory_.c_str(), &disk) != 0) return 0;
  constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const FileDescriptor top = open_file(path, kHow);
  struct stat about {};
  if (!top.is_open() || fstat(top.get(), &about) != 0 || about.st_dev != disk.st_dev) return 0;
  return count_below(top, disk.st_dev, 0, entries);
}

std::vector<std::uint64_t> DiskWatch::held_by_each(const std::vector<std::string>& paths,
                                                   std::size_t entries) const {
  std::vector<std::uint64_t> bytes(paths.size());
  std::vector<std::size_t> cut_short;
  std::size_t left = entries;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const std::size_t share = std::max<std::size_t>(entries / 2 / paths.size(), 1);
    std::size_t unused = share;
    bytes[i] = held_below(paths[i], unused);
    left -= std::min(left, share - unused);
    if (unused == 0) cut_short.push_back(i);
  }
  for (std::size_t i = 0; i < cut_short.size(); ++i) {
    const std::size_t share = left / (cut_short.size() - i);
    std::size_t unused = share;
    std::uint64_t& before = bytes[cut_short[i]];
    before = std::max(before, held_below(paths[cut_short[i]], unused));
    left -= share - unused;
  }
  return bytes;
}

void DiskWatch::clear(const std::string& path) {
  clearing_.reset();  // waits for the one before
  is_clearing_ = true;
  const auto remove = [this, path] {
    // What resists is removed with the attempt.
    static_cast<void>(remove_tree(path));
    is_clearing_ = false;
  };
  clearing_ = Thread::try_start("clear", remove);
  if (!clearing_) remove();
}

}  // namespace dunlin
