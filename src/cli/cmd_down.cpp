// `dunlin down`: returns when the node's process has ended, so that its directory, its port and its
// socket are free for the next command.
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "cli/commands.h"
#include "os/clock.h"
#include "os/file_descriptor.h"

namespace dunlin {

namespace {

// The tasks have their grace first, however long that is.
constexpr Duration kAnswerOfDown = seconds(24 * 3600);
constexpr Duration kEndPatience = seconds(60);

// Becomes readable when the process that listens at this socket ends; closed when there is none, or
// none that this account may watch (another process namespace).
FileDescriptor process_behind(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return {};
  std::copy(path.begin(), path.end(), address.sun_path);
  const FileDescriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!probe.is_open() ||
      connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      getsockopt(probe.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0) {
    return {};
  }
  return FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
}

bool await_end(const FileDescriptor& process) {
  if (!process.is_open()) return true;
  const Instant until = monotonic_now() + kEndPatience;
  for (;;) {
    const std::int64_t left = (until - monotonic_now()).milliseconds();
    pollfd ended{process.get(), POLLIN, 0};
    const int count = poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (count > 0) return true;
    if (count == 0) return false;
  }
}

}  // namespace

int run_down(Invocation& call) {
  // Whichever server answers first is the one to be stopped: it is to be known before it is gone.
  const auto there = call.client.call("GET", "/v1/");
  if (!there && there.error().code == Code::kUnreachable) return call.failed(there.error());
  const FileDescriptor process = process_behind(call.client.server());
  const auto answer = call.client.call("POST", "/v1/down", {}, kAnswerOfDown);
  if (!answer) return call.failed(answer.error());
  if (await_end(process)) return kExitWell;
  return call.failed({Code::kTimeout, "the node was told to stop and has not ended yet",
                      "it may still be ending its tasks; ask again to wait on"});
}

}  // namespace dunlin
