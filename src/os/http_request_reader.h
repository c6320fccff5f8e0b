// Bytes of one connection to HTTP requests, one after another (RFC 9112, by http-parser), within
// limits. Pure: it knows neither sockets nor time.
#pragma once

#include <http_parser.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace dunlin {

constexpr std::size_t kMaxHttpHeaderBytes = 16 * 1024;  // request line and headers
constexpr std::size_t kMaxHttpBody = 5 * 1024 * 1024;

class HttpRequestReader {
 public:
  // How long the body of such a request may be; at most kMaxHttpBody.
  using BodyLimit = std::function<std::size_t(std::string_view method, std::string_view path)>;

  enum class State : std::uint8_t {
    kBetween,   // of the next request nothing has come
    kHeaders,   // in the middle of its headers
    kBody,      // in the middle of its body
    kComplete,  // to be taken; then next()
    kRefused,   // for good: what follows cannot be understood
  };

  // Asked at the end of a request's headers, before its body: may it come in? Given what stood
  // behind "Authorization:".
  using Admit = std::function<Result<void>(std::string_view authorization)>;

  // `limit` must outlive the reader. It stays where it is: the parser points to it. Without `admit`
  // nobody has to show anything.
  explicit HttpRequestReader(const BodyLimit& limit, Admit admit = {});
  HttpRequestReader(const HttpRequestReader&) = delete;
  HttpRequestReader& operator=(const HttpRequestReader&) = delete;

  // How many bytes were used: fewer than given when a request became complete, or was refused.
  std::size_t feed(std::string_view bytes);
  void next();

  State state() const { return state_; }
  // True once, when the sender waits for "100 Continue" before it sends the body.
  bool take_continue() { return std::exchange(owes_continue_, false); }

  std::string method, path, query;  // as sent, percent-encoded
  Bytes body;
  bool keep_alive = true;
  bool understands_chunks = true;
  // Of a refused request: the HTTP status, and what to tell the sender.
  int refusal_status = 0;
  Error refusal;

 private:
  static const http_parser_settings& callbacks();
  int refuse(int status, Code code, std::string message);
  int count_header(std::size_t bytes);
  void end_header();
  int end_headers();
  int add_body(std::string_view bytes);

  const BodyLimit& limit_;
  const Admit admit_;
  http_parser parser_{};
  State state_ = State::kBetween;
  std::string target_, field_, value_;
  std::string authorization_;
  bool has_value_ = false;
  std::size_t header_bytes_ = 0;
  std::size_t body_limit_ = 0;
  bool expects_continue_ = false;
  bool owes_continue_ = false;
};

}  // namespace dunlin
