#include "cli/http_connection.h"

#include <poll.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace dunlin {

Result<void> HttpConnection::open(const std::string& server,
                                  const std::optional<JoinToken>& token) {
  Result<void> opened = link_.open(server, token);
  if (!opened) return opened;
  server_ = server;
  done_ = true;
  keep_alive_ = true;
  return {};
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
  return sent_ < out_.size() || link_.has_unsent() ? POLLIN | POLLOUT : POLLIN;
}

Result<void> HttpConnection::lost(const std::string& why) {
  close();
  if (has_headers_) {
    return fail(Code::kIncomplete, server_ + ": the node's answer was cut off: " + why,
                "what came is not all; try again later");
  }
  return fail(Code::kUnreachable, server_ + ": it broke off before it had answered: " + why);
}

Result<void> HttpConnection::step() {
  if (Result<void> fine = write_some(); !fine) return fine;
  return read_some();
}

Result<void> HttpConnection::write_some() {
  if (link_.has_unsent()) {
    const int error = link_.flush();
    if (error != 0 && error != -EPIPE) return lost(std::strerror(-error));
  }
  while (sent_ < out_.size()) {
    const ssize_t count = link_.send(std::string_view(out_).substr(sent_));
    if (count == -EAGAIN || count == -EINTR) return {};
    // A node that refuses a long request stops reading it, but has said why.
    if (count == -EPIPE) {
      sent_ = out_.size();
      return {};
    }
    if (count < 0) return lost(std::strerror(static_cast<int>(-count)));
    sent_ += static_cast<std::size_t>(count);
    moved_ += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<void> HttpConnection::read_some() {
  std::string data;
  while (!done_) {
    data.clear();
    const ssize_t count = link_.receive(data);
    if (count == -EAGAIN || count == -EINTR) return {};
    if (count < 0) return lost(std::strerror(static_cast<int>(-count)));
    moved_ += static_cast<std::uint64_t>(count);
    // Of a sealed answer a piece may have come that says nothing yet.
    if (data.empty() && count > 0) continue;
    // No bytes is how the parser is told of the end.
    const std::size_t used = http_parser_execute(&parser_, &callbacks(), data.data(), data.size());
    if (done_) break;
    if (used != data.size() || count == 0) return lost("the connection ended");
    if (answer_.body.size() > kMaxAnswerBytes) return lost("it is too long");
    // A stream is handed on as it comes.
    if (static_cast<std::size_t>(count) < ServerLink::kReadSize) return {};
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
