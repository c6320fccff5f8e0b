#include "cli/client.h"

#include <poll.h>
#include <time.h>

#include <cerrno>
#include <utility>

#include "cli/interrupts.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

bool is_worth_another(Code code) {
  return code == Code::kUnreachable || code == Code::kRefused;
}

}  // namespace

std::string url_encoded(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

Error Client::nobody(const Error& last) const {
  if (servers_.size() == 1) {
    return {last.code, "no node answers at " + last.message,
            last.code == Code::kRefused ? "" : "start one with: dunlin up"};
  }
  std::string tried;
  for (const std::string& server : servers_) tried += (tried.empty() ? "" : ", ") + server;
  return {last.code, "no node answers at any of " + tried, "start one with: dunlin up"};
}

// Until the headers (or, if `whole`, everything) have come.
Result<void> Client::wait(bool whole, Duration patience) {
  const std::int64_t deadline = monotonic_ms() + patience.milliseconds();
  std::size_t seen = 0;
  std::int64_t until = deadline;
  while (whole ? !connection_.is_done() : !connection_.has_headers()) {
    const std::int64_t left = until - monotonic_ms();
    if (left <= 0) {
      connection_.close();
      return fail(Code::kUnreachable, server() + ": no answer within " +
                                          std::to_string(patience.milliseconds() / 1000) + " s");
    }
    pollfd waiting{connection_.fd(), connection_.events(), 0};
    const int ready = poll_counting(&waiting, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return fail(Code::kFailed, "poll failed");
    if (interrupts() > 1) {
      connection_.close();
      return fail(Code::kTimeout, "interrupted");
    }
    if (ready <= 0) continue;
    if (Result<void> fine = connection_.step(); !fine) return fine;
    // A long answer that keeps coming is no silence.
    if (connection_.answer().body.size() != seen) {
      seen = connection_.answer().body.size();
      until = monotonic_ms() + patience.milliseconds();
    }
  }
  return {};
}

Result<void> Client::exchange(std::string_view method, std::string_view target,
                              std::string_view body, Duration patience, bool whole) {
  Error last{Code::kUnreachable, "", ""};
  bool was_kept_open = connection_.is_open() && connection_.is_done();
  if (!was_kept_open) connection_.close();
  for (std::size_t tried = 0; tried < servers_.size();) {
    Result<void> result{};
    if (!connection_.is_open()) result = connection_.open(servers_[at_]);
    if (result) {
      connection_.send(method, target, body);
      result = wait(whole, patience);
    }
    if (result) return {};
    last = result.error();
    connection_.close();
    if (!is_worth_another(last.code)) break;
    // A connection that was kept open may have been closed meanwhile: that says nothing yet.
    if (std::exchange(was_kept_open, false)) continue;
    at_ = (at_ + 1) % servers_.size();
    ++tried;
  }
  return tl::unexpected(is_worth_another(last.code) ? nobody(last) : last);
}

Result<HttpAnswer> Client::call(std::string_view method, std::string_view target,
                                std::string_view body, Duration patience) {
  if (Result<void> fine = exchange(method, target, body, patience, true); !fine) {
    return tl::unexpected(fine.error());
  }
  HttpAnswer answer = connection_.take_answer();
  if (answer.status >= 400) return tl::unexpected(error_from_json(answer.body));
  return answer;
}

Result<void> Client::begin(std::string_view method, std::string_view target,
                           std::string_view body) {
  if (Result<void> fine = exchange(method, target, body, kAnswerPatience, false); !fine) {
    return fine;
  }
  if (connection_.answer().status < 400) return {};
  if (Result<void> fine = wait(true, kAnswerPatience); !fine) return fine;
  return tl::unexpected(error_from_json(connection_.take_body()));
}

Result<Client::More> Client::more(std::string& to, int timeout_ms) {
  std::string body = connection_.take_body();
  if (!body.empty()) {
    to += body;
    return More::kData;
  }
  if (connection_.is_done()) return More::kEnd;
  pollfd waiting{connection_.fd(), connection_.events(), 0};
  const int ready = poll_counting(&waiting, 1, timeout_ms);
  if (ready == 0) return More::kQuiet;
  if (ready < 0) {
    if (errno == EINTR) return More::kInterrupted;
    return fail(Code::kFailed, "poll failed");
  }
  const Result<void> stepped = connection_.step();
  body = connection_.take_body();
  to += body;
  if (!body.empty()) return More::kData;
  if (!stepped) return tl::unexpected(stepped.error());
  return connection_.is_done() ? More::kEnd : More::kData;
}

}  // namespace dunlin
