// The bytes to and from one server: over its socket on this host, or to HOST:PORT, sealed under a
// user's token (base/session.h, client mode). Nothing waits, but for open().
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/session.h"
#include "base/time.h"
#include "base/token.h"
#include "cli/dial.h"

namespace dunlin {

// A server that has not shaken hands by then does not answer.
constexpr Duration kDialPatience = seconds(3);

// HOST:PORT, and not the path of a socket.
bool is_remote(std::string_view server);

class ServerLink {
 public:
  // What receive() takes off the wire at once.
  static constexpr std::size_t kReadSize = 64 * 1024;

  ServerLink() = default;
  ~ServerLink() { close(); }
  ServerLink(const ServerLink&) = delete;
  ServerLink& operator=(const ServerLink&) = delete;

  // HOST:PORT needs a token. kUnreachable or kTimeout: nobody answers; kRefused, kLimit, kConflict,
  // kCorrupt: turned away, with the reason; kFailed: interrupted.
  Result<void> open(const std::string& server, const std::optional<JoinToken>& token);
  void close();
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  // How many bytes were taken, or a negative errno.
  ssize_t send(std::string_view data);
  // Sealed bytes that the kernel has not taken yet: flush() when it takes more. 0, or a negative
  // errno.
  bool has_unsent() const { return !wire_.empty(); }
  int flush();
  // Appends what is there. How many bytes came off the wire, 0 at the end, or a negative errno
  // (EBADMSG: what came was not what the server sealed).
  ssize_t receive(std::string& to);

 private:
  Result<void> open_socket(const std::string& path);
  Result<void> open_sealed(const std::string& server, const JoinToken& token);
  Result<void> shake_hands(const std::string& server, const DialPatience& patience);

  int fd_ = -1;
  std::optional<Session> session_;
  Bytes wire_;
  std::size_t wire_sent_ = 0;
};

}  // namespace dunlin
