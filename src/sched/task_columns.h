// What is known of finished tasks, as columns of bytes: 9 bytes a task (13 where processor time
// or memory were measured), in chunks that exist only once one of their tasks is final. A million
// tasks are 9 MB and no map node.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "sched/job.h"

namespace dunlin::sched {

// Sixteen bits for any magnitude, within 1/1024 of it: 11 bits of mantissa, 5 of exponent.
std::uint16_t to_small_float(std::uint64_t value);
std::uint64_t from_small_float(std::uint16_t packed);

// Of a task: kOpen until it is final. The values go to disk.
enum class Closed : std::uint8_t { kOpen = 0, kDone = 1, kFailed = 2, kCancelled = 3 };

class TaskColumns {
 public:
  static constexpr std::uint32_t kChunk = 4096;  // tasks

  struct Row {
    std::uint16_t node = 0;         // index into the job's node table
    std::uint32_t finished_ms = 0;  // after submission, at most ~49 days
    std::uint16_t duration = 0;     // small floats: milliseconds,
    std::uint16_t cpu = 0;          // milliseconds,
    std::uint16_t rss = 0;          // KiB
  };

  explicit TaskColumns(std::uint32_t task_count = 0);

  std::uint32_t task_count() const { return count_; }
  Closed state(std::uint32_t index) const;
  Row row(std::uint32_t index) const;
  void close(std::uint32_t index, Closed state, const Row& row);
  // `opened_by` is kept of it until it is closed again; 0 of one that was never closed.
  void reopen(std::uint32_t index, std::uint32_t opened_by);
  std::uint32_t opened_by(std::uint32_t index) const;

  std::uint32_t chunk_count() const { return static_cast<std::uint32_t>(chunks_.size()); }
  // Bytes of one chunk for a checkpoint; empty for one without a final task.
  Bytes encode_chunk(std::uint32_t chunk) const;
  Result<void> decode_chunk(std::uint32_t chunk, ByteView bytes);
  // Tasks of each state, counted anew.
  std::uint32_t count(Closed state) const;

 private:
  struct Chunk {
    std::vector<Closed> states;
    std::vector<std::uint16_t> nodes;
    std::vector<std::uint32_t> finished;  // of an open task: what opened it
    std::vector<std::uint16_t> durations;
    std::vector<std::uint16_t> usage;  // cpu, rss alternately; empty while all are 0
  };
  std::uint32_t size_of(std::uint32_t chunk) const;
  Chunk& chunk_of(std::uint32_t index);

  std::uint32_t count_ = 0;
  std::vector<std::unique_ptr<Chunk>> chunks_;
};

}  // namespace dunlin::sched
