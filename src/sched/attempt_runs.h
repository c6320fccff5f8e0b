// A set of attempts at tasks of one job, kept as runs of neighbouring tasks: what a node holds, as
// the node and the coordinator each see it. Both keep a digest that does not depend on the order
// of changes, so that one number tells whether they agree.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/fields.h"
#include "sched/job.h"

namespace dunlin::sched {

// The same attempt at `count` neighbouring tasks, named by index.
struct TaskRun {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  Attempt attempt;
  bool operator==(const TaskRun&) const = default;
  std::uint32_t end() const { return first + count; }
  static constexpr auto fields() {
    return Fields<&TaskRun::first, &TaskRun::count, &TaskRun::attempt>{};
  }
};

// True when the run is one that a job of so many tasks can have.
bool is_within(const TaskRun& run, std::uint32_t task_count);

class AttemptRuns {
 public:
  // At most one attempt of a task is in the set: an added one replaces another of the same task.
  void add(const TaskRun& run);
  // Takes out those of the run's tasks that are held with exactly this attempt; returns how many.
  std::uint32_t remove(const TaskRun& run);
  void clear();

  std::optional<Attempt> find(std::uint32_t index) const;
  bool contains(std::uint32_t index, const Attempt& attempt) const;
  // The parts of indices first .. end - 1 that are in the set, whatever the attempt.
  std::vector<TaskRun> within(std::uint32_t first, std::uint32_t end) const;
  // The parts of `run` that are in the set with its attempt.
  std::vector<TaskRun> common(const TaskRun& run) const;
  std::vector<TaskRun> runs() const;

  std::uint32_t size() const { return size_; }
  bool is_empty() const { return size_ == 0; }
  std::uint64_t digest() const { return digest_; }

 private:
  struct Rest {
    std::uint32_t count = 0;
    Attempt attempt;
  };
  // Cuts runs so that one begins at `index`, if any covers it.
  void cut_at(std::uint32_t index);
  // Makes one run of two that meet at `index` with the same attempt: the set stays small.
  void join_at(std::uint32_t index);
  void forget(std::map<std::uint32_t, Rest>::iterator at);

  std::map<std::uint32_t, Rest> runs_;  // by first index
  std::uint32_t size_ = 0;
  std::uint64_t digest_ = 0;
};

}  // namespace dunlin::sched
