#include "sched/attempt_runs.h"

#include "base/assert.h"
#include "base/random.h"

namespace dunlin::sched {

namespace {

// A sum of one well-mixed number per attempt: order does not matter, removal is subtraction.
std::uint64_t digest_of(std::uint32_t first, std::uint32_t count, const Attempt& attempt) {
  const std::uint64_t seed =
      mix64(mix64(mix64(attempt.epoch + kGolden64) ^ attempt.round) ^ attempt.number);
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += mix64(seed + first + i);
  return sum;
}

}  // namespace

bool is_within(const TaskRun& run, std::uint32_t task_count) {
  return run.count > 0 && run.first < task_count && run.count <= task_count - run.first;
}

void AttemptRuns::cut_at(std::uint32_t index) {
  auto after = runs_.upper_bound(index);
  if (after == runs_.begin()) return;
  const auto at = std::prev(after);
  const std::uint32_t end = at->first + at->second.count;
  if (at->first == index || end <= index) return;
  at->second.count = index - at->first;
  runs_.emplace_hint(after, index, Rest{end - index, at->second.attempt});
}

void AttemptRuns::join_at(std::uint32_t index) {
  const auto at = runs_.find(index);
  if (at == runs_.end() || at == runs_.begin()) return;
  const auto before = std::prev(at);
  if (before->first + before->second.count != index) return;
  if (before->second.attempt != at->second.attempt) return;
  before->second.count += at->second.count;
  runs_.erase(at);
}

void AttemptRuns::forget(std::map<std::uint32_t, Rest>::iterator at) {
  digest_ -= digest_of(at->first, at->second.count, at->second.attempt);
  size_ -= at->second.count;
  runs_.erase(at);
}

void AttemptRuns::add(const TaskRun& run) {
  ASSERT(run.count > 0);
  cut_at(run.first);
  cut_at(run.end());
  for (auto at = runs_.lower_bound(run.first); at != runs_.end() && at->first < run.end();) {
    forget(at++);
  }
  digest_ += digest_of(run.first, run.count, run.attempt);
  size_ += run.count;
  runs_.emplace(run.first, Rest{run.count, run.attempt});
  join_at(run.first);
  join_at(run.end());
}

std::uint32_t AttemptRuns::remove(const TaskRun& run) {
  cut_at(run.first);
  cut_at(run.end());
  std::uint32_t removed = 0;
  for (auto at = runs_.lower_bound(run.first); at != runs_.end() && at->first < run.end();) {
    const auto here = at++;
    if (here->second.attempt != run.attempt) continue;
    removed += here->second.count;
    forget(here);
  }
  join_at(run.first);
  join_at(run.end());
  return removed;
}

void AttemptRuns::clear() {
  runs_.clear();
  size_ = 0;
  digest_ = 0;
}

std::optional<Attempt> AttemptRuns::find(std::uint32_t index) const {
  const auto after = runs_.upper_bound(index);
  if (after == runs_.begin()) return std::nullopt;
  const auto at = std::prev(after);
  if (at->first + at->second.count <= index) return std::nullopt;
  return at->second.attempt;
}

bool AttemptRuns::contains(std::uint32_t index, const Attempt& attempt) const {
  return find(index) == attempt;
}

std::vector<TaskRun> AttemptRuns::within(std::uint32_t first, std::uint32_t end) const {
  std::vector<TaskRun> parts;
  auto at = runs_.upper_bound(first);
  if (at != runs_.begin()) --at;
  for (; at != runs_.end() && at->first < end; ++at) {
    const std::uint32_t from = std::max(at->first, first);
    const std::uint32_t to = std::min(at->first + at->second.count, end);
    if (from < to) parts.push_back({from, to - from, at->second.attempt});
  }
  return parts;
}

std::vector<TaskRun> AttemptRuns::common(const TaskRun& run) const {
  std::vector<TaskRun> parts = within(run.first, run.end());
  std::erase_if(parts, [&](const TaskRun& part) { return part.attempt != run.attempt; });
  return parts;
}

std::vector<TaskRun> AttemptRuns::runs() const {
  std::vector<TaskRun> all;
  all.reserve(runs_.size());
  for (const auto& [first, rest] : runs_) all.push_back({first, rest.count, rest.attempt});
  return all;
}

}  // namespace dunlin::sched
