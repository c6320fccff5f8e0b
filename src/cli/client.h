// Asks the cluster through the first node that answers. Every request may be asked twice without
// harm (jobs have ids of the client's own), so a node that is lost in the middle only means that
// the next one is asked.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cli/http_connection.h"

namespace dunlin {

// A node that has not begun to answer an ordinary question by then is given up.
constexpr Duration kAnswerPatience = seconds(15);

// Percent-encodes what may not stand in a path's segment or a query's value.
std::string url_encoded(std::string_view text);

class Client {
 public:
  explicit Client(std::vector<std::string> servers) : servers_(std::move(servers)) {}

  // The node's answer, or its error. kUnreachable when no server answers.
  Result<HttpAnswer> call(std::string_view method, std::string_view target,
                          std::string_view body = {}, Duration patience = kAnswerPatience);

  // A stream: begin, then more until kEnd. An error status is the Result's error.
  Result<void> begin(std::string_view method, std::string_view target, std::string_view body = {});
  enum class More { kData, kEnd, kQuiet, kInterrupted };
  // Appends what came to `to`. kQuiet: nothing for that long (negative: wait for ever);
  // kInterrupted: a signal's handler ran. An error: the stream was cut off.
  Result<More> more(std::string& to, int timeout_ms);

  // The server that answered last.
  const std::string& server() const { return servers_[at_]; }
  // "no node answers at ...", with what was found at the last one that was tried.
  Error nobody(const Error& last) const;

 private:
  Result<void> exchange(std::string_view method, std::string_view target, std::string_view body,
                        Duration patience, bool whole);
  Result<void> wait(bool whole, Duration patience);

  std::vector<std::string> servers_;
  std::size_t at_ = 0;
  HttpConnection connection_;
};

}  // namespace dunlin
