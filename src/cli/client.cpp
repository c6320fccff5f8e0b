#include "cli/client.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include "cli/interrupts.h"
#include "cli/known_servers.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

// A server that turns away has said why; one that does not answer has not.
bool says_why(Code code) {
  return code == Code::kRefused || code == Code::kLimit || code == Code::kConflict ||
         code == Code::kCorrupt;
}

bool is_worth_another(Code code) {
  return code == Code::kUnreachable || code == Code::kIncomplete || code == Code::kTimeout ||
         says_why(code);
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

Client Client::sibling() const {
  return Client({servers_, token_}, at_);
}

Error Client::nobody(const Error& last) const {
  // Who turns away has said what is wrong better than anybody here could.
  if (token_ && says_why(last.code)) return last;
  const bool is_elsewhere = is_remote(servers_.front());
  const std::string start = is_elsewhere ? "is a node up there?" : "start one with: dunlin up";
  const Code code = last.code == Code::kRefused ? last.code : Code::kUnreachable;
  // One that is stuck is not to be started.
  const bool is_stuck = last.code == Code::kTimeout && !last.hint.empty();
  if (servers_.size() == 1) {
    const std::string hint = is_stuck ? last.hint : code == Code::kRefused ? "" : start;
    return {code, "no node answers at " + last.message, hint};
  }
  std::string tried;
  for (const std::string& server : servers_) tried += (tried.empty() ? "" : ", ") + server;
  if (code == Code::kRefused) return {code, "no node answers at any of " + tried, last.message};
  const std::string hint = is_stuck ? last.message + ": " + last.hint : start;
  return {code, "no node answers at any of " + tried, hint};
}

Error Client::gone_silent(std::int64_t milliseconds) {
  connection_.close();
  return {Code::kTimeout,
          server() + ": no sign of life for " + std::to_string(milliseconds / 1000) + " s",
          "it runs, but does not answer: see dunlin doctor, or name another --server"};
}

// Until the headers (or, if `whole`, everything) have come.
Result<void> Client::wait(bool whole, Duration silence, Duration patience) {
  const int interrupts_before = interrupts();
  std::size_t seen = 0;
  std::uint64_t moved = connection_.moved();
  std::int64_t heard_at = monotonic_ms();
  std::int64_t late_at = heard_at + patience.milliseconds();
  while (whole ? !connection_.is_done() : !connection_.has_headers()) {
    const std::int64_t now = monotonic_ms();
    const std::int64_t left = std::min(heard_at + silence.milliseconds(), late_at) - now;
    if (left <= 0) return tl::unexpected(gone_silent(now - heard_at));
    pollfd waiting{connection_.fd(), connection_.events(), 0};
    const int ready = poll_counting(&waiting, 1, static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return fail(Code::kFailed, "poll failed");
    if (!whole && interrupts() > interrupts_before) {
      connection_.close();
      return fail(Code::kFailed, "interrupted");
    }
    if (ready <= 0) continue;
    if (Result<void> fine = connection_.step(); !fine) return fine;
    if (std::exchange(moved, connection_.moved()) != connection_.moved()) heard_at = monotonic_ms();
    // A long answer that keeps coming is not late.
    if (connection_.answer().body.size() != seen) {
      seen = connection_.answer().body.size();
      late_at = monotonic_ms() + patience.milliseconds();
    }
  }
  return {};
}

Result<void> Client::ask(std::string_view method, std::string_view target, std::string_view body,
                         Duration silence, Duration patience, bool whole) {
  Result<void> result{};
  // A connection that was kept open may have been closed meanwhile: that says nothing yet.
  const std::string ahead = std::exchange(asked_ahead_, {});
  const bool is_asked = method == "GET" && !ahead.empty() && ahead == target;
  if (connection_.is_open() && (connection_.is_done() || is_asked)) {
    if (!is_asked) connection_.send(method, target, body);
    result = wait(whole, silence, patience);
    if (result || !is_worth_another(result.error().code)) return result;
    if (result.error().code == Code::kTimeout) return result;
  }
  result = connect(connection_);
  if (!result) return result;
  connection_.send(method, target, body);
  return wait(whole, silence, patience);
}

Result<void> Client::exchange(std::string_view method, std::string_view target,
                              std::string_view body, Duration patience, bool whole) {
  // Who works on a long answer shows that he lives.
  const Duration most = std::min(patience, kAnswerPatience);
  const Duration quick = servers_.size() == 1 ? most : std::min(most, kSilencePatience);
  struct Try {
    std::size_t server;
    Duration silence;
  };
  std::deque<Try> tries;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    tries.push_back({(at_ + i) % servers_.size(), quick});
  }
  Error last{Code::kUnreachable, "", ""};
  while (!tries.empty()) {
    const Try next = tries.front();
    tries.pop_front();
    at_ = next.server;
    Result<void> result = ask(method, target, body, next.silence, patience, whole);
    if (result) {
      learn_servers();
      return {};
    }
    // Why somebody turns away is worth more than that nobody else is there.
    if (!says_why(last.code)) last = result.error();
    connection_.close();
    if (!is_worth_another(result.error().code)) return result;
    const bool was_silent = result.error().code == Code::kTimeout;
    if (was_silent && next.silence < most) tries.push_back({next.server, most});
  }
  return tl::unexpected(nobody(last));
}

// A node elsewhere tells with each answer where others are.
void Client::learn_servers() {
  if (!token_ || !is_remote(servers_[at_])) return;
  const std::string told = connection_.answer().header("dunlin-servers");
  if (told.empty() || told == learnt_) return;
  learnt_ = told;
  const std::vector<std::string> others = addresses_in(told);
  add_servers(servers_, others);
  remember_servers(token_->cluster, others);
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

void Client::ask_ahead(std::string_view target) {
  if (!connection_.is_open() || !connection_.is_done()) return;
  connection_.send("GET", target, {});
  // Whatever is wrong shows when it is asked for.
  if (connection_.step()) asked_ahead_ = target;
}

Result<void> Client::begin(std::string_view method, std::string_view target, std::string_view body,
                           Life life, Duration patience) {
  life_ = life;
  quiet_since_ms_ = 0;
  if (Result<void> fine = exchange(method, target, body, patience, false); !fine) return fine;
  if (connection_.answer().status < 400) return {};
  if (Result<void> fine = wait(true, patience, patience); !fine) return fine;
  return tl::unexpected(error_from_json(connection_.take_body()));
}

Result<Client::More> Client::more(std::string& to, int timeout_ms) {
  std::string body = connection_.take_body();
  if (!body.empty()) {
    to += body;
    return More::kData;
  }
  if (connection_.is_done()) return More::kEnd;
  const std::int64_t now = monotonic_ms();
  if (quiet_since_ms_ == 0) quiet_since_ms_ = now;
  int patience_ms = timeout_ms;
  if (life_ == Life::kLive) {
    const std::int64_t left = quiet_since_ms_ + kStreamSilence.milliseconds() - now;
    const int most = static_cast<int>(std::max<std::int64_t>(left, 0));
    patience_ms = timeout_ms < 0 ? most : std::min(timeout_ms, most);
  }
  pollfd waiting{connection_.fd(), connection_.events(), 0};
  const int ready = poll_counting(&waiting, 1, patience_ms);
  if (ready == 0) {
    const std::int64_t quiet = monotonic_ms() - quiet_since_ms_;
    if (life_ == Life::kSilent || quiet < kStreamSilence.milliseconds()) return More::kQuiet;
    Error silent = gone_silent(quiet);
    silent.code = Code::kUnreachable;
    pass_over();
    return tl::unexpected(std::move(silent));
  }
  if (ready < 0) {
    if (errno == EINTR) return More::kInterrupted;
    return fail(Code::kFailed, "poll failed");
  }
  quiet_since_ms_ = 0;
  const Result<void> stepped = connection_.step();
  body = connection_.take_body();
  to += body;
  if (!body.empty()) return More::kData;
  if (!stepped) return tl::unexpected(stepped.error());
  return connection_.is_done() ? More::kEnd : More::kData;
}

}  // namespace dunlin
