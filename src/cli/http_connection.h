// The client's end of one HTTP connection to a server, driven by poll(): many can be in flight in
// one thread. One request at a time; the connection is kept open between them.
#pragma once

#include <http_parser.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "cli/server_link.h"

namespace dunlin {

constexpr std::size_t kMaxAnswerBytes = 1024UL * 1024 * 1024;  // of an answer held in memory

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  std::string header(const std::string& name) const {
    const auto at = headers.find(name);
    return at == headers.end() ? std::string() : at->second;
  }
};

class HttpConnection {
 public:
  HttpConnection() = default;
  ~HttpConnection() { close(); }
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // See ServerLink::open.
  Result<void> open(const std::string& server, const std::optional<JoinToken>& token);
  void close() { link_.close(); }
  bool is_open() const { return link_.is_open(); }
  int fd() const { return link_.fd(); }

  // Begins a request; the former one must be done.
  void send(std::string_view method, std::string_view target, std::string_view body);
  // What poll() is to wait for.
  short events() const;
  // Writes and reads what there is, without waiting. An error: the connection is lost, and closed;
  // kUnreachable before the answer has begun, kIncomplete in its middle; the message begins with
  // the server.
  Result<void> step();

  // Grows with every byte that passes, in either direction: a sign that the node lives.
  std::uint64_t moved() const { return moved_; }
  bool has_headers() const { return has_headers_; }
  bool is_done() const { return done_; }
  const HttpAnswer& answer() const { return answer_; }
  HttpAnswer take_answer() { return std::move(answer_); }
  // The bytes of the body that came since the last call, for streams.
  std::string take_body() { return std::exchange(answer_.body, {}); }

 private:
  static const http_parser_settings& callbacks();
  Result<void> lost(const std::string& why);
  Result<void> write_some();
  Result<void> read_some();

  ServerLink link_;
  std::string server_;
  http_parser parser_{};
  std::string out_;
  std::size_t sent_ = 0;
  std::uint64_t moved_ = 0;
  std::string field_, value_;
  HttpAnswer answer_;
  bool has_headers_ = false;
  bool done_ = true;
  bool keep_alive_ = true;
};

}  // namespace dunlin
