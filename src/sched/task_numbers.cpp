#include "sched/task_numbers.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin::sched {

namespace {

std::uint32_t size_of(const TaskRange& range) {
  return (range.last - range.first) / range.step + 1;
}

}  // namespace

void join_overlaps(std::vector<IndexRun>& runs) {
  std::sort(runs.begin(), runs.end());
  std::size_t last = 0;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    IndexRun& before = runs[last];
    if (runs[i].first <= before.end()) {
      before.count = std::max(before.end(), runs[i].end()) - before.first;
    } else {
      runs[++last] = runs[i];
    }
  }
  if (!runs.empty()) runs.resize(last + 1);
}

bool are_ascending(const std::vector<TaskRange>& ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].step == 0 || ranges[i].last < ranges[i].first) return false;
    if (i > 0 && ranges[i].first <= ranges[i - 1].last) return false;
  }
  return true;
}

TaskNumbers::TaskNumbers(const std::vector<TaskRange>& ranges) : ranges_(ranges) {
  ASSERT(are_ascending(ranges_));
  for (const TaskRange& range : ranges_) {
    starts_.push_back(count_);
    count_ += size_of(range);
  }
}

std::uint32_t TaskNumbers::number_of(std::uint32_t index) const {
  return piece_from(index).number;
}

TaskNumbers::Piece TaskNumbers::piece_from(std::uint32_t index) const {
  ASSERT(index < count_);
  const auto after = std::upper_bound(starts_.begin(), starts_.end(), index);
  const auto at = static_cast<std::size_t>(after - starts_.begin()) - 1;
  const TaskRange& range = ranges_[at];
  const std::uint32_t steps = index - starts_[at];
  const std::uint32_t end = after == starts_.end() ? count_ : *after;
  return {range.first + steps * range.step, range.step, end - index};
}

std::uint32_t TaskNumbers::first_from(std::uint32_t number) const {
  for (std::size_t at = 0; at < ranges_.size(); ++at) {
    const TaskRange& range = ranges_[at];
    if (number <= range.first) return starts_[at];
    const std::uint32_t steps = (number - range.first + range.step - 1) / range.step;
    if (steps < size_of(range)) return starts_[at] + steps;
  }
  return count_;
}

std::optional<std::uint32_t> TaskNumbers::index_of(std::uint32_t number) const {
  const std::uint32_t index = first_from(number);
  if (index == count_ || number_of(index) != number) return std::nullopt;
  return index;
}

std::vector<IndexRun> TaskNumbers::indices_of(const std::vector<TaskRange>& numbers) const {
  std::vector<IndexRun> runs;
  auto add = [&](std::uint32_t first, std::uint32_t count) {
    if (count > 0) runs.push_back({first, count});
  };
  for (const TaskRange& range : numbers) {
    if (range.step == 0 || range.last < range.first) continue;
    const std::uint32_t first = first_from(range.first);
    const std::uint32_t end = range.last == UINT32_MAX ? count_ : first_from(range.last + 1);
    if (range.step == 1) {
      add(first, end > first ? end - first : 0);
      continue;
    }
    for (std::uint32_t index = first; index < end; ++index) {
      if ((number_of(index) - range.first) % range.step == 0) add(index, 1);
    }
  }
  join_overlaps(runs);
  return runs;
}

}  // namespace dunlin::sched
