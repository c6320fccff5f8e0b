// HTTP/1.1 on the libuv loop (RFC 9112), parsed by http-parser: at a Unix socket, where the peer is
// who the kernel says he is; over streams of clients elsewhere, who have proved a token; and at a
// plain TCP port, where every request bears one. The server knows bytes, not meanings: it hands
// over whole requests, one at a time for each connection, and takes answers whole or as a stream.
//
// Limits (Q10): connections, of all and of each user, header and body bytes, body bytes of all
// connections together, what a pipelining client may send ahead, what a slow reader may leave
// unread. Over the first five the client gets an error; over the last two the server stops reading,
// or asks the sender to wait. A connection that is idle, or stuck in the middle of a request, is
// closed after a while.
#pragma once

#include <unistd.h>
#include <uv.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/token.h"
#include "os/byte_stream.h"
#include "os/file_descriptor.h"
#include "os/http_request_reader.h"

namespace dunlin {

constexpr std::size_t kMaxHttpConnections = 512;
constexpr std::size_t kMaxHttpConnectionsOfUser = 256;  // of one that is not root or the node's
constexpr std::size_t kMaxHttpPlain = 128;              // at the plain port
constexpr std::size_t kMaxHttpRefusals = 64;  // being told of it; any more are closed at once
constexpr std::size_t kMaxHttpBodies = 128 * 1024 * 1024;  // being received, all connections
constexpr std::size_t kMaxHttpAhead = 64 * 1024;           // sent before the last answer is done
constexpr std::size_t kMaxHttpUnsent = 256 * 1024;         // streamed, not yet taken by the client

// How long a client may take, in milliseconds.
struct HttpPatience {
  std::uint64_t request = 10'000;  // from connecting, or a first byte, to the headers' end
  std::uint64_t body = 30'000;     // between two pieces of a body
  std::uint64_t idle = 300'000;    // between two requests, or two reads of an answer
  std::uint64_t sweep = 1000;      // how often that is looked at
};

// The uid of a caller who is no account of this host; the kernel has no such one.
constexpr std::uint32_t kNoAccount = ~std::uint32_t{0};

struct HttpCaller {
  std::uint32_t uid = kNoAccount;
  std::string user;              // the account's name, or the uid in digits; the token's user
  std::optional<TokenId> token;  // by which he is let in; none: he is of this host
};

// Names one request and its answer; never reused.
using ExchangeId = std::uint64_t;

struct HttpRequest {
  ExchangeId id = 0;
  std::string method;
  std::string path;   // as sent, percent-encoded, without the query
  std::string query;  // as sent, without the '?'
  Bytes body;
  std::uint32_t uid = kNoAccount;
  std::string user;
};

struct HttpHeader {
  std::string name;
  std::string value;
};

class HttpServer {
 public:
  struct Handlers {
    std::function<void(HttpRequest)> on_request;
    // The client left before the end of its answer; nothing more may be sent for the exchange.
    std::function<void(ExchangeId)> on_gone;
    // A stream that write() called full takes more.
    std::function<void(ExchangeId)> on_drained;
    HttpRequestReader::BodyLimit body_limit;
    // The body of an error that the server itself answers with.
    std::function<std::string(const Error&)> error_body;
  };
  // Who sends such an "Authorization:" to the plain port.
  using Authorize = std::function<Result<HttpCaller>(std::string_view authorization)>;

  // The loop must outlive the server, and have run close() to its end before ~HttpServer; SIGPIPE
  // must be ignored: libuv writes to clients that left. Root and `own_uid` have no share to keep
  // to.
  HttpServer(uv_loop_t* loop, Handlers handlers, HttpPatience patience = {},
             std::uint32_t own_uid = geteuid());
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // At a socket from bind_local_socket(path).
  Result<void> listen(const std::string& path, FileDescriptor bound);
  // At a TCP socket, too, for those whom `authorize` knows. Once, after listen().
  Result<void> listen_plain(const std::string& address, FileDescriptor bound, Authorize authorize);
  // A client elsewhere.
  void adopt(std::unique_ptr<ByteStream> stream, HttpCaller caller);
  // Closes the connections of those who came by a token that is not valid any more.
  void drop_callers(const std::function<bool(const TokenId&)>& is_valid);
  // HOST:PORT of the cluster's nodes, by commas: told to clients elsewhere with each answer.
  void set_servers(std::string servers) { servers_ = std::move(servers); }

  // The whole answer. An exchange that has ended or whose client left is ignored by all of these.
  void respond(ExchangeId id, int status, std::string_view content_type, std::string_view body,
               const std::vector<HttpHeader>& headers = {});
  // A sign of life while the answer is not there yet: "100 Continue", which every client of
  // HTTP/1.1 has to pass over (RFC 9110, 15.2). Nothing for others, or where the last one was not
  // read.
  void show_life(ExchangeId id);
  // An answer in pieces (chunked): begin_stream, write..., end.
  void begin_stream(ExchangeId id, int status, std::string_view content_type);
  // False when more than kMaxHttpUnsent bytes wait: hold the rest until on_drained.
  bool write(ExchangeId id, std::string_view data);
  void end(ExchangeId id);
  // Ends the connection without a proper end, so that the client sees that the rest is missing.
  void abort(ExchangeId id);

  // Closes everything and removes the socket; the loop has to run once more for it to be done.
  void close();

  std::size_t connections() const { return connections_.size(); }
  // How many answers were begun, by status.
  const std::map<int, std::uint64_t>& answers() const { return answers_; }

 private:
  struct Connection;

  Connection* find(ExchangeId id);
  enum class Door { kSocket, kPlain, kSession };
  Result<void> listen(uv_stream_t* listener, const std::string& where);
  Connection& add(std::unique_ptr<ByteStream> stream, Door door);
  void accept();
  void accept_plain();
  void serve(Connection& connection, std::size_t others);
  std::vector<HttpHeader> headers_of(const Connection& connection,
                                     std::vector<HttpHeader> headers) const;
  void read(Connection& connection, std::string_view data);
  void advance(Connection& connection);
  bool feed(Connection& connection, std::string_view& data);
  bool account_body(Connection& connection);
  void dispatch(Connection& connection);
  void refuse(Connection& connection, int status, const Error& error);
  void send(Connection& connection, std::string data);
  void written(Connection& connection);
  void finish(Connection& connection);
  void close(Connection& connection);
  void sweep();
  void set_reading(Connection& connection);
  std::string name_of_user(std::uint32_t uid);

  uv_loop_t* loop_;
  Handlers handlers_;
  Authorize authorize_;
  HttpPatience patience_;
  const std::uint32_t own_uid_;
  uv_pipe_t listener_{};
  uv_tcp_t plain_listener_{};
  uv_timer_t sweeper_{};
  int open_listeners_ = 0;
  bool closing_ = false;
  std::string path_;
  std::vector<char> read_buffer_;  // one for all connections: data is taken within the callback
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<ExchangeId, Connection*> exchanges_;
  std::map<std::uint32_t, std::string> users_;
  std::map<std::uint32_t, std::size_t> connections_of_;  // by uid
  std::size_t plain_connections_ = 0;
  std::map<int, std::uint64_t> answers_;
  std::string servers_;
  std::size_t body_bytes_ = 0;
  std::uint64_t next_connection_ = 1;
  ExchangeId next_exchange_ = 1;
};

}  // namespace dunlin
