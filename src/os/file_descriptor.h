// An open file that closes itself, and system errors as Errors.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace dunlin {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~FileDescriptor();

  int get() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  // The caller closes it from now on.
  int release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

// "WHAT: No space left on device". kLimit when the disk or a quota is full, else kFailed.
tl::unexpected<Error> system_error(std::string what, int error_number);

// Open for reading (and writing), never inherited by another program.
FileDescriptor open_file(const std::string& path, int flags, unsigned mode = 0600);

// EMFILE, ENFILE, ENOMEM: this process or the system has no descriptor or memory left, just now.
bool is_want_of_descriptors(int error);

// The same as open_file() for a thread that may wait: for want of descriptors it is tried again for
// kOpenPatience. Nothing is lost by that, as nothing was begun.
FileDescriptor open_patiently(const std::string& path, int flags, unsigned mode = 0600);
constexpr Duration kOpenPatience = seconds(60);

// Writes all of it at `offset`; `path` is for the error.
Result<void> write_at(int file, std::uint64_t offset, ByteView data, const std::string& path);
// Reads until `out` is full or the file ends; the number of bytes read.
Result<std::size_t> read_at(int file, std::uint64_t offset, std::span<std::uint8_t> out,
                            const std::string& path);
// The names in a directory are durable after it.
Result<void> sync_directory(const std::string& path);
// Writes DIRECTORY/NAME (0600) whole or not at all, durably. `name` + ".new" may be left behind.
Result<void> replace_file(const std::string& directory, const std::string& name, ByteView content);

// Writes "dunlin: LINE" to stderr and ends the process at once, without destructors: for a disk
// that no longer can be trusted. Nothing that is not durable has been promised to anyone.
[[noreturn]] void end_process(const std::string& line);
constexpr int kDiskFailedExit = 74;  // EX_IOERR

}  // namespace dunlin
