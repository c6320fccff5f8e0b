// The end of a seed, all being quiet: every job and task that was acknowledged is asked for again,
// what the tasks wrote and the blobs are read, and all of it is what the commands said and the
// clients were told.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/checkers/history.h"
#include "sim/sim_runner.h"
#include "sim/sim_world.h"

namespace dunlin::sim {

// An error that another node, or the same one later, may not have.
bool may_pass(const Error& error);

template <class T>
const T* job_answer(const Result<client::Answer>& answer) {
  if (!answer) return nullptr;
  const auto* held = std::get_if<JobAnswer>(&*answer);
  return held == nullptr ? nullptr : std::get_if<T>(held);
}

// In what a final task, not cancelled, has become something else than its command and what became
// of its attempts allow; empty: in nothing.
std::string misjudged(const JobSpec& spec, const TaskView& task, const SimRunner::Ends& ends);

class ReadBack {
 public:
  struct Count {
    std::size_t blobs = 0, logs = 0, outputs = 0;
    std::size_t cancelled = 0;  // jobs with a cancelled task
  };

  // `any_host` names whom to ask next.
  ReadBack(SimWorld& world, HistoryChecker& history, Random& random,
           std::function<HostIndex()> any_host);

  void all();
  const Count& count() const { return count_; }

 private:
  struct Stream {
    JobId job;
    std::uint32_t task = 0;
    bool is_stderr = false;
    std::string text() const;
  };

  Result<client::Answer> insist(client::Request request);
  void fail(const std::string& promise, const std::string& what);
  void unreadable(const JobId& id, const Error& error);
  void job(const JobId& id);
  bool all_tasks(const JobId& id, std::vector<TaskView>& tasks);
  void task(const JobSpec& spec, const TaskView& task);
  void log(const Stream& stream, std::uint64_t expected);
  void outputs(const Script& script, const TaskView& task);
  void blobs();

  SimWorld& world_;
  HistoryChecker& history_;
  Random& random_;
  std::function<HostIndex()> any_host_;
  Count count_;
};

}  // namespace dunlin::sim
