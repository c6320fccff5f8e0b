#include "cli/job_text.h"

#include "cli/units.h"
#include "os/clock.h"

namespace dunlin {

std::string age_of(WallTime time, WallTime now) {
  return time_between(time, now, now);
}

std::string time_between(WallTime from, WallTime to, WallTime now) {
  if (from.ms == 0) return "-";
  const std::int64_t ms = (to.ms == 0 ? now.ms : to.ms) - from.ms;
  // Two hosts' clocks may differ a little.
  return text_of(milliseconds(ms < 0 ? 0 : ms));
}

std::string progress_of(const JobSummary& job) {
  const TaskCounts& tasks = job.tasks;
  std::string text = std::to_string(tasks.done) + "/" + std::to_string(tasks.total) + " done";
  const auto add = [&](std::uint32_t count, const char* what) {
    if (count > 0) text += ", " + std::to_string(count) + " " + what;
  };
  add(tasks.running, "running");
  add(tasks.queued, "queued");
  add(tasks.waiting, "waiting");
  add(tasks.paused, "paused");
  add(tasks.failed, "failed");
  add(tasks.cancelled, "cancelled");
  if (tasks.running == 0 && job.reason != Reason::kNone) {
    text += std::string(" (") + name_of(job.reason) + ")";
  }
  return text;
}

std::string how_it_ended(const JobSummary& job) {
  std::string text = job.id.text() + ": " + name_of(job.state);
  const TaskCounts& tasks = job.tasks;
  if (tasks.total > 1 && job.state == JobState::kDone) {
    text += ", " + std::to_string(tasks.total) + " tasks";
  } else if (tasks.total > 1) {
    text += ", " + std::to_string(tasks.failed) + " of " + std::to_string(tasks.total) +
            " tasks failed";
    if (tasks.cancelled > 0) text += ", " + std::to_string(tasks.cancelled) + " cancelled";
  } else if (job.exit_code && *job.exit_code != 0) {
    text += ", exit " + std::to_string(*job.exit_code);
    // The code is the command's own, or of one that never ran.
    const bool is_its_own = job.reason == Reason::kExit || job.reason == Reason::kNone;
    if (!is_its_own) text += std::string(", ") + name_of(job.reason);
  } else if (job.state == JobState::kFailed && job.reason != Reason::kNone) {
    text += std::string(", ") + name_of(job.reason);
  }
  const bool is_cancelled = job.state == JobState::kCancelled;
  if (is_cancelled && job.reason != Reason::kCancelled && job.reason != Reason::kNone) {
    text += std::string(", ") + name_of(job.reason);
  }
  if (job.started_at.ms != 0) {
    text += ", after " + time_between(job.started_at, job.finished_at, wall_now());
  }
  return text;
}

std::string why_of(const TaskView& task) {
  std::string text;
  if (task.signal) {
    text = "signal " + std::to_string(*task.signal);
    if (task.reason != Reason::kSignal && task.reason != Reason::kNone) {
      text += std::string(", ") + name_of(task.reason);
    }
  } else if (task.reason == Reason::kExit && task.exit_code) {
    text = "exit " + std::to_string(*task.exit_code);
  } else if (task.reason == Reason::kMissingExecutable || task.reason == Reason::kCannotExecute) {
    if (!task.detail.empty()) return task.detail;
    text = name_of(task.reason);
  } else if (task.reason != Reason::kNone) {
    text = name_of(task.reason);
  }
  if (task.reason == Reason::kMemory && task.max_rss.value_or(0) > 0) {
    text += ", at most " + size_text(*task.max_rss) + " used";
  }
  if (!task.detail.empty()) text += (text.empty() ? "" : ": ") + task.detail;
  return text;
}

}  // namespace dunlin
