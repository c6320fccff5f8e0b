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

using GroupRequest = std::variant<SubmitJob, ShowJob, WatchJob, ListTasks, CancelTasks, LocateLog>;
using GroupAnswer = std::variant<Submitted, JobView, JobChanged, TaskList, Cancelled, LogPlace>;

constexpr std::size_t kMaxPlacePieces = 64;

}  // namespace dunlin::sched
