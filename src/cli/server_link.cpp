#include "cli/server_link.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "os/address.h"
#include "os/chance.h"

namespace dunlin {

namespace {

// Sealed and not yet taken by the kernel; more is not sealed before.
constexpr std::size_t kMaxWire = 256 * 1024;

// A key for this one session: who comes by a token needs no name of his own.
Identity passing_identity(const ClusterId& cluster) {
  Identity self;
  self.keys = key_pair_from_seed(secret_key());
  self.boot = 1;
  self.cluster = cluster;
  return self;
}

tl::unexpected<Error> about(const std::string& server, const Error& error) {
  return tl::unexpected(Error{error.code, server + ": " + error.message, error.hint});
}

Result<std::vector<SocketAddress>> addresses_of(const std::string& server) {
  const Result<HostPort> place = parse_host_port(server);
  if (!place) return tl::unexpected(place.error());
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* all = nullptr;
  const int found =
      getaddrinfo(place->host.c_str(), std::to_string(place->port).c_str(), &hints, &all);
  if (found != 0) return fail(Code::kUnreachable, server + ": " + gai_strerror(found));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(all, freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = all; one != nullptr; one = one->ai_next) {
    addresses.emplace_back(one->ai_addr);
  }
  return addresses;
}

}  // namespace

bool is_remote(std::string_view server) {
  return server.find('/') == std::string_view::npos && server.find(':') != std::string_view::npos;
}

Result<void> ServerLink::open(const std::string& server, const std::optional<JoinToken>& token) {
  close();
  Result<void> opened;
  if (!is_remote(server)) {
    opened = open_socket(server);
  } else if (token) {
    opened = open_sealed(server, *token);
  } else {
    opened = fail(Code::kUsage, server + ": HOST:PORT takes a token", "give --token-file FILE");
  }
  if (!opened) close();
  return opened;
}

void ServerLink::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  session_.reset();
  wire_.clear();
  wire_sent_ = 0;
}

Result<void> ServerLink::open_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Code::kUnreachable, path + ": the path is too long for a socket");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return fail(Code::kFailed, std::string("socket: ") + std::strerror(errno));
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return {};
  const int error = errno;
  if (error == EAGAIN) {
    return fail(Code::kTimeout,
                path + ": takes no more connections, as it takes none of those that wait",
                "it runs, but does not answer: see dunlin doctor, or name another --server");
  }
  return fail(error == EACCES ? Code::kRefused : Code::kUnreachable,
              path + ": " + std::strerror(error));
}

Result<void> ServerLink::open_sealed(const std::string& server, const JoinToken& token) {
  initialise_crypto();
  const DialPatience patience(kDialPatience);
  const Result<std::vector<SocketAddress>> addresses = addresses_of(server);
  if (!addresses) return tl::unexpected(addresses.error());
  Result<FileDescriptor> connected = connect_to_any(*addresses, server, patience);
  if (!connected) return tl::unexpected(connected.error());
  fd_ = connected->release();
  const int now = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &now, sizeof now);
  Session::Target target;
  target.mode = SessionMode::kClient;
  target.key_name.raw = token.id.raw;
  target.psk = client_psk(token.psk());
  session_ = Session::dial(passing_identity(token.cluster), target, secret_key());
  return shake_hands(server, patience);
}

Result<void> ServerLink::shake_hands(const std::string& server, const DialPatience& patience) {
  while (session_->phase() != Session::Phase::kOpen) {
    if (const int error = flush(); error != 0) {
      return fail(Code::kUnreachable, server + ": " + std::strerror(-error));
    }
    const short events = has_unsent() ? POLLIN | POLLOUT : POLLIN;
    if (Result<void> ready = patience.wait(fd_, events, server); !ready) return ready;
    std::array<std::uint8_t, kReadSize> buffer;
    const ssize_t count = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count < 0) return fail(Code::kUnreachable, server + ": " + std::strerror(errno));
    if (count == 0) return fail(Code::kUnreachable, server + ": it closed the connection");
    std::vector<Bytes> frames;
    const Result<void> taken =
        session_->receive(ByteView(buffer.data(), static_cast<std::size_t>(count)), frames);
    if (!taken) return about(server, taken.error());
    // Nobody answers before he is asked.
    if (!frames.empty()) return fail(Code::kCorrupt, server + ": an answer to no question");
  }
  return {};
}

ssize_t ServerLink::send(std::string_view data) {
  if (!session_) {
    const ssize_t count = ::send(fd_, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return count < 0 ? -errno : count;
  }
  if (wire_.size() - wire_sent_ >= kMaxWire) return -EAGAIN;
  const std::string_view piece = data.substr(0, kMaxClientFrame);
  session_->send(to_bytes(piece));
  if (const int error = flush(); error != 0) return error;
  return static_cast<ssize_t>(piece.size());
}

int ServerLink::flush() {
  if (!session_) return 0;
  while (session_->has_output()) append(wire_, session_->take_output(kMaxWire));
  while (wire_sent_ < wire_.size()) {
    const ssize_t count = ::send(fd_, wire_.data() + wire_sent_, wire_.size() - wire_sent_,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (count < 0) return -errno;
    wire_sent_ += static_cast<std::size_t>(count);
  }
  wire_.clear();
  wire_sent_ = 0;
  return 0;
}

ssize_t ServerLink::receive(std::string& to) {
  std::array<char, kReadSize> buffer;
  const ssize_t count = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0) return -errno;
  const std::string_view data(buffer.data(), static_cast<std::size_t>(count));
  if (!session_) {
    to += data;
    return count;
  }
  std::vector<Bytes> frames;
  if (!session_->receive(as_bytes(data), frames)) return -EBADMSG;
  for (const Bytes& frame : frames) to += as_text(frame);
  return count;
}

}  // namespace dunlin
