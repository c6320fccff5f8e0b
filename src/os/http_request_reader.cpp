#include "os/http_request_reader.h"

#include <strings.h>

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

HttpRequestReader::HttpRequestReader(const BodyLimit& limit, Admit admit)
    : limit_(limit), admit_(std::move(admit)) {
  http_parser_init(&parser_, HTTP_REQUEST);
  parser_.data = this;
}

std::size_t HttpRequestReader::feed(std::string_view bytes) {
  ASSERT(state_ != State::kComplete && state_ != State::kRefused);
  const std::size_t used = http_parser_execute(&parser_, &callbacks(), bytes.data(), bytes.size());
  if (state_ == State::kComplete || state_ == State::kRefused) return used;
  const auto error = HTTP_PARSER_ERRNO(&parser_);
  if (error != HPE_OK || parser_.upgrade != 0) {
    refuse(400, Code::kUsage, std::string("not an HTTP request: ") + http_errno_description(error));
  }
  return used;
}

void HttpRequestReader::next() {
  ASSERT(state_ == State::kComplete);
  state_ = State::kBetween;
  target_.clear();
  body.clear();
  authorization_.clear();
  header_bytes_ = 0;
  expects_continue_ = owes_continue_ = false;
  http_parser_pause(&parser_, 0);
}

int HttpRequestReader::refuse(int status, Code code, std::string message) {
  state_ = State::kRefused;
  refusal_status = status;
  refusal = Error{code, std::move(message), ""};
  // Not 1: after the headers that would only mean that there is no body.
  return -1;
}

int HttpRequestReader::count_header(std::size_t bytes) {
  header_bytes_ += bytes;
  if (header_bytes_ <= kMaxHttpHeaderBytes) return 0;
  return refuse(
      431, Code::kLimit,
      "the request's headers are longer than " + std::to_string(kMaxHttpHeaderBytes) + " bytes");
}

void HttpRequestReader::end_header() {
  if (strcasecmp(field_.c_str(), "expect") == 0) {
    expects_continue_ = strcasecmp(value_.c_str(), "100-continue") == 0;
  }
  if (strcasecmp(field_.c_str(), "authorization") == 0) authorization_ = value_;
  field_.clear();
  value_.clear();
  has_value_ = false;
}

int HttpRequestReader::end_headers() {
  end_header();
  if (admit_) {
    if (Result<void> admitted = admit_(authorization_); !admitted) {
      refuse(401, admitted.error().code, admitted.error().message);
      refusal.hint = admitted.error().hint;
      return -1;
    }
  }
  method = http_method_str(static_cast<http_method>(parser_.method));
  const std::size_t mark = target_.find('?');
  path = target_.substr(0, mark);
  query = mark == std::string::npos ? std::string() : target_.substr(mark + 1);
  body_limit_ = std::min(limit_(method, path), kMaxHttpBody);
  constexpr std::uint64_t kNotGiven = ~std::uint64_t{0};
  if (parser_.content_length != kNotGiven && parser_.content_length > body_limit_) {
    return refuse(413, Code::kLimit,
                  "a body of " + std::to_string(parser_.content_length) +
                      " bytes is over the limit of " + std::to_string(body_limit_));
  }
  state_ = State::kBody;
  owes_continue_ = expects_continue_;
  return 0;
}

int HttpRequestReader::add_body(std::string_view bytes) {
  if (body.size() + bytes.size() > body_limit_) {
    return refuse(413, Code::kLimit,
                  "the body is over the limit of " + std::to_string(body_limit_) + " bytes");
  }
  append(body, as_bytes(bytes));
  return 0;
}

const http_parser_settings& HttpRequestReader::callbacks() {
  static const http_parser_settings settings = [] {
    http_parser_settings s;
    http_parser_settings_init(&s);
    s.on_message_begin = [](http_parser* p) {
      static_cast<HttpRequestReader*>(p->data)->state_ = State::kHeaders;
      return 0;
    };
    s.on_url = [](http_parser* p, const char* at, std::size_t length) {
      auto& self = *static_cast<HttpRequestReader*>(p->data);
      self.target_.append(at, length);
      return self.count_header(length);
    };
    s.on_header_field = [](http_parser* p, const char* at, std::size_t length) {
      auto& self = *static_cast<HttpRequestReader*>(p->data);
      if (self.has_value_) self.end_header();
      self.field_.append(at, length);
      return self.count_header(length);
    };
    s.on_header_value = [](http_parser* p, const char* at, std::size_t length) {
      auto& self = *static_cast<HttpRequestReader*>(p->data);
      self.has_value_ = true;
      self.value_.append(at, length);
      return self.count_header(length);
    };
    s.on_headers_complete = [](http_parser* p) {
      return static_cast<HttpRequestReader*>(p->data)->end_headers();
    };
    s.on_body = [](http_parser* p, const char* at, std::size_t length) {
      return static_cast<HttpRequestReader*>(p->data)->add_body({at, length});
    };
    s.on_message_complete = [](http_parser* p) {
      auto& self = *static_cast<HttpRequestReader*>(p->data);
      self.state_ = State::kComplete;
      self.owes_continue_ = false;
      self.understands_chunks = p->http_major > 1 || p->http_minor >= 1;
      self.keep_alive =
          http_should_keep_alive(p) != 0 && self.understands_chunks && p->upgrade == 0;
      http_parser_pause(p, 1);
      return 0;
    };
    return s;
  }();
  return settings;
}

}  // namespace dunlin
