#include "os/file_descriptor.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>

#include "os/clock.h"

namespace dunlin {

FileDescriptor::~FileDescriptor() {
  if (number_ >= 0) ::close(number_);
}

tl::unexpected<Error> system_error(std::string what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT;
  return fail(full ? Code::kLimit : Code::kFailed,
              std::move(what) + ": " + ::strerror(error_number),
              full ? "free space on that disk" : "");
}

FileDescriptor open_file(const std::string& path, int flags, unsigned mode) {
  return FileDescriptor(::open(path.c_str(), flags | O_CLOEXEC, mode));
}

bool is_want_of_descriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}

FileDescriptor open_patiently(const std::string& path, int flags, unsigned mode) {
  constexpr int kPauseMs = 20;
  const Instant until = monotonic_now() + kOpenPatience;
  for (;;) {
    FileDescriptor file = open_file(path, flags, mode);
    const int error = errno;
    if (file.is_open() || !is_want_of_descriptors(error) || monotonic_now() >= until) {
      errno = error;
      return file;
    }
    // Nobody tells when a descriptor is free again.
    ::poll(nullptr, 0, kPauseMs);
  }
}

Result<void> write_at(int file, std::uint64_t offset, ByteView data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t done = ::pwrite(file, data.data(), data.size(), static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error("cannot write " + path, errno);
    data = data.subspan(static_cast<std::size_t>(done));
    offset += static_cast<std::uint64_t>(done);
  }
  return {};
}

Result<std::size_t> read_at(int file, std::uint64_t offset, std::span<std::uint8_t> out,
                            const std::string& path) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t done = ::pread(file, out.data() + filled, out.size() - filled,
                                 static_cast<off_t>(offset + filled));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error("cannot read " + path, errno);
    if (done == 0) break;
    filled += static_cast<std::size_t>(done);
  }
  return filled;
}

Result<void> sync_directory(const std::string& path) {
  const FileDescriptor directory = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!directory.is_open()) return system_error("cannot open " + path, errno);
  if (::fsync(directory.get()) != 0) return system_error("cannot sync " + path, errno);
  return {};
}

void end_process(const std::string& line) {
  const std::string all = "dunlin: " + line + "\n";
  // There is nobody left to tell if stderr is gone too.
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, all.data(), all.size());
  ::_exit(kDiskFailedExit);
}

Result<void> replace_file(const std::string& directory, const std::string& name, ByteView content) {
  const std::string path = directory + "/" + name;
  const std::string fresh = path + ".new";
  const FileDescriptor file = open_file(fresh, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file.is_open()) return system_error("cannot write " + fresh, errno);
  if (Result<void> written = write_at(file.get(), 0, content, fresh); !written) return written;
  if (::fsync(file.get()) != 0) return system_error("cannot sync " + fresh, errno);
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return system_error("cannot write " + path, errno);
  return sync_directory(directory);
}

}  // namespace dunlin
