// Attempts of which a node is known to hold no more, until the log says so: those that were lost
// with the node, and those that it gave back. At most one attempt of a task is among them.
#pragma once

#include <cstdint>
#include <vector>

#include "sched/attempt_runs.h"

namespace dunlin::sched {

class LosingAttempts {
 public:
  void add(const TaskRun& run, bool with_node) {
    AttemptRuns& other = with_node ? given_back_ : with_node_;
    for (const TaskRun& part : other.within(run.first, run.end())) other.remove(part);
    (with_node ? with_node_ : given_back_).add(run);
  }
  void remove(const TaskRun& run) {
    with_node_.remove(run);
    given_back_.remove(run);
  }
  void clear() {
    with_node_.clear();
    given_back_.clear();
  }

  bool is_empty() const { return with_node_.is_empty() && given_back_.is_empty(); }
  bool contains(std::uint32_t index, const Attempt& attempt) const {
    return with_node_.contains(index, attempt) || given_back_.contains(index, attempt);
  }
  // The parts of indices first .. end - 1, not in their order.
  std::vector<TaskRun> within(std::uint32_t first, std::uint32_t end) const {
    std::vector<TaskRun> all = with_node_.within(first, end);
    const std::vector<TaskRun> more = given_back_.within(first, end);
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<TaskRun> runs() const { return within(0, UINT32_MAX); }

  // One command says one thing of all that it names: which are to be told next, those that were
  // lost with the node, if there are any, or those that it gave back.
  bool is_next_with_node() const { return !with_node_.is_empty(); }
  std::vector<TaskRun> next() const {
    return is_next_with_node() ? with_node_.runs() : given_back_.runs();
  }

 private:
  AttemptRuns with_node_, given_back_;
};

}  // namespace dunlin::sched
