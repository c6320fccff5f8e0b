// What travels to the leader of a job's group on behalf of a client, wherever the client is: the
// bodies of AskGroup and ReplyGroup.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/codec.h"
#include "base/fields.h"
#include "sched/requests.h"
#include "sched/results.h"

namespace dunlin::sched {

// Where are the bytes that this read wants?
struct LocateLog {
  ReadLog read;
  // An attempt whose executor says that it is over: the answer waits until the log says so too.
  Attempt ended;
  static constexpr auto fields() { return Fields<&LocateLog::read, &LocateLog::ended>{}; }
};
struct LogPlace {
  bool exists = false;  // the task has an attempt, as asked for
  std::uint32_t index = 0;
  Attempt attempt;
  bool is_over = false;          // no further byte will come
  std::vector<LogPiece> pieces;  // those that end above the offset, the first ones
  bool has_more_pieces = false;
  InlineOutput rest;           // what the result carried
  std::optional<NodeId> node;  // runs it
  static constexpr auto fields() {
    using L = LogPlace;
    return Fields<&L::exists, &L::index, &L::attempt, &L::is_over, &L::pieces, &L::has_more_pieces,
                  &L::rest, &L::node>{};
  }
};

// From the coordinator of a job that waits for another: it is to hear how `id` ends. Once that is
// promised durably, the answer comes; kNotFound: there is no such job (any more).
struct AwaitJob {
  JobId id;
  JobId watcher;
  static constexpr auto fields() { return Fields<&AwaitJob::id, &AwaitJob::watcher>{}; }
};
struct Awaited {
  static constexpr auto fields() { return Fields<>{}; }
};
// From the coordinator of the one that has ended, until it is answered: `id` need not wait for it
// any more. kNotFound: nobody waits.
struct TellOutcome {
  JobId id;
  JobId dependency;
  bool is_done = false;  // ended well
  static constexpr auto fields() {
    using T = TellOutcome;
    return Fields<&T::id, &T::dependency, &T::is_done>{};
  }
};
struct OutcomeTaken {
  static constexpr auto fields() { return Fields<>{}; }
};

using GroupRequest = std::variant<SubmitJob, ShowJob, WatchJob, ListTasks, CancelTasks, LocateLog,
                                  OrderJob, AwaitJob, TellOutcome, ExplainTask>;
using GroupAnswer = std::variant<Submitted, JobView, JobChanged, TaskList, Cancelled, LogPlace,
                                 Ordered, Awaited, OutcomeTaken, Explained>;

constexpr std::size_t kMaxPlacePieces = 64;

}  // namespace dunlin::sched
