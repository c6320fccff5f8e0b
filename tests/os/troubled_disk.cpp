#include "os/troubled_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>

namespace dunlin {
namespace {

constexpr unsigned long kDiskBlock = 4096;

// Set once, while there is one thread.
std::string limited_directory;
std::uint64_t disk_limit = 0;

std::mutex hold_mutex;
std::condition_variable hold_changed;
std::string held_directory;  // empty: nothing is held
int held_writers = 0;

// Without any trouble nothing is looked up.
std::atomic<bool> has_trouble = false;

bool lies_in(const std::string& path, const std::string& directory) {
  return !directory.empty() && path.starts_with(directory + "/");
}

std::string path_of_file(int file) {
  std::array<char, 4096> path;
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : std::string();
}

std::uint64_t bytes_in_use() {
  std::uint64_t sum = 0;
  std::error_code error;
  // What goes away meanwhile is no error.
  for (auto at = std::filesystem::recursive_directory_iterator(limited_directory, error);
       at != std::filesystem::recursive_directory_iterator(); at.increment(error)) {
    const std::uint64_t size = at->is_regular_file(error) ? at->file_size(error) : 0;
    if (!error) sum += size;
  }
  return sum;
}

bool has_room(int file, std::uint64_t end) {
  if (!lies_in(path_of_file(file), limited_directory)) return true;
  struct stat about {};
  if (::fstat(file, &about) != 0) return true;
  const auto size = static_cast<std::uint64_t>(about.st_size);
  return end <= size || bytes_in_use() + (end - size) <= disk_limit;
}

void wait_while_held(int file) {
  std::unique_lock lock(hold_mutex);
  if (!lies_in(path_of_file(file), held_directory)) return;
  ++held_writers;
  hold_changed.notify_all();
  hold_changed.wait(lock, [] { return held_directory.empty(); });
  --held_writers;
}

// False, with errno, where the write must fail.
bool may_write(int file, off_t at, std::size_t size) {
  if (!has_trouble) return true;
  wait_while_held(file);
  // What has no position (a pipe, a socket) is on no disk.
  if (at < 0 || has_room(file, static_cast<std::uint64_t>(at) + size)) return true;
  errno = ENOSPC;
  return false;
}

}  // namespace

void limit_disk(const std::string& directory, std::uint64_t bytes) {
  limited_directory = directory;
  disk_limit = bytes;
  has_trouble = true;
}

HeldWrites::HeldWrites(const std::string& directory) {
  const std::scoped_lock lock(hold_mutex);
  held_directory = directory;
  has_trouble = true;
}

HeldWrites::~HeldWrites() {
  const std::scoped_lock lock(hold_mutex);
  held_directory.clear();
  hold_changed.notify_all();
}

bool HeldWrites::wait_for_a_writer() {
  std::unique_lock lock(hold_mutex);
  return hold_changed.wait_for(lock, std::chrono::minutes(1), [] { return held_writers > 0; });
}

}  // namespace dunlin

extern "C" {

ssize_t pwrite(int file, const void* data, size_t size, off_t at) {
  return dunlin::may_write(file, at, size) ? ::syscall(SYS_pwrite64, file, data, size, at) : -1;
}

ssize_t pwrite64(int file, const void* data, size_t size, off64_t at) {
  return dunlin::may_write(file, at, size) ? ::syscall(SYS_pwrite64, file, data, size, at) : -1;
}

ssize_t write(int file, const void* data, size_t size) {
  const bool may =
      !dunlin::has_trouble || dunlin::may_write(file, ::lseek(file, 0, SEEK_CUR), size);
  return may ? ::syscall(SYS_write, file, data, size) : -1;
}

int posix_fallocate(int file, off_t at, off_t size) {
  if (dunlin::has_trouble && !dunlin::has_room(file, static_cast<std::uint64_t>(at + size))) {
    return ENOSPC;
  }
  return ::syscall(SYS_fallocate, file, 0, at, size) == 0 ? 0 : errno;
}

int statvfs(const char* path, struct statvfs* about) noexcept {
  static const auto real =
      reinterpret_cast<int (*)(const char*, struct statvfs*)>(::dlsym(RTLD_NEXT, "statvfs"));
  const int status = real(path, about);
  const std::string directory = dunlin::limited_directory;
  if (status != 0 || directory.empty() ||
      (path != directory && !dunlin::lies_in(path, directory))) {
    return status;
  }
  const std::uint64_t used = dunlin::bytes_in_use();
  about->f_bsize = about->f_frsize = dunlin::kDiskBlock;
  about->f_blocks = dunlin::disk_limit / dunlin::kDiskBlock;
  about->f_bfree = about->f_bavail =
      used < dunlin::disk_limit ? (dunlin::disk_limit - used) / dunlin::kDiskBlock : 0;
  return 0;
}

}  // extern "C"
