// Tasks have two names. People use the *number* (--array 10-90:10 has 10, 20, ... 90); the
// scheduler uses the dense *index* 0 .. count-1 in number order, so that columns have no holes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/fields.h"
#include "sched/job.h"

namespace dunlin::sched {

// Indices first .. first + count - 1.
struct IndexRun {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::uint32_t end() const { return first + count; }
  auto operator<=>(const IndexRun&) const = default;
  static constexpr auto fields() { return Fields<&IndexRun::first, &IndexRun::count>{}; }
};

// Makes them ascend, each task once.
void join_overlaps(std::vector<IndexRun>& runs);

// Ascending, disjoint, none empty: what TaskNumbers takes.
bool are_ascending(const std::vector<TaskRange>& ranges);

class TaskNumbers {
 public:
  TaskNumbers() = default;
  // Asserts are_ascending(ranges).
  explicit TaskNumbers(const std::vector<TaskRange>& ranges);

  std::uint32_t count() const { return count_; }
  std::uint32_t number_of(std::uint32_t index) const;
  // The number of the task and how many from it on, itself included, follow each other in steps.
  struct Piece {
    std::uint32_t number = 0;
    std::uint32_t step = 1;
    std::uint32_t count = 0;
  };
  Piece piece_from(std::uint32_t index) const;
  std::optional<std::uint32_t> index_of(std::uint32_t number) const;
  // The index of the first task whose number is at least this; count() when there is none.
  std::uint32_t first_from(std::uint32_t number) const;
  // Those of the given numbers that are tasks, as disjoint ascending runs.
  std::vector<IndexRun> indices_of(const std::vector<TaskRange>& numbers) const;

 private:
  std::vector<TaskRange> ranges_;
  std::vector<std::uint32_t> starts_;  // index of each range's first task
  std::uint32_t count_ = 0;
};

}  // namespace dunlin::sched
