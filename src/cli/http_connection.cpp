#include "cli/http_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::size_t kReadBuffer = 64 * 1024;

}  // namespace

Result<void> HttpConnection::open(const std::string& path) {
  close();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Code::kUnreachable, path + ": the path is too long for a socket");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return fail(Code::kFailed, std::string("socket: ") + std::strerror(errno));
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    close();
    return fail(error == EACCES ? Code::kRefused : Code::kUnreachable,
                path + ": " + std::strerror(error));
  }
  done_ = true;
  keep_alive_ = true;
  return {};
}

void HttpConnection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void HttpConnection::send(std::string_view method, std::string_view target, std::string_view body) {
  ASSERT(is_open() && done_);
  out_.clear();
  sent_ = 0;
  out_.reserve(method.size() + target.size() + body.size() + 64);
  out_ += method;
  out_ += ' ';
  out_ += target;
  out_ += " HTTP/1.1\r\nHost: dunlin\r\n";
  if (!body.empty() || method != "GET") {
    out_ += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  out_ += "\r\n";
  out_ += body;
  answer_ = {};
  has_headers_ = done_ = false;
  field_.clear();
  value_.clear();
  http_parser_init(&parser_, HTTP_RESPONSE);
  parser_.data = this;
}

short HttpConnection::events() const {
  if (done_) return 0;
  return sent_ < out_.size() ? POLLIN | POLLOUT : POLLIN;
}

Result<void> HttpConnection::lost(const std::string& why) {
  close();
  if (has_headers_) {
    return fail(Code::kIncomplete, "the node's answer was cut off: " + why,
                "what came is not all; try again later");
  }
  return fail(Code::kUnreachable, "the connection to the node was lost: " + why);
}

Result<void> HttpConnection::step() {
  if (sent_ < out_.size()) {
    if (Result<void> fine = write_some(); !fine) return fine;
  }
  return read_some();
}

Result<void> HttpConnection::write_some() {
  while (sent_ < out_.size()) {
    const ssize_t count =
        ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return {};
      // A node that refuses a long request stops reading it, but has said why.
      if (errno == EPIPE) {
        sent_ = out_.size();
        return {};
      }
      return lost(std::strerror(errno));
    }
    sent_ += static_cast<std::size_t>(count);
    moved_ += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> HttpConnection::read_some() {
  std::array<char, kReadBuffer> buffer;
  while (!done_) {
    const ssize_t count = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (count < 0) return lost(std::strerror(errno));
    const auto length = static_cast<std::size_t>(count);
    moved_ += length;
    // No bytes is how the parser is told of the end.
    const std::size_t used = http_parser_execute(&parser_, &callbacks(), buffer.data(), length);
    if (done_) break;
    if (used != length || count == 0) return lost("it ended in the middle");
    if (answer_.body.size() > kMaxAnswerBytes) return lost("it is too long");
    // A stream is handed on as it comes.
    if (length < buffer.size()) return {};
  }
  if (!keep_alive_) close();
  return {};
}

const http_parser_settings& HttpConnection::callbacks() {
  static const http_parser_settings settings = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_header_field = [](http_parser* p, const char* at, std::size_t length) {
      auto& c = *static_cast<HttpConnection*>(p->data);
      if (!c.value_.empty()) {
        c.answer_.headers[c.field_] = std::exchange(c.value_, {});
        c.field_.clear();
      }
      for (std::size_t i = 0; i < length; ++i) {
        const char x = at[i];
        c.field_ += x >= 'A' && x <= 'Z' ? static_cast<char>(x | 0x20) : x;
      }
      return 0;
    };
    s.on_header_value = [](http_parser* p, const char* at, std::size_t length) {
      static_cast<HttpConnection*>(p->data)->value_.append(at, length);
      return 0;
    };
    s.on_headers_complete = [](http_parser* p) {
      auto& c = *static_cast<HttpConnection*>(p->data);
      if (!c.field_.empty()) c.answer_.headers[c.field_] = c.value_;
      // 100 Continue and its like announce the answer, they are not it.
      if (p->status_code >= 200) {
        c.answer_.status = static_cast<int>(p->status_code);
        c.has_headers_ = true;
      }
      c.field_.clear();
      c.value_.clear();
      return 0;
    };
    s.on_body = [](http_parser* p, const char* at, std::size_t length) {
      static_cast<HttpConnection*>(p->data)->answer_.body.append(at, length);
      return 0;
    };
    s.on_message_complete = [](http_parser* p) {
      auto& c = *static_cast<HttpConnection*>(p->data);
      if (p->status_code < 200) return 0;
      c.done_ = true;
      c.keep_alive_ = http_should_keep_alive(p) != 0;
      return 0;
    };
    return s;
  }();
  return settings;
}

}  // namespace dunlin
