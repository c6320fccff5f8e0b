// Tasks that are to stand still for a while, and their time limits with them.
#include <algorithm>

#include "sched/executor.h"

namespace dunlin::sched {

// As the spec has it now, from the start on.
void Executor::set_time_limit(const HeldJob& job, Process& process) {
  if (process.is_ending || process.exit) return;
  const Duration limit = job.spec->time_limit;
  if (process.is_frozen == true) {
    process.time_left = limit - (process.frozen_at - process.started);
    return;
  }
  process.kill_at = limit.us > 0 ? process.started + limit : Instant::never();
  process_due(process.kill_at);
}

void Executor::set_frozen(Turn& turn, ProcessKey key, Process& process, bool is_frozen) {
  if (process.is_frozen == is_frozen || process.is_ending || process.exit) return;
  const bool was_known = process.is_frozen.has_value();
  process.is_frozen = is_frozen;
  turn.effects.signals.push_back({key, is_frozen ? kSignalStop : kSignalContinue});
  if (is_frozen) {
    process.frozen_at = turn.now;
    process.time_left = process.kill_at - turn.now;
    process.kill_at = Instant::never();
    return;
  }
  const HeldJob& job = jobs_.at(process.job);
  if (!was_known || !job.spec || job.spec->time_limit.us == 0) return;
  process.kill_at = turn.now + std::max(process.time_left, Duration{});
  // The limit counts from then on as if it had started so much later.
  process.started = process.kill_at - job.spec->time_limit;
  process_due(process.kill_at);
}

void Executor::obey(Turn& turn, const Freeze& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end() || message.held_at < at->second.held_at) return;
  HeldJob& job = at->second;
  job.held_at = message.held_at;
  job.is_frozen = message.all;
  job.frozen_runs = message.tasks;
  for (const auto& [index, key] : job.processes) {
    const bool is_meant =
        job.is_frozen || std::any_of(job.frozen_runs.begin(), job.frozen_runs.end(),
                                     [index = index](const IndexRun& run) {
                                       return run.first <= index && index < run.end();
                                     });
    set_frozen(turn, key, processes_.at(key), is_meant);
  }
}

}  // namespace dunlin::sched
