// Turns the frames of followed output (os/frames.h) into bytes on stdout and stderr. It remembers
// how much of each task's output was printed, so that after the stream was cut off and asked for
// again, from another node perhaps, there is neither gap nor repeat. A task that runs again repeats
// what it wrote: that is said.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "os/frames.h"
#include "sched/job.h"

namespace dunlin {

class FollowPrinter {
 public:
  // `prefixed`: lines begin with "7: ", and none is torn by another task's.
  // `interrupted` is called when an interrupt comes while stdout is waited for.
  explicit FollowPrinter(bool prefixed, std::function<void()> interrupted = {})
      : prefixed_(prefixed), interrupted_(std::move(interrupted)) {}

  // A new stream begins, from the beginning of everything.
  void restart();
  void feed(std::string_view bytes);

  // The stream has said that nothing is missing.
  bool is_complete() const { return complete_; }
  // Why no more can be printed, as an errno; 0: it can. EPIPE: nobody reads.
  int write_error() const { return write_error_; }
  // Something in the stream was no frame.
  bool is_broken() const { return reader_.is_broken(); }
  const std::optional<JobSummary>& job() const { return job_; }
  // Of `run`: the task that decides the exit code.
  const std::optional<TaskView>& worst() const { return worst_; }
  // What the node could not deliver.
  const std::optional<Error>& error() const { return error_; }

 private:
  struct Stream {
    std::string attempt;        // as the node names it
    std::uint64_t printed = 0;  // of this attempt
    std::uint64_t skip = 0;     // of what comes next: printed before the stream was cut off
    std::string partial;        // a line not yet ended, if lines are prefixed
  };

  void take(const Frame& frame);
  void print_output(Stream& stream, const Frame& frame);
  void write(bool is_stderr, std::string_view bytes);
  void flush_partial();
  void begin_attempt(std::uint32_t task, bool is_stderr, std::string_view attempt);

  bool prefixed_;
  std::function<void()> interrupted_;
  FrameReader reader_;
  // By task and whether it is stderr.
  std::map<std::pair<std::uint32_t, bool>, Stream> streams_;
  // By task: the attempt whose bytes are printed, and whether any were.
  struct Shown {
    std::string attempt;
    bool has_bytes = false;
  };
  std::map<std::uint32_t, Shown> shown_;
  std::optional<JobSummary> job_;
  std::optional<TaskView> worst_;
  std::optional<Error> error_;
  bool complete_ = false;
  int write_error_ = 0;
};

}  // namespace dunlin
