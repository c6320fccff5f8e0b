#include "os/http_server.h"

#include <fcntl.h>
#include <http_parser.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::size_t kReadBuffer = 64 * 1024;
constexpr std::uint64_t kSweepMs = 1000;
// How long the rest of a refused request is read and dropped, so that the sender, who may still be
// busy sending, gets to see the answer instead of a reset.
constexpr std::uint64_t kLingerMs = 2000;
constexpr std::size_t kMaxRememberedUsers = 1024;
constexpr int kBacklog = 256;

enum class Phase { kReading, kAnswering, kLingering };

std::string status_line(int status) {
  return "HTTP/1.1 " + std::to_string(status) + " " +
         http_status_str(static_cast<http_status>(status)) + "\r\n";
}

std::string whole_answer(int status, std::string_view content_type, std::string_view body,
                         const std::vector<HttpHeader>& headers, bool keep_alive, bool with_body) {
  std::string out = status_line(status);
  out.reserve(out.size() + body.size() + 160);
  out += "Content-Type: ";
  out += content_type;
  out += "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  for (const HttpHeader& header : headers) out += header.name + ": " + header.value + "\r\n";
  if (!keep_alive) out += "Connection: close\r\n";
  out += "\r\n";
  if (with_body) out += body;
  return out;
}

std::string chunk_of(std::string_view data) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  std::string out = size;
  out += data;
  out += "\r\n";
  return out;
}

Result<void> fail_with_errno(const std::string& what, int error) {
  return fail(Code::kFailed, what + ": " + std::strerror(error));
}

bool is_answered(const sockaddr_un& address) {
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool answered =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(probe);
  return answered;
}

Result<int> bound_socket(const std::string& path, unsigned mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Code::kUsage,
                "socket path " + path + " is longer than " +
                    std::to_string(sizeof address.sun_path - 1) + " bytes",
                "choose a shorter --dir");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  if (is_answered(address)) {
    return fail(Code::kConflict, "another process answers at " + path,
                "stop it with: dunlin down --server " + path);
  }
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return tl::unexpected(fail_with_errno("socket", errno).error());
  unlink(path.c_str());
  // Before bind, the mode of the descriptor becomes the file's: nobody slips in between.
  if (fchmod(fd, mode) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), mode) != 0) {
    const int error = errno;
    ::close(fd);
    return tl::unexpected(fail_with_errno("cannot listen at " + path, error).error());
  }
  return fd;
}

}  // namespace

struct HttpServer::Connection {
  HttpServer* server = nullptr;
  std::uint64_t key = 0;
  uv_pipe_t pipe{};
  uv_shutdown_t shutdown{};
  http_parser parser{};

  Phase phase = Phase::kReading;
  std::uint64_t since = 0;  // of the last step that a deadline counts from
  bool closing = false;
  bool reading = false;
  bool advancing = false;
  std::string ahead;  // received, not parsed

  // The request being received.
  bool begun = true;  // the first one is due as soon as somebody connects
  bool headers_done = false;
  bool complete = false;
  bool field_ended = true;
  std::size_t header_bytes = 0;
  std::size_t body_limit = 0;
  std::size_t body_reserved = 0;
  std::string target, field, value;
  bool wants_continue = false;
  HttpRequest request;
  int refusal = 0;
  Error refusal_error;

  // The answer being given.
  ExchangeId exchange = 0;
  bool keep_alive = true;
  bool is_head = false;
  bool chunked = false;
  bool streaming = false;
  bool full = false;

  std::size_t unsent() {
    return uv_stream_get_write_queue_size(reinterpret_cast<uv_stream_t*>(&pipe));
  }
  int refuse(int status, Code code, std::string message, std::string hint = {}) {
    refusal = status;
    refusal_error = Error{code, std::move(message), std::move(hint)};
    return 1;
  }
  int count_header(std::size_t bytes) {
    header_bytes += bytes;
    if (header_bytes <= kMaxHttpHeaderBytes) return 0;
    return refuse(
        431, Code::kLimit,
        "request headers are longer than " + std::to_string(kMaxHttpHeaderBytes) + " bytes");
  }
  void end_field() {
    if (strcasecmp(field.c_str(), "expect") == 0) {
      wants_continue = strcasecmp(value.c_str(), "100-continue") == 0;
    }
    field.clear();
    value.clear();
    field_ended = true;
  }
  void start_request() {
    const std::uint32_t uid = request.uid;
    std::string user = std::move(request.user);
    request = HttpRequest{};
    request.uid = uid;
    request.user = std::move(user);
    begun = headers_done = complete = wants_continue = false;
    field_ended = true;
    header_bytes = 0;
    target.clear();
    field.clear();
    value.clear();
  }
  int receive_headers();
  int receive_body(const char* at, std::size_t length);
  static const http_parser_settings& callbacks();
};

struct HttpServer::Write {
  uv_write_t request{};
  std::string data;
};

int HttpServer::Connection::receive_headers() {
  end_field();
  headers_done = true;
  since = uv_now(server->loop_);
  request.method = http_method_str(static_cast<http_method>(parser.method));
  const std::size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string::npos) request.query = target.substr(mark + 1);
  body_limit = std::min(server->handlers_.body_limit(request.method, request.path), kMaxHttpBody);
  const std::uint64_t unknown = ~std::uint64_t{0};
  if (parser.content_length != unknown && parser.content_length > body_limit) {
    return refuse(413, Code::kLimit,
                  "body of " + std::to_string(parser.content_length) + " bytes is over the limit " +
                      std::to_string(body_limit));
  }
  if (wants_continue) server->send(*this, "HTTP/1.1 100 Continue\r\n\r\n");
  return 0;
}

int HttpServer::Connection::receive_body(const char* at, std::size_t length) {
  since = uv_now(server->loop_);
  if (request.body.size() + length > body_limit) {
    return refuse(413, Code::kLimit, "body is over the limit " + std::to_string(body_limit));
  }
  if (server->body_bytes_ + length > kMaxHttpBodies) {
    return refuse(503, Code::kLimit, "too many bodies are being received at once",
                  "try again in a moment");
  }
  server->body_bytes_ += length;
  body_reserved += length;
  append(request.body, as_bytes({at, length}));
  return 0;
}

const http_parser_settings& HttpServer::Connection::callbacks() {
  static const http_parser_settings settings = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_message_begin = [](http_parser* p) {
      auto& c = *static_cast<Connection*>(p->data);
      c.begun = true;
      c.since = uv_now(c.server->loop_);
      return 0;
    };
    s.on_url = [](http_parser* p, const char* at, std::size_t length) {
      auto& c = *static_cast<Connection*>(p->data);
      c.target.append(at, length);
      return c.count_header(length);
    };
    s.on_header_field = [](http_parser* p, const char* at, std::size_t length) {
      auto& c = *static_cast<Connection*>(p->data);
      if (!c.field_ended && !c.value.empty()) c.end_field();
      c.field_ended = false;
      c.field.append(at, length);
      return c.count_header(length);
    };
    s.on_header_value = [](http_parser* p, const char* at, std::size_t length) {
      auto& c = *static_cast<Connection*>(p->data);
      c.value.append(at, length);
      return c.count_header(length);
    };
    s.on_headers_complete = [](http_parser* p) {
      return static_cast<Connection*>(p->data)->receive_headers();
    };
    s.on_body = [](http_parser* p, const char* at, std::size_t length) {
      return static_cast<Connection*>(p->data)->receive_body(at, length);
    };
    s.on_message_complete = [](http_parser* p) {
      auto& c = *static_cast<Connection*>(p->data);
      c.complete = true;
      c.keep_alive = http_should_keep_alive(p) != 0 && p->http_minor >= 1 && p->upgrade == 0;
      c.chunked = p->http_minor >= 1;
      c.is_head = p->method == HTTP_HEAD;
      http_parser_pause(p, 1);
      return 0;
    };
    return s;
  }();
  return settings;
}

HttpServer::HttpServer(uv_loop_t* loop, Handlers handlers)
    : loop_(loop), handlers_(std::move(handlers)), read_buffer_(kReadBuffer) {}

HttpServer::~HttpServer() {
  ASSERT(connections_.empty() && !listening_);
}

Result<void> HttpServer::listen(const std::string& path, unsigned mode) {
  const Result<int> fd = bound_socket(path, mode);
  if (!fd) return tl::unexpected(fd.error());
  uv_pipe_init(loop_, &listener_, 0);
  uv_timer_init(loop_, &sweeper_);
  listener_.data = sweeper_.data = this;
  listening_ = true;
  path_ = path;
  int error = uv_pipe_open(&listener_, *fd);
  if (error == 0) {
    error = uv_listen(reinterpret_cast<uv_stream_t*>(&listener_), kBacklog,
                      [](uv_stream_t* stream, int status) {
                        if (status == 0) static_cast<HttpServer*>(stream->data)->accept();
                      });
  }
  if (error != 0) {
    close();
    return fail(Code::kFailed, "cannot listen at " + path + ": " + uv_strerror(error));
  }
  return {};
}

void HttpServer::accept() {
  auto connection = std::make_unique<Connection>();
  Connection& c = *connection;
  c.server = this;
  c.key = next_connection_++;
  c.since = uv_now(loop_);
  uv_pipe_init(loop_, &c.pipe, 0);
  c.pipe.data = c.parser.data = &c;
  http_parser_init(&c.parser, HTTP_REQUEST);
  c.parser.data = &c;
  if (connections_.empty()) {
    const auto swept = [](uv_timer_t* t) { static_cast<HttpServer*>(t->data)->sweep(); };
    uv_timer_start(&sweeper_, swept, kSweepMs, kSweepMs);
  }
  const bool is_over_limit = connections_.size() >= kMaxHttpConnections;
  connections_.emplace(c.key, std::move(connection));
  if (uv_accept(reinterpret_cast<uv_stream_t*>(&listener_),
                reinterpret_cast<uv_stream_t*>(&c.pipe)) != 0) {
    return close(c);
  }
  int fd = -1;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&c.pipe), &fd) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return close(c);
  }
  c.request.uid = peer.uid;
  c.request.user = name_of_user(peer.uid);
  if (is_over_limit) {
    return refuse(c, 503, Error{Code::kLimit, "too many connections", "try again in a moment"});
  }
  set_reading(c);
}

std::string HttpServer::name_of_user(std::uint32_t uid) {
  const auto known = users_.find(uid);
  if (known != users_.end()) return known->second;
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  if (users_.size() >= kMaxRememberedUsers) users_.clear();
  return users_[uid] = found != nullptr ? std::string(found->pw_name) : std::to_string(uid);
}

// Reads on while an answer is awaited too, within limits: that is how a client that leaves is
// noticed.
void HttpServer::set_reading(Connection& c) {
  const bool wanted =
      !c.closing && (c.phase == Phase::kLingering || c.ahead.size() < kMaxHttpAhead);
  if (wanted == c.reading) return;
  c.reading = wanted;
  auto* stream = reinterpret_cast<uv_stream_t*>(&c.pipe);
  if (!wanted) {
    uv_read_stop(stream);
    return;
  }
  uv_read_start(
      stream,
      [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
        auto& shared = static_cast<Connection*>(handle->data)->server->read_buffer_;
        *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
      },
      [](uv_stream_t* from, ssize_t count, const uv_buf_t* buffer) {
        auto& self = *static_cast<Connection*>(from->data);
        if (count < 0) return self.server->close(self);
        self.server->read(self, {buffer->base, static_cast<std::size_t>(count)});
      });
}

void HttpServer::read(Connection& c, std::string_view data) {
  if (c.phase == Phase::kLingering) return;
  if (c.phase == Phase::kReading && c.ahead.empty()) {
    std::size_t used = 0;
    if (!feed(c, data, used)) return;
    data.remove_prefix(used);
  }
  c.ahead += data;
  advance(c);
}

// Gives bytes to the parser until a request is whole; false when the connection is refused.
bool HttpServer::feed(Connection& c, std::string_view data, std::size_t& used) {
  used = http_parser_execute(&c.parser, &Connection::callbacks(), data.data(), data.size());
  if (c.complete) return true;
  if (c.refusal != 0) {
    refuse(c, c.refusal, c.refusal_error);
    return false;
  }
  const auto error = HTTP_PARSER_ERRNO(&c.parser);
  if (error == HPE_OK && c.parser.upgrade == 0) return true;
  refuse(c, 400,
         Error{Code::kUsage, std::string("not an HTTP request: ") + http_errno_description(error),
               ""});
  return false;
}

// One request after another, as long as whole ones are there and the client reads its answers.
void HttpServer::advance(Connection& c) {
  if (c.advancing) return;
  c.advancing = true;
  while (!c.closing && c.phase == Phase::kReading) {
    if (c.complete) {
      if (c.unsent() > kMaxHttpUnsent) break;
      dispatch(c);
      continue;
    }
    if (c.ahead.empty()) break;
    std::size_t used = 0;
    const std::string data = std::exchange(c.ahead, {});
    if (!feed(c, data, used)) break;
    c.ahead.assign(data, used);
  }
  c.advancing = false;
  set_reading(c);
}

void HttpServer::dispatch(Connection& c) {
  c.phase = Phase::kAnswering;
  c.since = uv_now(loop_);
  c.exchange = next_exchange_++;
  exchanges_[c.exchange] = &c;
  HttpRequest request = c.request;
  request.body = std::move(c.request.body);
  request.id = c.exchange;
  release_body(c);
  c.start_request();
  handlers_.on_request(std::move(request));
}

void HttpServer::release_body(Connection& c) {
  ASSERT(body_bytes_ >= c.body_reserved);
  body_bytes_ -= std::exchange(c.body_reserved, 0);
}

void HttpServer::refuse(Connection& c, int status, const Error& error) {
  c.keep_alive = false;
  send(c, whole_answer(status, "application/json", handlers_.error_body(error), {}, false, true));
  finish(c);
}

HttpServer::Connection* HttpServer::find(ExchangeId id) {
  const auto at = exchanges_.find(id);
  return at == exchanges_.end() ? nullptr : at->second;
}

void HttpServer::respond(ExchangeId id, int status, std::string_view content_type, std::string body,
                         const std::vector<HttpHeader>& headers) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(!c->streaming);
  send(*c, whole_answer(status, content_type, body, headers, c->keep_alive, !c->is_head));
  finish(*c);
}

void HttpServer::begin_stream(ExchangeId id, int status, std::string_view content_type) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(!c->streaming);
  c->streaming = true;
  if (!c->chunked) c->keep_alive = false;
  std::string head = status_line(status) + "Content-Type: ";
  head += content_type;
  head += c->chunked ? "\r\nTransfer-Encoding: chunked\r\n" : "\r\n";
  if (!c->keep_alive) head += "Connection: close\r\n";
  head += "\r\n";
  send(*c, std::move(head));
}

bool HttpServer::write(ExchangeId id, std::string_view data) {
  Connection* c = find(id);
  if (c == nullptr) return true;
  ASSERT(c->streaming);
  // An empty chunk would end the stream.
  if (!data.empty() && !c->is_head) send(*c, c->chunked ? chunk_of(data) : std::string(data));
  c->full = c->unsent() > kMaxHttpUnsent;
  return !c->full;
}

void HttpServer::end(ExchangeId id) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(c->streaming);
  if (c->chunked && !c->is_head) send(*c, "0\r\n\r\n");
  finish(*c);
}

void HttpServer::abort(ExchangeId id) {
  Connection* c = find(id);
  if (c == nullptr) return;
  exchanges_.erase(c->exchange);
  c->exchange = 0;
  close(*c);
}

void HttpServer::send(Connection& c, std::string data) {
  if (c.closing) return;
  auto* stream = reinterpret_cast<uv_stream_t*>(&c.pipe);
  std::size_t sent = 0;
  if (c.unsent() == 0) {
    uv_buf_t whole = uv_buf_init(data.data(), static_cast<unsigned>(data.size()));
    const int count = uv_try_write(stream, &whole, 1);
    if (count > 0) sent = static_cast<std::size_t>(count);
  }
  if (sent == data.size()) return;
  auto* write = new Write;
  write->data = std::move(data);
  write->request.data = write;
  uv_buf_t rest =
      uv_buf_init(write->data.data() + sent, static_cast<unsigned>(write->data.size() - sent));
  const auto done = [](uv_write_t* request, int status) {
    auto& self = *static_cast<Connection*>(request->handle->data);
    delete static_cast<Write*>(request->data);
    self.server->written(self, status);
  };
  if (uv_write(&write->request, stream, &rest, 1, done) != 0) {
    delete write;
    close(c);
  }
}

void HttpServer::written(Connection& c, int status) {
  if (c.closing) return;
  if (status < 0) return close(c);
  c.since = uv_now(loop_);
  if (c.full && c.unsent() <= kMaxHttpUnsent / 2) {
    c.full = false;
    if (c.exchange != 0) handlers_.on_drained(c.exchange);
  }
  if (!c.closing) advance(c);
}

void HttpServer::finish(Connection& c) {
  if (c.exchange != 0) exchanges_.erase(std::exchange(c.exchange, 0));
  c.streaming = c.full = false;
  c.since = uv_now(loop_);
  if (c.closing) return;
  if (c.keep_alive) {
    http_parser_pause(&c.parser, 0);
    c.phase = Phase::kReading;
    return advance(c);
  }
  c.phase = Phase::kLingering;
  c.ahead.clear();
  uv_shutdown(&c.shutdown, reinterpret_cast<uv_stream_t*>(&c.pipe), [](uv_shutdown_t*, int) {});
  set_reading(c);
}

void HttpServer::close(Connection& c) {
  if (c.closing) return;
  c.closing = true;
  release_body(c);
  if (c.exchange != 0) {
    const ExchangeId gone = std::exchange(c.exchange, 0);
    exchanges_.erase(gone);
    if (!closing_) handlers_.on_gone(gone);
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&c.pipe), [](uv_handle_t* handle) {
    auto* self = static_cast<Connection*>(handle->data);
    HttpServer* server = self->server;
    server->connections_.erase(self->key);
    // At rest, without clients, the server leaves the loop asleep.
    if (server->connections_.empty() && !server->closing_) uv_timer_stop(&server->sweeper_);
  });
}

void HttpServer::sweep() {
  const std::uint64_t now = uv_now(loop_);
  for (auto& [key, connection] : connections_) {
    Connection& c = *connection;
    std::uint64_t limit = kHttpIdleMs;
    if (c.phase == Phase::kLingering && c.unsent() == 0) limit = kLingerMs;
    if (c.phase == Phase::kReading && c.begun && !c.complete) {
      limit = c.headers_done ? kHttpBodyMs : kHttpRequestMs;
    }
    // An answer may take as long as it takes; a client that does not read it may not.
    if (c.phase == Phase::kAnswering && c.unsent() == 0) continue;
    if (now - c.since >= limit) close(c);
  }
}

void HttpServer::close() {
  if (!listening_ || closing_) return;
  closing_ = true;
  unlink(path_.c_str());
  for (auto& [key, connection] : connections_) close(*connection);
  uv_close(reinterpret_cast<uv_handle_t*>(&sweeper_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&listener_),
           [](uv_handle_t* handle) { static_cast<HttpServer*>(handle->data)->listening_ = false; });
}

}  // namespace dunlin
