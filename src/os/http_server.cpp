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
#include "os/socket_stream.h"

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

  Connection(HttpServer& owner, std::unique_ptr<ByteStream> bytes, Door through)
      : stream(std::move(bytes)),
        door(through),
        reader(owner.handlers_.body_limit,
               through == Door::kPlain
                   ? HttpRequestReader::Admit(
                         [this, &owner](std::string_view shown) { return admit(owner, shown); })
                   : HttpRequestReader::Admit()) {}

  std::uint64_t key = 0;
  std::unique_ptr<ByteStream> stream;
  const Door door;

  Phase phase = Phase::kReading;
  std::uint64_t since = 0;  // of the last step that a deadline counts from
  bool closing = false;
  bool advancing = false;
  std::string ahead;  // received, not parsed

  HttpRequestReader reader;
  std::size_t body_bytes = 0;  // of the request being received, as counted for all connections
  bool has_asked = false;      // at least one request was whole
  HttpCaller caller;

  // The answer being given.
  ExchangeId exchange = 0;
  bool keep_alive = true;
  bool streaming = false;
  bool full = false;

  std::size_t unsent() { return stream->unsent(); }
  bool is_head() const { return reader.method == "HEAD"; }
  bool is_of_account() const { return caller.uid != kNoAccount; }
  Result<void> admit(HttpServer& owner, std::string_view authorization) {
    Result<HttpCaller> shown = owner.authorize_(authorization);
    if (!shown) return tl::unexpected(shown.error());
    caller = std::move(*shown);
    return {};
  }
};

HttpServer::HttpServer(uv_loop_t* loop, Handlers handlers, HttpPatience patience,
                       std::uint32_t own_uid)
    : loop_(loop),
      handlers_(std::move(handlers)),
      patience_(patience),
      own_uid_(own_uid),
      read_buffer_(kReadBuffer) {}

HttpServer::~HttpServer() {
  ASSERT(connections_.empty() && open_listeners_ == 0);
}

Result<void> HttpServer::listen(const std::string& path, FileDescriptor bound) {
  uv_pipe_init(loop_, &listener_, 0);
  uv_timer_init(loop_, &sweeper_);
  listener_.data = sweeper_.data = this;
  path_ = path;
  open_listeners_ = 1;
  const int error = uv_pipe_open(&listener_, bound.release());
  if (error != 0) {
    close();
    return fail(Code::kFailed, "cannot listen at " + path + ": " + uv_strerror(error));
  }
  return listen(reinterpret_cast<uv_stream_t*>(&listener_), path);
}

Result<void> HttpServer::listen_plain(const std::string& address, FileDescriptor bound,
                                      Authorize authorize) {
  ASSERT(open_listeners_ == 1);
  authorize_ = std::move(authorize);
  uv_tcp_init(loop_, &plain_listener_);
  plain_listener_.data = this;
  open_listeners_ = 2;
  ASSERT(uv_tcp_open(&plain_listener_, bound.release()) == 0);
  return listen(reinterpret_cast<uv_stream_t*>(&plain_listener_), address);
}

Result<void> HttpServer::listen(uv_stream_t* listener, const std::string& where) {
  const int error = uv_listen(listener, kBacklog, [](uv_stream_t* stream, int status) {
    if (status != 0) return;
    auto& self = *static_cast<HttpServer*>(stream->data);
    stream->type == UV_TCP ? self.accept_plain() : self.accept();
  });
  if (error == 0) return {};
  close();
  return fail(Code::kFailed, "cannot listen at " + where + ": " + uv_strerror(error));
}

HttpServer::Connection& HttpServer::add(std::unique_ptr<ByteStream> stream, Door door) {
  if (connections_.empty()) {
    const auto swept = [](uv_timer_t* t) { static_cast<HttpServer*>(t->data)->sweep(); };
    uv_timer_start(&sweeper_, swept, patience_.sweep, patience_.sweep);
  }
  auto connection = std::make_unique<Connection>(*this, std::move(stream), door);
  Connection& c = *connection;
  c.key = next_connection_++;
  c.since = uv_now(loop_);
  connections_.emplace(c.key, std::move(connection));
  c.stream->open({.on_data = [this, &c](std::string_view data) { read(c, data); },
                  .on_sent = [this, &c] { written(c); },
                  .on_end = [this, &c] { close(c); }});
  return c;
}

void HttpServer::accept() {
  auto stream = std::make_unique<SocketStream>(loop_, SocketStream::Kind::kLocal, read_buffer_);
  const bool is_there = stream->accept(reinterpret_cast<uv_stream_t*>(&listener_));
  const int fd = stream->descriptor();
  const std::size_t others = connections_.size();
  Connection& c = add(std::move(stream), Door::kSocket);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (!is_there || others >= kMaxHttpConnections + kMaxHttpRefusals ||
      getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return close(c);
  }
  c.caller = {peer.uid, name_of_user(peer.uid), std::nullopt};
  ++connections_of_[peer.uid];
  serve(c, others);
}

void HttpServer::accept_plain() {
  auto stream = std::make_unique<SocketStream>(loop_, SocketStream::Kind::kTcp, read_buffer_);
  const bool is_there = stream->accept(reinterpret_cast<uv_stream_t*>(&plain_listener_));
  const std::size_t others = connections_.size();
  Connection& c = add(std::move(stream), Door::kPlain);
  // Whoever knocks here may be anybody: those over the limit cost no answer.
  if (++plain_connections_ > kMaxHttpPlain || !is_there) return close(c);
  serve(c, others);
}

void HttpServer::adopt(std::unique_ptr<ByteStream> stream, HttpCaller caller) {
  const std::size_t others = connections_.size();
  Connection& c = add(std::move(stream), Door::kSession);
  c.caller = std::move(caller);
  if (closing_) return close(c);
  serve(c, others);
}

void HttpServer::serve(Connection& c, std::size_t others) {
  const bool has_share = c.is_of_account() && c.caller.uid != 0 && c.caller.uid != own_uid_;
  if (others >= kMaxHttpConnections ||
      (has_share && connections_of_[c.caller.uid] > kMaxHttpConnectionsOfUser)) {
    return refuse(c, 503, Error{Code::kLimit, "too many connections", "try again in a moment"});
  }
  set_reading(c);
}

void HttpServer::drop_callers(const std::function<bool(const TokenId&)>& is_valid) {
  for (auto& [key, connection] : connections_) {
    if (connection->caller.token && !is_valid(*connection->caller.token)) close(*connection);
  }
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
  c.stream->set_reading(wanted);
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
  HttpRequest request;
  request.id = c.exchange;
  request.method = c.reader.method;
  request.path = c.reader.path;
  request.query = c.reader.query;
  request.body = std::move(c.reader.body);
  request.uid = c.caller.uid;
  request.user = c.caller.user;
  body_bytes_ -= std::exchange(c.body_bytes, 0);
  handlers_.on_request(std::move(request));
}

void HttpServer::refuse(Connection& c, int status, const Error& error) {
  ++answers_[status];
  c.keep_alive = false;
  std::vector<HttpHeader> headers;
  if (status == 401) headers.push_back({"WWW-Authenticate", "Bearer"});
  send(c,
       whole_answer(status, "application/json", handlers_.error_body(error), headers, false, true));
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
  ++answers_[status];
  send(*c, whole_answer(status, content_type, body, headers_of(*c, headers), c->keep_alive,
                        !c->is_head()));
  finish(*c);
}

std::vector<HttpHeader> HttpServer::headers_of(const Connection& c,
                                               std::vector<HttpHeader> headers) const {
  if (c.door == Door::kSession && !servers_.empty()) {
    headers.push_back({"Dunlin-Servers", servers_});
  }
  return headers;
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
  ++answers_[status];
  c->streaming = true;
  if (!c->reader.understands_chunks) c->keep_alive = false;
  std::string head = status_line(status) + "Content-Type: ";
  head += content_type;
  head += c->reader.understands_chunks ? "\r\nTransfer-Encoding: chunked\r\n" : "\r\n";
  for (const HttpHeader& header : headers_of(*c, {})) {
    head += header.name + ": " + header.value + "\r\n";
  }
  if (!c->keep_alive) head += "Connection: close\r\n";
  head += "\r\n";
  send(*c, std::move(head));
}

bool HttpServer::write(ExchangeId id, std::string_view data) {
  Connection* c = find(id);
  if (c == nullptr) return true;
  ASSERT(c->streaming);
  // An empty chunk would end the stream.
  if (!data.empty() && !c->is_head())
    send(*c, c->reader.understands_chunks ? chunk_of(data) : std::string(data));
  c->full = c->unsent() > kMaxHttpUnsent;
  return !c->full;
}

void HttpServer::end(ExchangeId id) {
  Connection* c = find(id);
  if (c == nullptr) return;
  ASSERT(c->streaming);
  if (c->reader.understands_chunks && !c->is_head()) send(*c, "0\r\n\r\n");
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
  if (!c.closing) c.stream->send(std::move(data));
}

void HttpServer::written(Connection& c) {
  if (c.closing) return;
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
  c.stream->finish();
  set_reading(c);
}

void HttpServer::close(Connection& c) {
  if (c.closing) return;
  c.closing = true;
  body_bytes_ -= std::exchange(c.body_bytes, 0);
  if (c.is_of_account() && --connections_of_[c.caller.uid] == 0)
    connections_of_.erase(c.caller.uid);
  if (c.door == Door::kPlain) --plain_connections_;
  if (c.exchange != 0) {
    const ExchangeId gone = std::exchange(c.exchange, 0);
    exchanges_.erase(gone);
    if (!closing_) handlers_.on_gone(gone);
  }
  c.stream->close([this, key = c.key] {
    connections_.erase(key);
    // At rest, without clients, the server leaves the loop asleep.
    if (connections_.empty() && !closing_) uv_timer_stop(&sweeper_);
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
  if (open_listeners_ == 0 || closing_) return;
  closing_ = true;
  unlink(path_.c_str());
  for (auto& [key, connection] : connections_) close(*connection);
  uv_close(reinterpret_cast<uv_handle_t*>(&sweeper_), nullptr);
  const auto closed = [](uv_handle_t* handle) {
    --static_cast<HttpServer*>(handle->data)->open_listeners_;
  };
  if (open_listeners_ == 2) uv_close(reinterpret_cast<uv_handle_t*>(&plain_listener_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&listener_), closed);
}

}  // namespace dunlin
