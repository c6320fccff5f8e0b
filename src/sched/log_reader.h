// Reads a task's output for a client: asks the leader where it lies, then takes it from there: out
// of the result, out of a segment's blob, or live from the executor. Everything goes by offset in
// the attempt's stream, so that a takeover, a restart or another node causes neither gap nor
// repeat.
#pragma once

#include <cstdint>
#include <map>

#include "sched/group_requests.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxReads = 4096;               // under way from this node
constexpr std::uint32_t kMaxReadBytes = 1024 * 1024;  // of one answer
constexpr Duration kFollow = seconds(20);             // a follower's answer waits so long
constexpr Duration kReadPatience = seconds(10);       // any other's

class LogReader {
 public:
  LogReader(std::uint16_t group_count, std::uint64_t first_token)
      : group_count_(group_count), next_token_(first_token) {}

  void read(Turn& turn, std::uint64_t request, const ReadLog& what);
  bool on_reply(Turn& turn, std::uint64_t token, const Result<Bytes>& reply);
  bool on_fetched(Turn& turn, std::uint64_t token, const Result<Bytes>& content);
  void on(Turn& turn, const TailReply& reply);

  void tick(Turn& turn);
  Instant next_deadline() const;

 private:
  struct Read {
    ReadLog what;
    Instant until;                          // then with what there is
    std::uint64_t token = 0;                // of the step under way
    Instant step_until = Instant::never();  // of a step that may stay unanswered
    Instant locate_at = Instant::never();   // a pause before asking again
    Attempt attempt;
    Attempt ended;                 // the executor said that it is over
    std::vector<LogPiece> pieces;  // of one answer, those not fetched yet; the first one is
    Bytes data;                    // of those that were
    bool is_all = false;           // nothing comes behind the pieces
    bool truncated = false;

    std::size_t room() const { return what.limit - data.size(); }
  };

  void locate(Turn& turn, std::uint64_t request, Read& read);
  void take(Turn& turn, std::uint64_t request, Read& read, const LogPlace& place);
  void fetch(Turn& turn, std::uint64_t request, Read& read);
  void tail(Turn& turn, std::uint64_t request, Read& read, const LogPlace& place);
  void again(Turn& turn, std::uint64_t request, Read& read);
  void answer(Turn& turn, std::uint64_t request, const Read& read, Bytes data, bool end);
  void fail_read(Turn& turn, std::uint64_t request, const Error& error);
  Read* find(std::uint64_t token, std::uint64_t& request);

  const std::uint16_t group_count_;
  std::uint64_t next_token_;
  std::map<std::uint64_t, Read> reads_;            // by request
  std::map<std::uint64_t, std::uint64_t> tokens_;  // token -> request
};

}  // namespace dunlin::sched
