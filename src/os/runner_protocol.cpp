#include "os/runner_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>

namespace dunlin {

Result<std::optional<ByteView>> RunnerFrames::next() {
  const std::size_t waiting = buffer_.size() - read_;
  if (waiting >= 4) {
    const std::size_t length = get_u32(buffer_.data() + read_);
    if (length > kMaxRunnerFrame) return fail(Code::kLimit, "a frame of the runner is too long");
    if (waiting - 4 >= length) {
      const ByteView body(buffer_.data() + read_ + 4, length);
      read_ += 4 + length;
      return body;
    }
  }
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(read_));
  read_ = 0;
  if (buffer_.empty() && buffer_.capacity() > 64 * 1024) Bytes().swap(buffer_);
  return std::nullopt;
}

namespace {

// A socket and its short address. The directory stays open as long as this lives.
struct Place {
  int directory_fd = -1;
  int fd = -1;
  sockaddr_un address{};

  Place(const std::string& directory, const std::string& name) {
    directory_fd = ::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory_fd,
                  name.c_str());
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  }
  ~Place() {
    if (directory_fd >= 0) close(directory_fd);
    if (fd >= 0) close(fd);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  const sockaddr* where() const { return reinterpret_cast<const sockaddr*>(&address); }
  int give() {
    const int given = fd;
    fd = -1;
    return given;
  }
};

tl::unexpected<Error> socket_error(const char* doing, const std::string& directory,
                                   const std::string& name) {
  const Code code = errno == ENOENT || errno == ECONNREFUSED ? Code::kNotFound : Code::kFailed;
  return fail(
      code, std::string("cannot ") + doing + " " + directory + "/" + name + ": " + strerror(errno));
}

}  // namespace

Result<int> listen_at(const std::string& directory, const std::string& name) {
  Place place(directory, name);
  unlinkat(place.directory_fd, name.c_str(), 0);
  // Nobody can connect before listen(), so the mode is right in time.
  if (place.fd < 0 || bind(place.fd, place.where(), sizeof place.address) != 0 ||
      fchmodat(place.directory_fd, name.c_str(), 0600, 0) != 0 || listen(place.fd, 16) != 0) {
    return socket_error("listen at", directory, name);
  }
  return place.give();
}

Result<int> connect_to(const std::string& directory, const std::string& name) {
  Place place(directory, name);
  // A unix socket connects at once or not at all.
  if (place.fd < 0 || connect(place.fd, place.where(), sizeof place.address) != 0) {
    return socket_error("connect to", directory, name);
  }
  return place.give();
}

bool peer_is_trusted(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

}  // namespace dunlin
