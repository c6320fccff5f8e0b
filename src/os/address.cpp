#include "os/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>

namespace dunlin {

namespace {

const sockaddr_in* v4(const sockaddr* raw) {
  return reinterpret_cast<const sockaddr_in*>(raw);
}

const sockaddr_in6* v6(const sockaddr* raw) {
  return reinterpret_cast<const sockaddr_in6*>(raw);
}

tl::unexpected<Error> not_an_address(std::string_view text) {
  return fail(Code::kUsage, "'" + std::string(text) + "' is not HOST:PORT",
              "write it like 10.0.0.5:7400, [fd00::5]:7400 or host.example:7400");
}

struct Resolution {
  uv_getaddrinfo_t request{};
  HostPort what;
  std::function<void(Result<std::vector<SocketAddress>>)> done;
};

void on_resolved(uv_getaddrinfo_t* request, int status, addrinfo* found) {
  const std::unique_ptr<Resolution> self(static_cast<Resolution*>(request->data));
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    addresses.push_back(SocketAddress(entry->ai_addr).with_port(self->what.port));
  }
  uv_freeaddrinfo(found);
  if (status == UV_ECANCELED) return;
  if (addresses.empty()) {
    self->done(fail(Code::kUnreachable, "no address is known for host " + self->what.host));
  } else {
    self->done(std::move(addresses));
  }
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* raw) {
  const std::size_t size = raw->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  std::memcpy(&storage_, raw, size);
}

std::optional<SocketAddress> SocketAddress::from_ip(const std::string& ip, std::uint16_t port) {
  SocketAddress address;
  if (uv_ip4_addr(ip.c_str(), port, reinterpret_cast<sockaddr_in*>(&address.storage_)) == 0 ||
      uv_ip6_addr(ip.c_str(), port, reinterpret_cast<sockaddr_in6*>(&address.storage_)) == 0) {
    return address;
  }
  return std::nullopt;
}

std::uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET6 ? v6(raw())->sin6_port : v4(raw())->sin_port);
}

std::string SocketAddress::ip() const {
  std::array<char, INET6_ADDRSTRLEN + 1> text{};
  if (uv_ip_name(raw(), text.data(), text.size()) != 0) return "?";
  return text.data();
}

std::string SocketAddress::text() const {
  const std::string host = family() == AF_INET6 ? "[" + ip() + "]" : ip();
  return host + ":" + std::to_string(port());
}

bool SocketAddress::is_wildcard() const {
  if (family() == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&v6(raw())->sin6_addr);
  return v4(raw())->sin_addr.s_addr == htonl(INADDR_ANY);
}

bool SocketAddress::is_loopback() const {
  if (family() == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&v6(raw())->sin6_addr);
  return (ntohl(v4(raw())->sin_addr.s_addr) >> 24) == 127;
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress address = *this;
  if (family() == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address.storage_)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address.storage_)->sin_port = htons(port);
  }
  return address;
}

Result<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return not_an_address(text);
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return not_an_address(text);
  }
  HostPort out{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (host.empty() || host.find('\0') != std::string_view::npos || digits.empty() ||
      error != std::errc() || end != digits.data() + digits.size()) {
    return not_an_address(text);
  }
  return out;
}

Result<void> resolve(uv_loop_s* loop, const HostPort& what,
                     std::function<void(Result<std::vector<SocketAddress>>)> done) {
  auto self = std::make_unique<Resolution>();
  self->what = what;
  self->done = std::move(done);
  self->request.data = self.get();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  if (uv_getaddrinfo(loop, &self->request, on_resolved, what.host.c_str(), nullptr, &hints) != 0) {
    return fail(Code::kUsage, "'" + what.host + "' can be no host");
  }
  (void)self.release();
  return {};
}

}  // namespace dunlin
