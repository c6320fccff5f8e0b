#include "os/bound_sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
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

bool is_answered(const sockaddr_un& address) {
  const FileDescriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.is_open() &&
         connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// /run is empty after each start of the host.
Result<void> make_folder_of(const std::string& path) {
  const std::string folder = path.substr(0, path.find_last_of('/'));
  if (folder.empty() || folder == path) return {};
  if (mkdir(folder.c_str(), 0755) == 0) {
    // Whatever the umask: everybody on the host may come by here, the socket's mode decides.
    if (chmod(folder.c_str(), 0755) == 0) return {};
  } else if (errno == EEXIST) {
    return {};
  }
  return system_error("cannot create " + folder, errno);
}

}  // namespace

tl::unexpected<Error> cannot_listen(const SocketAddress& address, const char* kind,
                                    int error_number) {
  std::string hint;
  if (error_number == EADDRINUSE) hint = "another process uses this port; choose another one";
  if (error_number == EADDRNOTAVAIL) hint = "no interface of this host has this address";
  return fail(
      Code::kFailed,
      "cannot listen on " + address.text() + " (" + kind + "): " + std::strerror(error_number),
      hint);
}

Result<FileDescriptor> bind_tcp_socket(const SocketAddress& address) {
  FileDescriptor bound = bound_socket(address, SOCK_STREAM);
  if (!bound.is_open()) return cannot_listen(address, "TCP", errno);
  return bound;
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

Result<FileDescriptor> bind_local_socket(const std::string& path, unsigned mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Code::kUsage,
                "socket path " + path + " is longer than " +
                    std::to_string(sizeof address.sun_path - 1) + " bytes",
                "choose a shorter --dir");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  if (Result<void> made = make_folder_of(path); !made) return tl::unexpected(made.error());
  if (is_answered(address)) {
    return fail(Code::kConflict, "another process answers at " + path,
                "stop it with: dunlin down --server " + path);
  }
  FileDescriptor made(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.is_open()) return system_error("cannot make a socket", errno);
  unlink(path.c_str());
  // Before bind, the mode of the descriptor becomes the file's: nobody slips in between.
  if (fchmod(made.get(), mode) != 0 ||
      bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), mode) != 0) {
    return system_error("cannot listen at " + path, errno);
  }
  return made;
}

}  // namespace dunlin
