// Socket addresses and their text form: "127.0.0.1:7400", "[::1]:7400", "host.example:7400".
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct uv_loop_s;

namespace dunlin {

class SocketAddress {
 public:
  SocketAddress() = default;
  explicit SocketAddress(const sockaddr* raw);

  // A number, not a name. Nothing when it is neither IPv4 nor IPv6.
  static std::optional<SocketAddress> from_ip(const std::string& ip, std::uint16_t port);

  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  int family() const { return storage_.ss_family; }
  std::uint16_t port() const;
  std::string ip() const;
  std::string text() const;
  bool is_wildcard() const;
  bool is_loopback() const;
  // The same host, whatever the port.
  SocketAddress with_port(std::uint16_t port) const;

  bool operator==(const SocketAddress& other) const { return text() == other.text(); }

 private:
  sockaddr_storage storage_{};
};

struct HostPort {
  std::string host;  // a name, or a number without brackets
  std::uint16_t port = 0;
};
// kUsage when it is not HOST:PORT.
Result<HostPort> parse_host_port(std::string_view text);

// Asks the name service, on a thread of libuv's. Calls `done` once, from the loop and never from
// within this call, with at least one address or an error that names the host; or fails at once,
// without calling it, when the host can be no name.
Result<void> resolve(uv_loop_s* loop, const HostPort& what,
                     std::function<void(Result<std::vector<SocketAddress>>)> done);

}  // namespace dunlin
