// A client that sends whatever bytes it is told to, and shows what comes back as it comes.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <string_view>

namespace dunlin {

class RawClient {
 public:
  explicit RawClient(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), address.sun_path);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    is_connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  // At a port of 127.0.0.1.
  explicit RawClient(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    is_connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { leave(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool is_connected() const { return is_connected_; }
  void leave() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // Sends as much as the socket takes; what is left over.
  std::string_view send_some(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count <= 0) break;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return bytes;
  }
  void send(std::string_view bytes) { EXPECT_TRUE(send_some(bytes).empty()); }

  // Takes in what has come; waits so long for the first byte.
  void read_some(int timeout_ms) {
    if (fd_ < 0 || ended) return;
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, timeout_ms) <= 0) return;
    std::array<char, 65536> buffer;
    while (true) {
      const ssize_t count = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count > 0) {
        received.append(buffer.data(), static_cast<std::size_t>(count));
        continue;
      }
      if (count == 0 || (errno != EAGAIN && errno != EINTR)) ended = true;
      return;
    }
  }
  // Until so many answers' heads have come, or the end, or ten seconds.
  bool read_until(const std::function<bool()>& is_enough) {
    for (int i = 0; i < 1000 && !is_enough() && !ended; ++i) read_some(10);
    return is_enough();
  }
  bool read_until_text(std::string_view text) {
    return read_until([&] { return received.find(text) != std::string::npos; });
  }
  bool read_to_end() {
    return read_until([&] { return ended; });
  }

  std::string received;
  bool ended = false;

 private:
  int fd_ = -1;
  bool is_connected_ = false;
};

}  // namespace dunlin
