#include "sched/task_columns.h"

#include <algorithm>
#include <bit>

#include "base/assert.h"

namespace dunlin::sched {

namespace {

constexpr std::uint32_t kMantissaBits = 11;

void put_u16(Bytes& to, std::uint16_t value) {
  to.push_back(static_cast<std::uint8_t>(value));
  to.push_back(static_cast<std::uint8_t>(value >> 8));
}

std::uint16_t get_u16(const std::uint8_t* from) {
  return static_cast<std::uint16_t>(from[0] | (from[1] << 8));
}

}  // namespace

std::uint16_t to_small_float(std::uint64_t value) {
  const auto width = static_cast<std::uint32_t>(std::bit_width(value));
  const std::uint32_t exponent = width > kMantissaBits ? width - kMantissaBits : 0;
  if (exponent > 31) return UINT16_MAX;
  return static_cast<std::uint16_t>((exponent << kMantissaBits) | (value >> exponent));
}

std::uint64_t from_small_float(std::uint16_t packed) {
  return std::uint64_t{packed & ((1U << kMantissaBits) - 1U)} << (packed >> kMantissaBits);
}

TaskColumns::TaskColumns(std::uint32_t task_count)
    : count_(task_count), chunks_((task_count + kChunk - 1) / kChunk) {}

std::uint32_t TaskColumns::size_of(std::uint32_t chunk) const {
  return std::min(kChunk, count_ - chunk * kChunk);
}

TaskColumns::Chunk& TaskColumns::chunk_of(std::uint32_t index) {
  std::unique_ptr<Chunk>& chunk = chunks_[index / kChunk];
  if (!chunk) {
    const std::uint32_t size = size_of(index / kChunk);
    chunk = std::make_unique<Chunk>();
    chunk->states.resize(size);
    chunk->nodes.resize(size);
    chunk->finished.resize(size);
    chunk->durations.resize(size);
  }
  return *chunk;
}

Closed TaskColumns::state(std::uint32_t index) const {
  ASSERT(index < count_);
  const std::unique_ptr<Chunk>& chunk = chunks_[index / kChunk];
  return chunk ? chunk->states[index % kChunk] : Closed::kOpen;
}

TaskColumns::Row TaskColumns::row(std::uint32_t index) const {
  ASSERT(index < count_);
  const std::unique_ptr<Chunk>& chunk = chunks_[index / kChunk];
  if (!chunk) return {};
  const std::uint32_t at = index % kChunk;
  Row row{chunk->nodes[at], chunk->finished[at], chunk->durations[at]};
  if (!chunk->usage.empty()) {
    row.cpu = chunk->usage[2 * at];
    row.rss = chunk->usage[2 * at + 1];
  }
  return row;
}

void TaskColumns::close(std::uint32_t index, Closed state, const Row& row) {
  ASSERT(index < count_ && state != Closed::kOpen);
  Chunk& chunk = chunk_of(index);
  const std::uint32_t at = index % kChunk;
  ASSERT(chunk.states[at] == Closed::kOpen);
  chunk.states[at] = state;
  chunk.nodes[at] = row.node;
  chunk.finished[at] = row.finished_ms;
  chunk.durations[at] = row.duration;
  if (row.cpu == 0 && row.rss == 0 && chunk.usage.empty()) return;
  if (chunk.usage.empty()) chunk.usage.resize(2 * chunk.states.size());
  chunk.usage[2 * at] = row.cpu;
  chunk.usage[2 * at + 1] = row.rss;
}

void TaskColumns::reopen(std::uint32_t index, std::uint32_t opened_by) {
  ASSERT(state(index) != Closed::kOpen);
  Chunk& chunk = chunk_of(index);
  chunk.states[index % kChunk] = Closed::kOpen;
  chunk.finished[index % kChunk] = opened_by;
}

std::uint32_t TaskColumns::opened_by(std::uint32_t index) const {
  ASSERT(state(index) == Closed::kOpen);
  const std::unique_ptr<Chunk>& chunk = chunks_[index / kChunk];
  return chunk ? chunk->finished[index % kChunk] : 0;
}

Bytes TaskColumns::encode_chunk(std::uint32_t number) const {
  Bytes bytes;
  if (!chunks_[number]) return bytes;
  const Chunk& chunk = *chunks_[number];
  const std::size_t size = chunk.states.size();
  bytes.reserve(size * (chunk.usage.empty() ? 9 : 13));
  for (const Closed state : chunk.states) bytes.push_back(static_cast<std::uint8_t>(state));
  for (const std::uint16_t node : chunk.nodes) put_u16(bytes, node);
  for (const std::uint32_t finished : chunk.finished) {
    put_u16(bytes, static_cast<std::uint16_t>(finished));
    put_u16(bytes, static_cast<std::uint16_t>(finished >> 16));
  }
  for (const std::uint16_t duration : chunk.durations) put_u16(bytes, duration);
  for (const std::uint16_t used : chunk.usage) put_u16(bytes, used);
  return bytes;
}

Result<void> TaskColumns::decode_chunk(std::uint32_t number, ByteView bytes) {
  if (number >= chunks_.size()) return fail(Code::kCorrupt, "a job's chunk beyond its tasks");
  const std::size_t size = size_of(number);
  if (bytes.size() != size * 9 && bytes.size() != size * 13) {
    return fail(Code::kCorrupt, "a job's chunk of the wrong length");
  }
  chunks_[number].reset();
  Chunk& chunk = chunk_of(number * kChunk);
  const std::uint8_t* at = bytes.data();
  for (std::size_t i = 0; i < size; ++i) {
    if (at[i] > static_cast<std::uint8_t>(Closed::kCancelled)) {
      return fail(Code::kCorrupt, "a task in no known state");
    }
    chunk.states[i] = static_cast<Closed>(at[i]);
    chunk.nodes[i] = get_u16(at + size + 2 * i);
    chunk.finished[i] = get_u32(at + 3 * size + 4 * i);
    chunk.durations[i] = get_u16(at + 7 * size + 2 * i);
  }
  if (bytes.size() == size * 9) return {};
  chunk.usage.resize(2 * size);
  for (std::size_t i = 0; i < 2 * size; ++i) chunk.usage[i] = get_u16(at + 9 * size + 2 * i);
  return {};
}

std::uint32_t TaskColumns::count(Closed state) const {
  std::uint32_t counted = 0;
  for (std::uint32_t number = 0; number < chunk_count(); ++number) {
    if (chunks_[number]) {
      const auto& states = chunks_[number]->states;
      counted += static_cast<std::uint32_t>(std::count(states.begin(), states.end(), state));
    } else if (state == Closed::kOpen) {
      counted += size_of(number);
    }
  }
  return counted;
}

}  // namespace dunlin::sched
