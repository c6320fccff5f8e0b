// What a test does to the disk below one directory: bytes that it has no room for, writes that take
// as long as the test likes. This program's pwrite(), write(), posix_fallocate() and statvfs()
// stand before those of the C library, so that it works wherever tests run, and at a moment of
// choice.
#pragma once

#include <cstdint>
#include <string>

namespace dunlin {

// From now on, and in this process, all files below `directory` together may grow to so many bytes.
// Called while there is one thread.
void limit_disk(const std::string& directory, std::uint64_t bytes);

// While it lives, whoever writes to a file below the directory waits. One at a time.
class HeldWrites {
 public:
  explicit HeldWrites(const std::string& directory);
  ~HeldWrites();
  HeldWrites(const HeldWrites&) = delete;
  HeldWrites& operator=(const HeldWrites&) = delete;

  // Does a writer wait now? False when none came in a minute.
  bool wait_for_a_writer();
};

}  // namespace dunlin
