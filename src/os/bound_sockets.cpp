#include "os/bound_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace dunlin {

namespace {

// Port 0 gives TCP a free port, but UDP may have it in use: then another one is tried.
constexpr int kPortAttempts = 32;

FileDescriptor bound_socket(const SocketAddress& address, int type) {
  FileDescriptor made(socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!made.is_open()) return made;
  const int yes = 1;
  // For UDP this would let two processes share the port.
  if (type == SOCK_STREAM) setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const socklen_t size = address.family() == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(made.get(), address.raw(), size) == 0) return made;
  const int error = errno;
  made = FileDescriptor();
  errno = error;
  return made;
}

}  // namespace

tl::unexpected<Error> cannot_listen(const SocketAddress& address, const char* kind,
                                    int error_number) {
  std::string hint;
  if (error_number == EADDRINUSE) hint = "another process uses this port; choose one with --listen";
  if (error_number == EADDRNOTAVAIL) hint = "no interface of this host has this address";
  return fail(
      Code::kFailed,
      "cannot listen on " + address.text() + " (" + kind + "): " + std::strerror(error_number),
      hint);
}

Result<BoundSockets> bind_sockets(const SocketAddress& address) {
  for (int attempt = 1;; ++attempt) {
    BoundSockets out;
    out.tcp = bound_socket(address, SOCK_STREAM);
    if (!out.tcp.is_open()) return cannot_listen(address, "TCP", errno);
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    ASSERT(getsockname(out.tcp.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
    out.address = SocketAddress(reinterpret_cast<const sockaddr*>(&name));
    out.udp = bound_socket(out.address, SOCK_DGRAM);
    if (out.udp.is_open()) return out;
    if (address.port() != 0 || attempt == kPortAttempts) {
      return cannot_listen(out.address, "UDP", errno);
    }
  }
}

}  // namespace dunlin
