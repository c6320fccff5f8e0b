#include "cli/dial.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "cli/interrupts.h"
#include "os/clock.h"

namespace dunlin {

namespace {

Result<FileDescriptor> connect_to(const SocketAddress& address, const std::string& server,
                                  const DialPatience& patience) {
  FileDescriptor connection(
      socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connection.is_open()) {
    return fail(Code::kFailed, std::string("socket: ") + std::strerror(errno));
  }
  const socklen_t length =
      address.family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  int error = connect(connection.get(), address.raw(), length) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    const Result<void> ready = patience.wait(connection.get(), POLLOUT, server);
    if (!ready) return tl::unexpected(ready.error());
    socklen_t size = sizeof error;
    getsockopt(connection.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) return fail(Code::kUnreachable, server + ": " + std::strerror(error));
  return connection;
}

}  // namespace

DialPatience::DialPatience(Duration patience)
    : until_ms_(monotonic_ms() + patience.milliseconds()), interrupts_before_(interrupts()) {}

DialPatience DialPatience::share(std::size_t parts) const {
  DialPatience part = *this;
  const std::int64_t now = monotonic_ms();
  part.until_ms_ = now + (until_ms_ - now) / static_cast<std::int64_t>(parts);
  return part;
}

Result<void> DialPatience::wait(int fd, short events, const std::string& server) const {
  for (;;) {
    if (interrupts() > interrupts_before_) return fail(Code::kFailed, "interrupted");
    const std::int64_t left = until_ms_ - monotonic_ms();
    if (left <= 0) return fail(Code::kTimeout, server + ": no answer");
    pollfd waiting{fd, events, 0};
    const int ready = poll_counting(&waiting, 1, static_cast<int>(left));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(Code::kFailed, "poll failed");
  }
}

Result<FileDescriptor> connect_to_any(const std::vector<SocketAddress>& addresses,
                                      const std::string& server, const DialPatience& patience) {
  Result<FileDescriptor> result = fail(Code::kUnreachable, server + ": no such address");
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    result = connect_to(addresses[i], server, patience.share(addresses.size() - i));
    if (result || result.error().code == Code::kFailed) break;
  }
  return result;
}

}  // namespace dunlin
