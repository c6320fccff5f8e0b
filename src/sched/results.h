// What an executor reports of ended attempts. Plain successes travel as runs with columns of
// bytes, everything else one by one. The same structs are committed to the group's log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/time.h"
#include "sched/attempt_runs.h"
#include "sched/job.h"

namespace dunlin::sched {

constexpr std::size_t kMaxInlineOutput = 4 * 1024;       // of one stream, in a result
constexpr std::size_t kMaxBatchResults = 64;             // that are not plain, in one batch
constexpr std::uint32_t kMaxBatchTasks = 16 * 1024;      // plain ones
constexpr std::size_t kMaxDetail = 500;                  // bytes of a line for people
constexpr std::size_t kMaxOutputFiles = 1000;            // kept of an attempt
constexpr std::size_t kMaxOutputListBytes = 640 * 1024;  // of their names and pieces
// Of results that are not plain and travel together. The longest one fits, and fits into an entry.
constexpr std::size_t kMaxBatchBytes = 768 * 1024;
constexpr std::size_t kMaxLogPieces = 1024;  // in one message

// Exit code 0, no output of any kind. A column that is empty stands for zeros.
struct PlainResults {
  TaskRun run;
  WallTime finished;     // of the first of them
  Bytes finished_after;  // u16 each: milliseconds later than `finished`
  Bytes durations;       // u16 each: small float of milliseconds
  Bytes usage;           // u16 twice each: small floats of cpu milliseconds and of KiB
  static constexpr auto fields() {
    using P = PlainResults;
    return Fields<&P::run, &P::finished, &P::finished_after, &P::durations, &P::usage>{};
  }
};

// Bytes [offset, offset + length) of a stream lie at [at, at + length) of a log segment.
struct LogPiece {
  bool is_stderr = false;
  std::uint64_t offset = 0;
  BlobRef segment;
  std::uint32_t at = 0;
  std::uint32_t length = 0;
  static constexpr auto fields() {
    using P = LogPiece;
    return Fields<&P::is_stderr, &P::offset, &P::segment, &P::at, &P::length>{};
  }
};

// The end of a stream that is small enough to ride in the result.
struct InlineOutput {
  std::uint64_t offset = 0;
  Bytes bytes;
  static constexpr auto fields() { return Fields<&InlineOutput::offset, &InlineOutput::bytes>{}; }
};

struct TaskResult {
  std::uint32_t index = 0;
  Attempt attempt;
  Reason reason = Reason::kNone;  // kNone: a success
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;
  std::string detail;
  WallTime finished;
  std::uint64_t duration_ms = 0;
  std::uint64_t cpu_ms = 0;
  std::uint64_t max_rss = 0;  // bytes
  InlineOutput out, err;
  bool log_truncated = false;
  std::vector<OutputFile> outputs;
  bool is_success() const { return reason == Reason::kNone; }
  static constexpr auto fields() {
    using R = TaskResult;
    return Fields<&R::index, &R::attempt, &R::reason, &R::exit_code, &R::signal, &R::detail,
                  &R::finished, &R::duration_ms, &R::cpu_ms, &R::max_rss, &R::out, &R::err,
                  &R::log_truncated, &R::outputs>{};
  }
};

// What an attempt has used that its coordinator dropped while it ran: told once it is gone, and no
// result.
struct DroppedUsage {
  std::uint32_t index = 0;
  Attempt attempt;
  WallTime finished;
  std::uint64_t duration_ms = 0;
  std::uint64_t cpu_ms = 0;
  std::uint64_t max_rss = 0;  // bytes
  static constexpr auto fields() {
    using D = DroppedUsage;
    return Fields<&D::index, &D::attempt, &D::finished, &D::duration_ms, &D::cpu_ms, &D::max_rss>{};
  }
};

struct ResultBatch {
  std::vector<PlainResults> plain;
  std::vector<TaskResult> others;
  std::vector<DroppedUsage> dropped;
  bool has_results() const { return !plain.empty() || !others.empty(); }
  static constexpr auto fields() {
    using B = ResultBatch;
    return Fields<&B::plain, &B::others, &B::dropped>{};
  }
};

// Where output of an attempt lies by now.
struct AttemptLogs {
  std::uint32_t index = 0;
  Attempt attempt;
  std::vector<LogPiece> pieces;
  static constexpr auto fields() {
    return Fields<&AttemptLogs::index, &AttemptLogs::attempt, &AttemptLogs::pieces>{};
  }
};

// About how long a result is when encoded; never shorter than it is.
std::size_t encoded_size(const OutputFile& output);
std::size_t encoded_size(const TaskResult& result);

// Every attempt that a batch ends.
std::vector<TaskRun> attempts_of(const ResultBatch& batch);
DroppedUsage usage_of(const TaskResult& result);
// What every attempt of a batch has used, whether it was dropped or has a result.
std::vector<DroppedUsage> usages_of(const ResultBatch& batch);
// Numbers in range for a job of so many tasks, columns of the right length, limits kept.
bool is_well_formed(const ResultBatch& batch, std::uint32_t task_count);
bool is_well_formed(const AttemptLogs& logs, std::uint32_t task_count);

// The u16 at position `at` of a column; 0 where the column is empty.
std::uint16_t column_at(const Bytes& column, std::size_t at);
void column_push(Bytes& column, std::uint16_t value);

}  // namespace dunlin::sched
