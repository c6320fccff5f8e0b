// Asks the cluster through the first node that answers; of nodes elsewhere it learns by and by.
// Every request may be asked twice without harm (jobs have ids of the client's own), so a node that
// is lost in the middle only means that the next one is asked. A node that is stopped or stuck
// takes connections and says nothing: nodes send a sign of life every kLifeSignPeriod (os/api.h),
// so silence is told from work.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/http_connection.h"
#include "cli/servers.h"

namespace dunlin {

// A node that has not begun to answer an ordinary question by then is given up.
constexpr Duration kAnswerPatience = seconds(15);
// So long without a sign of life, and another one is asked, if there is one; those passed over are
// asked once more in the end, with all patience.
constexpr Duration kSilencePatience = seconds(5);
constexpr Duration kStreamSilence = seconds(8);

// Percent-encodes what may not stand in a path's segment or a query's value.
std::string url_encoded(std::string_view text);

class Client {
 public:
  // `at`: the number of the server to be asked first.
  explicit Client(Servers servers, std::size_t at = 0)
      : servers_(std::move(servers.addresses)), token_(servers.token), at_(at) {}

  // The node's answer, or its error. kUnreachable when no server answers.
  Result<HttpAnswer> call(std::string_view method, std::string_view target,
                          std::string_view body = {}, Duration patience = kAnswerPatience);

  // Sends the question that call("GET", target) will be asked next, so that the node works on it
  // meanwhile; nothing where that cannot be.
  void ask_ahead(std::string_view target);

  // A stream: begin, then more until kEnd. An error status is the Result's error. kLive: one that
  // shows signs of life, so that its silence is a loss. `patience`: until it has begun.
  enum class Life { kSilent, kLive };
  Result<void> begin(std::string_view method, std::string_view target, std::string_view body = {},
                     Life life = Life::kSilent, Duration patience = kAnswerPatience);
  enum class More { kData, kEnd, kQuiet, kInterrupted };
  // Appends what came to `to`. kQuiet: nothing for that long (negative: wait for ever);
  // kInterrupted: a signal's handler ran. An error: the stream was cut off.
  Result<More> more(std::string& to, int timeout_ms);

  // A client of the same servers, for a question beside a stream.
  Client sibling() const;
  // To the server that answered last.
  Result<void> connect(HttpConnection& connection) const {
    return connection.open(server(), token_);
  }
  // The server that answered last, and how many there are.
  const std::string& server() const { return servers_[at_]; }
  std::size_t server_count() const { return servers_.size(); }
  // That one does not answer: the next is the one to ask.
  void pass_over() { at_ = (at_ + 1) % servers_.size(); }
  // "no node answers at ...", with what was found at the last one that was tried.
  Error nobody(const Error& last) const;

 private:
  Result<void> exchange(std::string_view method, std::string_view target, std::string_view body,
                        Duration patience, bool whole);
  Result<void> ask(std::string_view method, std::string_view target, std::string_view body,
                   Duration silence, Duration patience, bool whole);
  Result<void> wait(bool whole, Duration silence, Duration patience);
  Error gone_silent(std::int64_t milliseconds);
  void learn_servers();

  std::vector<std::string> servers_;
  std::optional<JoinToken> token_;
  std::string learnt_;  // what the last server told of others
  std::size_t at_;
  HttpConnection connection_;
  std::string asked_ahead_;
  Life life_ = Life::kSilent;
  std::int64_t quiet_since_ms_ = 0;  // of the stream; 0: it is not known to be quiet
};

// Whether a stream that ended so is worth to be begun anew, at the next node.
inline bool is_lost(const Error& error) {
  return error.code == Code::kUnreachable || error.code == Code::kIncomplete;
}

}  // namespace dunlin
