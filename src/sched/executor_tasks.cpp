// One attempt on its node, from what the runner says of its process to its result.
#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "sched/executor.h"
#include "sched/process_end.h"

namespace dunlin::sched {

// ---- what the runner says -----------------------------------------------------------------------

void Executor::on_process(Turn& turn, ProcessEvent event) {
  std::visit([&](const auto& held) { on(turn, held); }, event);
  fill(turn);
}

void Executor::on(Turn& turn, const RunnerReady& event) {
  is_ready_ = has_runner_ = true;
  isolation_note_ = event.note;
  std::set<ProcessKey> held;
  for (const RunnerHeld& process : event.held) {
    held.insert(process.key);
    next_key_ = std::max(next_key_, process.key + 1);
    if (!processes_.contains(process.key)) adopt(turn, process);
  }
  std::vector<ProcessKey> gone;
  for (const auto& [key, process] : processes_) {
    // An end that is known already needs its runner no more, unless outputs were to be read.
    const bool is_known = process.exit && (!process.wants_outputs || process.outputs_done);
    if (!held.contains(key) && !is_known) gone.push_back(key);
  }
  for (const ProcessKey key : gone) {
    lists_due_.insert(jobs_.at(processes_.at(key).job).group);
    forget_process(turn, key, false);
  }
  for (const auto& [id, job] : jobs_) {
    if (!job.held.is_empty()) lists_due_.insert(job.group);
  }
  status_at_ = turn.now;
  // What was adopted just now is not to be kept either.
  if (keeps_none_) hand_back(turn);
}

void Executor::on(Turn&, const RunnerLost&) {
  has_runner_ = false;
  is_runner_silent_ = false;
}

// What it holds may go on; nothing more is given to it until it answers.
void Executor::on(Turn& turn, const RunnerSilence& event) {
  is_runner_silent_ = event.is_silent;
  if (event.is_silent) give_back_ready(turn);
}

void Executor::give_up(Turn& turn, ProcessKey key) {
  Process& process = processes_.at(key);
  if (process.dropped) return;
  process.dropped = true;
  if (!process.exit) {
    terminate(turn, key, process);
    return;
  }
  process.reported = false;
  logs_.end(turn, key, 0);
  conclude(turn, key);
}

void Executor::on(Turn& turn, const ProcessStarted& event) {
  const auto at = processes_.find(event.key);
  if (at != processes_.end()) at->second.started_at = turn.wall;
}

void Executor::on(Turn& turn, const ProcessOutput& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end()) return;
  logs_.receive(turn, event);
  answer_tails(turn, at->second.job);
}

void Executor::on(Turn& turn, const ProcessExited& event) {
  const auto at = processes_.find(event.key);
  if (at == processes_.end() || at->second.exit) return;
  Process& process = at->second;
  HeldJob& job = jobs_.at(process.job);
  if (lacks_means(event) && !process.dropped) {
    const JobId id = process.job;
    forget_process(turn, event.key, true);
    return give_back(turn, id, job,
                     std::string("could not start a process: ") + std::strerror(event.start_error));
  }
  if (event.start_error == 0) job.refusal = {};
  process.exit = event;
  process.kill_at = Instant::never();
  process.has_room = false;
  give_room(turn.now, process);
  --job.running;
  const std::int64_t ms = std::max<std::int64_t>(0, event.finished_at.ms - event.started_at.ms);
  const Duration took = std::max(milliseconds(ms), microseconds(500));
  job.typical = job.typical.us == 0 ? took : (job.typical * 7 + took) / 8;
  process.wants_outputs = job.spec && !job.spec->outputs.empty() && event.start_error == 0 &&
                          event.killed_with == 0 && !process.dropped;
  // Cancelled attempts bring no result that output could ride in.
  logs_.end(turn, event.key, process.dropped ? 0 : job.most_inline);
  next_output(turn, event.key, process);
  const JobId id = process.job;
  conclude(turn, event.key);  // after which the process may be forgotten
  pull_ahead(turn, id, job);
}

// ---- end ----------------------------------------------------------------------------------------

// Reports the attempt once its output is safe and its files are kept.
void Executor::conclude(Turn& turn, ProcessKey key) {
  const auto at = processes_.find(key);
  if (at == processes_.end() || !at->second.exit || at->second.reported) return;
  Process& process = at->second;
  if (!logs_.is_settled(key)) return;
  if (process.dropped) return conclude_dropped(turn, key, process);
  HeldJob& job = jobs_.at(process.job);
  // An adopted attempt of a job that is not described yet: its outputs are not known to be wanted.
  if (!job.spec) return;
  if (process.told_before && !process.timed_out) {
    // By an earlier life that handed it back, or dropped it: its end is none of the task's.
    if (!is_over_time(*job.spec, *process.exit)) return give_up(turn, key);
    process.timed_out = true;
  }
  if (process.wants_outputs && !process.outputs_done) return;
  process.reported = true;
  Finished finished;
  finished.key = key;
  finished.result = result_of(process);
  finished.result.out = logs_.take_inline(key, false);
  finished.result.err = logs_.take_inline(key, true);
  finished.result.log_truncated = logs_.is_truncated(key);
  finished.is_plain =
      finished.result.is_success() && logs_.is_silent(key) && finished.result.outputs.empty();
  finish(turn, process.job, job, std::move(finished));
}

// Who cancelled it wants to know what it has used, and hears that it is gone once that is in the
// log; who asks hears it at once.
void Executor::conclude_dropped(Turn& turn, ProcessKey key, Process& process) {
  process.reported = process.tells_usage && process.exit->start_error == 0;
  if (!process.reported) return forget_process(turn, key, true);
  const TaskResult result = result_of(process);
  const JobId id = process.job;
  HeldJob& job = jobs_.at(id);
  job.used.push_back(usage_of(result));
  ++counts_.dropped;
  forget_process(turn, key, true);
  plan_flush(turn, id, job);
}

TaskResult Executor::result_of(const Process& process) const {
  const ProcessExited& exit = *process.exit;
  TaskResult result;
  result.index = process.index;
  result.attempt = process.attempt;
  result.reason = reason_of(exit, process.timed_out);
  result.exit_code = exit.exit_code;
  result.signal = exit.signal;
  result.finished = exit.finished_at;
  const std::int64_t ms = exit.finished_at.ms - exit.started_at.ms;
  result.duration_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(0, ms));
  result.cpu_ms = exit.cpu_ms;
  result.max_rss = exit.max_rss;
  result.outputs = process.outputs;
  if (exit.start_error != 0) {
    result.detail = start_trouble(config_.node_name, jobs_.at(process.job).spec.get(), exit);
  } else if (result.reason == Reason::kDisk) {
    result.detail = disk_trouble(config_.node_name, exit);
  } else if (!process.output_error.empty()) {
    result.detail = process.output_error.substr(0, kMaxDetail);
    if (result.reason == Reason::kNone) result.reason = Reason::kDisk;
  }
  return result;
}

void Executor::forget_process(Turn& turn, ProcessKey key, bool release) {
  const auto at = processes_.find(key);
  ASSERT(at != processes_.end());
  const Process& process = at->second;
  HeldJob& job = jobs_.at(process.job);
  if (process.has_room) {
    give_room(turn.now, process);
    --job.running;
  }
  job.held.remove({process.index, 1, process.attempt});
  job.keys.erase(key);
  const auto known = job.processes.find(process.index);
  if (known != job.processes.end() && known->second == key) job.processes.erase(known);
  // The coordinator repeats its orders until it hears that the attempt is gone.
  if (process.dropped && !process.reported) {
    lists_due_.insert(job.group);
    status_at_ = std::min(status_at_, turn.now);
  }
  logs_.close(key);
  if (release) turn.effects.releases.push_back({key});
  if (!process.reported) ++counts_.dropped;
  const JobId id = process.job;
  processes_.erase(at);
  answer_tails(turn, id);
}

void Executor::terminate(Turn& turn, ProcessKey key, Process& process) {
  const HeldJob& job = jobs_.at(process.job);
  turn.effects.signals.push_back({key, kSignalTerm});
  // What stands still hears nothing.
  if (process.is_frozen != false) turn.effects.signals.push_back({key, kSignalContinue});
  process.is_ending = true;
  process.kill_at = turn.now + (job.spec ? job.spec->grace : seconds(10));
  process_due(process.kill_at);
}

void Executor::obey(Turn& turn, const Drop& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end()) return;
  HeldJob& job = at->second;
  for (const TaskRun& order : message.attempts) {
    if (order.count == 0 || order.count > UINT32_MAX - order.first) continue;
    for (const TaskRun& part : job.held.common(order)) {
      for (std::uint32_t index = part.first; index < part.end(); ++index) {
        const auto known = job.processes.find(index);
        if (known == job.processes.end() || processes_.at(known->second).attempt != part.attempt) {
          job.held.remove({index, 1, part.attempt});
          lists_due_.insert(job.group);
          continue;
        }
        processes_.at(known->second).tells_usage = true;
        give_up(turn, known->second);
      }
    }
  }
  std::deque<TaskRun> ready;
  for (const TaskRun& run : job.ready) {
    for (const TaskRun& part : job.held.common(run)) ready.push_back(part);
  }
  job.ready = std::move(ready);
  std::erase_if(job.finished, [&](const Finished& finished) {
    return !job.held.contains(finished.result.index, finished.result.attempt);
  });
  std::erase_if(job.sent, [&](const auto& entry) {
    if (!entry.second.batch.dropped.empty()) return false;
    const std::vector<TaskRun> runs = attempts_of(entry.second.batch);
    return std::none_of(runs.begin(), runs.end(),
                        [&](const TaskRun& run) { return !job.held.common(run).empty(); });
  });
  claim(turn, message.job, job);
  if (!lists_due_.empty()) status_at_ = std::min(status_at_, turn.now);
  fill(turn);
}

void Executor::tick_process(Turn& turn, ProcessKey key, Process& process) {
  if (process.put_again <= turn.now) put_output(turn, key, process);
  if (process.kill_at > turn.now || process.exit) return;
  if (process.dropped || process.timed_out) {
    turn.effects.signals.push_back({key, kSignalKill});
    process.kill_at = turn.now + seconds(5);
    process_due(process.kill_at);
    return;
  }
  process.timed_out = true;
  terminate(turn, key, process);
}

}  // namespace dunlin::sched
