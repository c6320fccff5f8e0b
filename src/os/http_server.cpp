#include "os/http_server.h"

#include <http_parser.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "base/assert.h"
#include "os/bound_sockets.h"

namespace dunlin {

namespace {

constexpr std::size_t kReadBuffer = 64 * 1024;
// How long the rest of a refused request is read and dropped, so that the sender, who may still be
// busy sending, gets to see the answer instead of a reset.
constexpr std::uint64_t kLingerMs = 2000;
constexpr std::size_t kMaxRememberedUsers = 1024;
constexpr int kBacklog = 256;

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

}  // namespace

struct HttpServer::Connection {
  enum class Phase { kReading, kAnswering, kLingering };

  explicit Connection(const HttpRequestReader::BodyLimit& limit) : reader(limit) {}

  HttpServer* server = nullptr;
  std::uint64_t key = 0;
  uv_pipe_t pipe{};
  uv_shutdown_t shutdown{};

  Phase phase = Phase::kReading;
  std::uint64_t since = 0;  // of the last step that a deadline counts from
  bool closing = false;
  bool reading = false;
  bool advancing = false;
  std::string ahead;  // received, not parsed

  HttpRequestReader reader;
  std::size_t body_bytes = 0;  // of the request being received, as counted for all connections
  bool has_asked = false;      // at least one request was whole
  std::uint32_t uid = 0;
  std::string user;
  bool is_counted = false;  // among those of its user

  // The answer being given.
  ExchangeId exchange = 0;
  bool keep_alive = true;
  bool is_head = false;
  bool streaming = false;
  bool full = false;

  std::size_t unsent() {
    return uv_stream_get_write_queue_size(reinterpret_cast<uv_stream_t*>(&pipe));
  }
};

struct HttpServer::Write {
  uv_write_t request{};
  std::string data;
};

HttpServer::HttpServer(uv_loop_t* loop, Handlers handlers, HttpPatience patience,
                       std::uint32_t own_uid)
    : loop_(loop),
      handlers_(std::move(handlers)),
      patience_(patience),
      own_uid_(own_uid),
      read_buffer_(kReadBuffer) {}

HttpServer::~HttpServer() {
  ASSERT(connections_.empty() && !listening_);
}

Result<void> HttpServer::listen(const std::string& path, FileDescriptor bound) {
  uv_pipe_init(loop_, &listener_, 0);
  uv_timer_init(loop_, &sweeper_);
  listener_.data = sweeper_.data = this;
  listening_ = true;
  path_ = path;
  int error = uv_pipe_open(&listener_, bound.release());
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
  auto connection = std::make_unique<Connection>(handlers_.body_limit);
  Connection& c = *connection;
  c.server = this;
  c.key = next_connection_++;
  c.since = uv_now(loop_);
  uv_pipe_init(loop_, &c.pipe, 0);
  c.pipe.data = &c;
  if (connections_.empty()) {
    const auto swept = [](uv_timer_t* t) { static_cast<HttpServer*>(t->data)->sweep(); };
    uv_timer_start(&sweeper_, swept, patience_.sweep, patience_.sweep);
  }
  const std::size_t before = connections_.size();
  connections_.emplace(c.key, std::move(connection));
  if (uv_accept(reinterpret_cast<uv_stream_t*>(&listener_),
                reinterpret_cast<uv_stream_t*>(&c.pipe)) != 0) {
    return close(c);
  }
  if (before >= kMaxHttpConnections + kMaxHttpRefusals) return close(c);
  int fd = -1;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(&c.pipe), &fd) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return close(c);
  }
  c.uid = peer.uid;
  c.user = name_of_user(peer.uid);
  c.is_counted = true;
  const std::size_t of_user = ++connections_of_[c.uid];
  const bool has_share = c.uid != 0 && c.uid != own_uid_;
  if (before >= kMaxHttpConnections || (has_share && of_user > kMaxHttpConnectionsOfUser)) {
    return refuse(c, 503, Error{Code::kLimit, "too many connections", "try again in a moment"});
  }
  set_reading(c);
}

std::string HttpServer::name_of_user(std::uint32_t uid) {
  // Whose jobs may run as root is told by the name: it is root's alone, whatever the accounts say.
  if (uid == 0) return "root";
  const auto known = users_.find(uid);
  if (known != users_.end()) return known->second;
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  if (users_.size() >= kMaxRememberedUsers) users_.clear();
  std::string name = found != nullptr ? found->pw_name : std::to_string(uid);
  if (name == "root") name = std::to_string(uid);
  return users_[uid] = std::move(name);
}

// Reads on while an answer is awaited too, within limits: that is how a client that leaves is
// noticed.
void HttpServer::set_reading(Connection& c) {
  const bool wanted =
      !c.closing && (c.phase == Connection::Phase::kLingering || c.ahead.size() < kMaxHttpAhead);
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
  if (c.phase == Connection::Phase::kLingering) return;
  const bool is_next = c.phase == Connection::Phase::kReading && c.ahead.empty() &&
                       c.reader.state() != HttpRequestReader::State::kComplete;
  if (is_next && !feed(c, data)) return;
  c.ahead += data;
  advance(c);
}

// Gives bytes to the reader until a request is whole, and leaves the rest in `data`; false when
// the request is refused.
bool HttpServer::feed(Connection& c, std::string_view& data) {
  using State = HttpRequestReader::State;
  const State before = c.reader.state();
  data.remove_prefix(c.reader.feed(data));
  const State after = c.reader.state();
  // A body may come as slowly as it likes, as long as it comes; headers may not.
  if (after != before || after == State::kBody) c.since = uv_now(loop_);
  if (after == State::kRefused) {
    refuse(c, c.reader.refusal_status, c.reader.refusal);
    return false;
  }
  if (c.reader.take_continue()) send(c, "HTTP/1.1 100 Continue\r\n\r\n");
  return account_body(c);
}

bool HttpServer::account_body(Connection& c) {
  ASSERT(body_bytes_ >= c.body_bytes);
  body_bytes_ += c.reader.body.size() - c.body_bytes;
  c.body_bytes = c.reader.body.size();
  if (body_bytes_ <= kMaxHttpBodies) return true;
  refuse(c, 503,
         Error{Code::kLimit, "too much is being uploaded at once", "try again in a moment"});
  return false;
}

// One request after another, as long as whole ones are there and the client reads its answers.
void HttpServer::advance(Connection& c) {
  if (c.advancing) return;
  c.advancing = true;
  while (!c.closing && c.phase == Connection::Phase::kReading) {
    if (c.reader.state() == HttpRequestReader::State::kComplete) {
      if (c.unsent() > kMaxHttpUnsent) break;
      dispatch(c);
      continue;
    }
    if (c.ahead.empty()) break;
    const std::string data = std::exchange(c.ahead, {});
    std::string_view rest = data;
    if (!feed(c, rest)) break;
    c.ahead = rest;
  }
  c.advancing = false;
  set_reading(c);
}

void HttpServer::dispatch(Connection& c) {
  c.phase = Connection::Phase::kAnswering;
  c.since = uv_now(loop_);
  c.has_asked = true;
  c.exchange = next_exchange_++;
  exchanges_[c.exchange] = &c;
  c.keep_alive = c.reader.keep_alive;
  c.is_head = c.reader.method == "HEAD";
  HttpRequest request;
  request.id = c.exchange;
  request.method = c.reader.method;
  request.path = c.reader.path;
  request.query = c.reader.query;
  request.body = std::move(c.reader.body);
  request.uid = c.uid;
  request.user = c.user;
  body_bytes_ -= std::exchange(c.body_bytes, 0);
  handlers_.on_request(std::move(request));
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

void HttpServer::respond(ExchangeId id, int status, std::string_view content_type,
                         std::string_view body, const std::vector<HttpHeader>& headers) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(!c->streaming);
  send(*c, whole_answer(status, content_type, body, headers, c->keep_alive, !c->is_head));
  finish(*c);
}

void HttpServer::show_life(ExchangeId id) {
  Connection* c = find(id);
  if (c == nullptr || c->streaming || !c->reader.understands_chunks || c->unsent() > 0) return;
  send(*c, "HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpServer::begin_stream(ExchangeId id, int status, std::string_view content_type) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(!c->streaming);
  c->streaming = true;
  if (!c->reader.understands_chunks) c->keep_alive = false;
  std::string head = status_line(status) + "Content-Type: ";
  head += content_type;
  head += c->reader.understands_chunks ? "\r\nTransfer-Encoding: chunked\r\n" : "\r\n";
  if (!c->keep_alive) head += "Connection: close\r\n";
  head += "\r\n";
  send(*c, std::move(head));
}

bool HttpServer::write(ExchangeId id, std::string_view data) {
  Connection* c = find(id);
  if (c == nullptr) return true;
  ASSERT(c->streaming);
  // An empty chunk would end the stream.
  if (!data.empty() && !c->is_head)
    send(*c, c->reader.understands_chunks ? chunk_of(data) : std::string(data));
  c->full = c->unsent() > kMaxHttpUnsent;
  return !c->full;
}

void HttpServer::end(ExchangeId id) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(c->streaming);
  if (c->reader.understands_chunks && !c->is_head) send(*c, "0\r\n\r\n");
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
    c.reader.next();
    c.phase = Connection::Phase::kReading;
    return advance(c);
  }
  c.phase = Connection::Phase::kLingering;
  c.ahead.clear();
  uv_shutdown(&c.shutdown, reinterpret_cast<uv_stream_t*>(&c.pipe), [](uv_shutdown_t*, int) {});
  set_reading(c);
}

void HttpServer::close(Connection& c) {
  if (c.closing) return;
  c.closing = true;
  body_bytes_ -= std::exchange(c.body_bytes, 0);
  if (c.is_counted && --connections_of_[c.uid] == 0) connections_of_.erase(c.uid);
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
  using State = HttpRequestReader::State;
  const std::uint64_t now = uv_now(loop_);
  for (auto& [key, connection] : connections_) {
    Connection& c = *connection;
    // An answer may take as long as it takes; a client that does not read it may not.
    if (c.phase == Connection::Phase::kAnswering && c.unsent() == 0) continue;
    std::uint64_t limit = patience_.idle;
    if (c.phase == Connection::Phase::kLingering && c.unsent() == 0)
      limit = std::min(limit, kLingerMs);
    if (c.phase == Connection::Phase::kReading) {
      const State state = c.reader.state();
      // The first request is due as soon as somebody connects.
      if (state == State::kHeaders || !c.has_asked) limit = patience_.request;
      if (state == State::kBody) limit = patience_.body;
    }
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
