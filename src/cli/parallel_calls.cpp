#include "cli/parallel_calls.h"

#include <poll.h>

#include <cerrno>

#include "cli/http_connection.h"
#include "cli/interrupts.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr int kMaxLosses = 3;        // of one connection while one body is on its way
constexpr int kPatienceMs = 60'000;  // of the whole, without any step

}  // namespace

struct ParallelCalls::Lane {
  HttpConnection connection;
  std::size_t number = 0;
  std::string body;  // kept until answered: a lost connection sends it again
  bool is_busy = false;
  int losses = 0;
};

ParallelCalls::ParallelCalls(const Client& client, std::string method, std::string target,
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
    const int ready = poll_counting(waiting.data(), waiting.size(), kPatienceMs);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      return fail(Code::kTimeout, client_.server() + ": the node does not take the files");
    }
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (waiting[i].revents == 0) continue;
      if (Result<void> fine = step(*polled[i], done); !fine) return fine;
    }
  }
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
    const Result<void> opened = lane.connection.open(client_.server());
    if (!opened) return tl::unexpected(client_.nobody(opened.error()));
  }
  lane.connection.send(method_, target_, lane.body);
  return {};
}

Result<void> ParallelCalls::step(Lane& lane, const TakeAnswer& done) {
  if (Result<void> fine = lane.connection.step(); !fine) {
    if (++lane.losses > kMaxLosses) return fine;
    return begin(lane);
  }
  if (!lane.connection.is_done()) return {};
  const HttpAnswer answer = lane.connection.take_answer();
  if (answer.status >= 400) return tl::unexpected(error_from_json(answer.body));
  lane.is_busy = false;
  return done(lane.number, answer);
}

}  // namespace dunlin
