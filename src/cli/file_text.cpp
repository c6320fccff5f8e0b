#include "cli/file_text.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "os/file_descriptor.h"

namespace dunlin {

namespace {

tl::unexpected<Error> unreadable(const std::string& path, int error) {
  return fail(error == ENOENT ? Code::kNotFound : Code::kUsage, path + ": " + std::strerror(error));
}

Result<std::string> first_of(int fd, const std::string& path, std::size_t most) {
  constexpr std::size_t kPiece = 256 * 1024;
  std::string text;
  while (text.size() < most) {
    const std::size_t had = text.size();
    text.resize(had + std::min(kPiece, most - had));
    const ssize_t count = ::read(fd, text.data() + had, text.size() - had);
    const int error = errno;
    text.resize(had + (count < 0 ? 0 : static_cast<std::size_t>(count)));
    if (count == 0) break;
    if (count < 0 && error == EAGAIN) {
      pollfd waiting{fd, POLLIN, 0};
      (void)::poll(&waiting, 1, -1);
    } else if (count < 0 && error != EINTR) {
      return unreadable(path, error);
    }
  }
  return text;
}

}  // namespace

Result<std::string> first_of_file(const std::string& path, std::size_t most) {
  const FileDescriptor file = open_file(path, O_RDONLY);
  if (!file.is_open()) return unreadable(path, errno);
  return first_of(file.get(), path, most);
}

Result<std::string> first_of_input(const std::string& path, std::size_t most) {
  return path == "-" ? first_of(STDIN_FILENO, path, most) : first_of_file(path, most);
}

}  // namespace dunlin
