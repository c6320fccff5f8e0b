#include "sched/results.h"

#include <algorithm>

namespace dunlin::sched {

std::size_t encoded_size(const OutputFile& output) {
  return output.name.size() + 24 + 45 * output.content.size();
}

std::size_t encoded_size(const TaskResult& result) {
  std::size_t size = 200 + result.detail.size();
  size += result.out.bytes.size() + result.err.bytes.size();
  for (const OutputFile& output : result.outputs) size += encoded_size(output);
  return size;
}

std::vector<TaskRun> attempts_of(const ResultBatch& batch) {
  std::vector<TaskRun> runs;
  runs.reserve(batch.plain.size() + batch.others.size());
  for (const PlainResults& plain : batch.plain) runs.push_back(plain.run);
  for (const TaskResult& result : batch.others) runs.push_back({result.index, 1, result.attempt});
  return runs;
}

DroppedUsage usage_of(const TaskResult& result) {
  return {result.index,       result.attempt, result.finished,
          result.duration_ms, result.cpu_ms,  result.max_rss};
}

std::vector<DroppedUsage> usages_of(const ResultBatch& batch) {
  std::vector<DroppedUsage> usages = batch.dropped;
  for (const TaskResult& result : batch.others) usages.push_back(usage_of(result));
  for (const PlainResults& plain : batch.plain) {
    for (std::uint32_t i = 0; i < plain.run.count; ++i) {
      const WallTime finished{plain.finished.ms + column_at(plain.finished_after, i)};
      usages.push_back({plain.run.first + i, plain.run.attempt, finished,
                        from_small_float(column_at(plain.durations, i)),
                        from_small_float(column_at(plain.usage, 2 * i)),
                        from_small_float(column_at(plain.usage, 2 * i + 1)) * 1024});
    }
  }
  return usages;
}

bool is_well_formed(const ResultBatch& batch, std::uint32_t task_count) {
  const auto fits = [](const Bytes& column, std::size_t size) {
    return column.empty() || column.size() == size;
  };
  std::uint64_t tasks = 0;
  for (const PlainResults& plain : batch.plain) {
    const std::size_t count = plain.run.count;
    tasks += count;
    if (!is_within(plain.run, task_count)) return false;
    if (!fits(plain.finished_after, 2 * count) || !fits(plain.durations, 2 * count)) return false;
    if (!fits(plain.usage, 4 * count)) return false;
  }
  if (tasks > kMaxBatchTasks || batch.others.size() > kMaxBatchResults) return false;
  if (batch.dropped.size() > kMaxBatchResults) return false;
  return std::all_of(batch.others.begin(), batch.others.end(), [&](const TaskResult& result) {
    return result.index < task_count && result.detail.size() <= kMaxDetail &&
           result.out.bytes.size() <= kMaxInlineOutput &&
           result.err.bytes.size() <= kMaxInlineOutput;
  });
}

bool is_well_formed(const AttemptLogs& logs, std::uint32_t task_count) {
  if (logs.index >= task_count || logs.pieces.size() > kMaxLogPieces) return false;
  return std::all_of(logs.pieces.begin(), logs.pieces.end(), [](const LogPiece& piece) {
    return std::uint64_t{piece.at} + piece.length <= piece.segment.length;
  });
}

std::uint16_t column_at(const Bytes& column, std::size_t at) {
  if (column.empty()) return 0;
  return static_cast<std::uint16_t>(column[2 * at] | (column[2 * at + 1] << 8));
}

void column_push(Bytes& column, std::uint16_t value) {
  column.push_back(static_cast<std::uint8_t>(value));
  column.push_back(static_cast<std::uint8_t>(value >> 8));
}

}  // namespace dunlin::sched
