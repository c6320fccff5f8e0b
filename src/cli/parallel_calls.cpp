#include "cli/parallel_calls.h"

#include <poll.h>

#include <cerrno>
#include <utility>

#include "cli/http_connection.h"
#include "cli/interrupts.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxLosses = 3;              // of each server, while one body is on its way
constexpr Duration kUploadPatience = seconds(20);  // without a sign of life of the last server left
constexpr int kLookMs = 1000;                      // how often that is looked for

}  // namespace

struct ParallelCalls::Lane {
  HttpConnection connection;
  std::size_t number = 0;
  std::string body;  // kept until answered: a lost connection sends it again
  bool is_busy = false;
  std::size_t losses = 0;
  std::string server;
  std::uint64_t moved = 0;  // as last seen
  std::int64_t heard_ms = 0;
};

ParallelCalls::ParallelCalls(Client& client, std::string method, std::string target,
                             std::size_t connections)
    : client_(client),
      method_(std::move(method)),
      target_(std::move(target)),
      connections_(connections) {}

ParallelCalls::~ParallelCalls() = default;

Result<void> ParallelCalls::run(const NextBody& next, const TakeAnswer& done) {
  while (true) {
    if (Result<void> fine = fill(next); !fine) return fine;
    std::vector<pollfd> waiting;
    std::vector<Lane*> polled;
    for (const auto& lane : lanes_) {
      if (!lane->is_busy) continue;
      waiting.push_back({lane->connection.fd(), lane->connection.events(), 0});
      polled.push_back(lane.get());
    }
    if (polled.empty()) return {};
    const int ready = poll_counting(waiting.data(), waiting.size(), kLookMs);
    if (ready < 0 && errno != EINTR) return fail(Code::kFailed, "poll failed");
    for (std::size_t i = 0; ready > 0 && i < polled.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      if (Result<void> fine = step(*polled[i], done); !fine) return fine;
    }
    if (Result<void> fine = check_for_life(); !fine) return fine;
  }
}

Result<void> ParallelCalls::check_for_life() {
  const std::int64_t now = monotonic_ms();
  for (const auto& lane : lanes_) {
    if (!lane->is_busy) continue;
    const std::uint64_t moved = lane->connection.moved();
    if (std::exchange(lane->moved, moved) != moved) lane->heard_ms = now;
    const bool has_another = lane->losses + 1 < client_.server_count();
    const Duration patience = has_another ? kSilencePatience : kUploadPatience;
    if (now - lane->heard_ms < patience.milliseconds()) continue;
    const Error silent{Code::kUnreachable, lane->server + ": the node does not take the files", ""};
    if (Result<void> fine = move_on(*lane, silent); !fine) return fine;
  }
  return {};
}

// Every lane gets work, as long as there is some.
Result<void> ParallelCalls::fill(const NextBody& next) {
  for (std::size_t i = 0; i < connections_ && !is_exhausted_; ++i) {
    if (i == lanes_.size()) lanes_.push_back(std::make_unique<Lane>());
    Lane& lane = *lanes_[i];
    if (lane.is_busy) continue;
    lane.body.clear();
    const Result<bool> given = next(lane.body);
    if (!given) return tl::unexpected(given.error());
    is_exhausted_ = !*given;
    if (is_exhausted_) break;
    lane.number = begun_++;
    lane.losses = 0;
    lane.is_busy = true;
    if (Result<void> fine = begin(lane); !fine) return fine;
  }
  return {};
}

Result<void> ParallelCalls::begin(Lane& lane) {
  if (!lane.connection.is_open()) {
    lane.server = client_.server();
    const Result<void> opened = client_.connect(lane.connection);
    if (!opened) return move_on(lane, opened.error());
  }
  lane.connection.send(method_, target_, lane.body);
  lane.heard_ms = monotonic_ms();
  return {};
}

// To the next server, unless another lane has found it already.
Result<void> ParallelCalls::move_on(Lane& lane, const Error& why) {
  lane.connection.close();
  if (++lane.losses > kMaxLosses * client_.server_count()) {
    return tl::unexpected(client_.nobody(why));
  }
  if (lane.server == client_.server()) client_.pass_over();
  return begin(lane);
}

Result<void> ParallelCalls::step(Lane& lane, const TakeAnswer& done) {
  if (Result<void> fine = lane.connection.step(); !fine) return move_on(lane, fine.error());
  if (!lane.connection.is_done()) return {};
  const HttpAnswer answer = lane.connection.take_answer();
  if (answer.status >= 400) return tl::unexpected(error_from_json(answer.body));
  lane.is_busy = false;
  return done(lane.number, answer);
}

}  // namespace dunlin
