#include "sim/checkers/history.h"

#include <utility>

#include "sim/sim_runner.h"

namespace dunlin::sim {

namespace {

std::string outcome(const TaskView& task) {
  std::string text = std::string(name_of(task.state)) + " (" + name_of(task.reason) +
                     ") in attempt " + std::to_string(task.attempt);
  if (task.node) text += " on " + task.node->short_text();
  if (task.exit_code) text += " with " + std::to_string(*task.exit_code);
  return text;
}

std::string outcome(const JobSummary& job) {
  const TaskCounts& c = job.tasks;
  std::string text = std::string(name_of(job.state));
  for (const auto& [count, what] : {std::pair{c.waiting, "waiting"},
                                    {c.queued, "queued"},
                                    {c.running, "running"},
                                    {c.done, "done"},
                                    {c.failed, "failed"},
                                    {c.cancelled, "cancelled"}}) {
    if (count > 0) text += " " + std::to_string(count) + " " + what;
  }
  return text;
}

// A cancelled job is over in the log at once; its leader shows as running what has its grace.
JobSummary as_in_the_log(JobSummary job) {
  if (job.state != JobState::kRunning || job.reason != Reason::kCancelled) return job;
  job.state = JobState::kCancelled;
  job.tasks.cancelled += std::exchange(job.tasks.running, 0);
  return job;
}

}  // namespace

void HistoryChecker::seen(Instant at, Instant asked, const JobSummary& shown) {
  const JobSummary job = as_in_the_log(shown);
  const auto known = jobs_.find(job.id);
  if (known == jobs_.end()) {
    verdict_.fail(at, "Q4", "an answer about " + job.id.text() + ", which nobody asked about");
    return;
  }
  const TaskCounts& c = job.tasks;
  const std::uint32_t sum =
      c.waiting + c.queued + c.running + c.paused + c.done + c.failed + c.cancelled;
  if (sum != c.total || c.total != known->second.spec.task_count()) {
    verdict_.fail(at, "Q4", "counts of " + job.id.text() + " do not add up");
  }
  if (asked < known->second.unsure_until) return;
  advances(at, asked, known->second, job);
  std::optional<JobSummary>& final = known->second.final;
  const bool is_older = final && !is_final(job.state) && asked < known->second.final_at;
  if (final && !is_older && (final->state != job.state || !(final->tasks == job.tasks))) {
    verdict_.fail(at, "Q4",
                  "job " + job.id.text() + " was final and changed: " + outcome(*final) +
                      ", then " + outcome(job));
  }
  const std::optional<TaskCounts>& at_cancel = known->second.at_cancel;
  if (at_cancel && c.done > at_cancel->done) {
    verdict_.fail(at, "Q4", "job " + job.id.text() + " was cancelled and gained results");
  }
  if (!is_final(job.state) || final) return;
  final = job;
  known->second.final_at = at;
}

// What was committed before a question was put counts in its answer.
void HistoryChecker::advances(Instant at, Instant asked, Job& known, const JobSummary& job) {
  if (asked < known.told_at) return;
  const TaskCounts& now = job.tasks;
  const TaskCounts& then = known.told;
  if (now.done < then.done || now.failed < then.failed || now.cancelled < then.cancelled) {
    verdict_.fail(at, "Q4",
                  "results of " + job.id.text() + " went back: " + std::to_string(then.done) +
                      " done, " + std::to_string(then.failed) + " failed, " +
                      std::to_string(then.cancelled) + " cancelled, then " + outcome(job));
  }
  known.told_at = at;
  known.told = now;
}

void HistoryChecker::retry_asked(const JobId& id) {
  Job& job = jobs_[id];
  job.was_retried = true;
  job.unsure_until = Instant::never();
  job.final.reset();
  job.at_cancel.reset();
  job.told.failed = job.told.cancelled = 0;
  std::erase_if(job.tasks,
                [](const auto& task) { return task.second.view.state != TaskState::kDone; });
}

void HistoryChecker::dependencies(Instant at) const {
  for (const auto& [id, job] : jobs_) {
    if (job.cancel_asked || job.was_retried || !job.final) continue;
    bool may_run = true;
    bool is_clear = true;
    for (const Dependency& dependency : job.spec.after) {
      const auto other = jobs_.find(dependency.job);
      if (other == jobs_.end() || other->second.was_retried || !other->second.final) {
        is_clear = false;
        continue;
      }
      const bool is_done = other->second.final->state == JobState::kDone;
      may_run = may_run && (is_done || dependency.any);
    }
    const bool ran = job.final->reason != Reason::kDependencyFailed;
    if (job.spec.after.empty() ? ran : (!is_clear || ran == may_run)) continue;
    verdict_.fail(at, "Q4",
                  "job " + id.text() + (ran ? " ran" : " did not run") +
                      " against how those ended that it waited for");
  }
}

void HistoryChecker::cancelled(Instant at, Instant asked, const JobSummary& job) {
  const auto known = jobs_.find(job.id);
  if (known == jobs_.end()) return;
  // What was ordered to run again after it was cancelled may well gain results.
  const bool counts = !known->second.at_cancel && !known->second.was_retried;
  if (counts) known->second.at_cancel = job.tasks;
  seen(at, asked, job);
}

void HistoryChecker::tasks(Instant at, Instant asked, const JobId& id,
                           const std::vector<TaskView>& views) {
  const auto known = jobs_.find(id);
  if (known == jobs_.end() || asked < known->second.unsure_until) return;
  for (const TaskView& view : views) {
    const auto before = known->second.tasks.find(view.task);
    if (before == known->second.tasks.end()) {
      if (is_final(view.state)) known->second.tasks[view.task] = {view, at};
      continue;
    }
    const TaskView& then = before->second.view;
    if (!is_final(view.state) && asked < before->second.since) continue;
    // Which attempt was under way when a task was cancelled may become known later.
    if (view.state == TaskState::kCancelled && then.state == view.state) continue;
    if (then.state == view.state && then.attempt == view.attempt && then.node == view.node &&
        then.exit_code == view.exit_code) {
      continue;
    }
    verdict_.fail(at, "Q4",
                  "task " + id.text() + "." + std::to_string(view.task) +
                      " was final and changed: " + outcome(then) + ", then " + outcome(view));
  }
}

void HistoryChecker::written(Instant at, const std::string& what, ByteView bytes,
                             std::uint64_t expected, bool was_cut) {
  bool good = bytes.size() == expected;
  for (std::uint64_t i = 0; good && i < expected; ++i) good = bytes[i] == task_byte(i);
  if (good) return;
  verdict_.fail(at, "Q5",
                what + " has " + std::to_string(bytes.size()) + " bytes of " +
                    std::to_string(expected) + ", or others" +
                    (was_cut ? ", with a gap that is told" : ""));
}

void HistoryChecker::fetched(Instant at, const BlobId& id, ByteView content) {
  const auto known = blobs_.find(id);
  if (known != blobs_.end() && known->second != blake2b_256(content)) {
    verdict_.fail(at, "Q5", "blob " + id.short_text() + " differs from what was put");
  }
}

std::uint64_t HistoryChecker::results() const {
  std::uint64_t results = 0;
  for (const auto& [id, job] : jobs_) {
    if (job.final) results += job.final->tasks.done + job.final->tasks.failed;
  }
  return results;
}

std::uint64_t HistoryChecker::expected_results() const {
  std::uint64_t results = 0;
  for (const auto& [id, job] : jobs_) {
    const bool is_sure = !job.cancel_asked && job.spec.after.empty();
    results += is_sure ? job.spec.task_count() : 0;
  }
  return results;
}

bool HistoryChecker::all_final() const {
  for (const auto& [id, job] : jobs_) {
    if (!job.final) return false;
  }
  return true;
}

}  // namespace dunlin::sim
