// Tasks that are to stand still for a while, and their time limits with them; and those that may
// not begin meanwhile.
#include <algorithm>

#include "sched/executor.h"

namespace dunlin::sched {

namespace {

// The runs ascend.
bool is_among(const std::vector<IndexRun>& runs, std::uint32_t index) {
  const auto run = std::partition_point(runs.begin(), runs.end(),
                                        [&](const IndexRun& r) { return r.end() <= index; });
  return run != runs.end() && run->first <= index;
}

}  // namespace

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

// What is bound and has not begun: it begins once it is resumed, here or elsewhere, and keeps no
// room until then.
void Executor::give_back_paused(Turn& turn, HeldJob& job) {
  std::deque<TaskRun> kept;
  bool is_any_given_back = false;
  for (const TaskRun& run : job.ready) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (job.is_paused || is_among(job.paused, index)) {
        job.held.remove({index, 1, run.attempt});
        is_any_given_back = true;
      } else if (!kept.empty() && kept.back().end() == index &&
                 kept.back().attempt == run.attempt) {
        ++kept.back().count;
      } else {
        kept.push_back({index, 1, run.attempt});
      }
    }
  }
  if (!is_any_given_back) return;
  job.ready = std::move(kept);
  lists_due_.insert(job.group);
  status_at_ = std::min(status_at_, turn.now);
}

void Executor::obey(Turn& turn, const Freeze& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end() || message.held_at < at->second.held_at) return;
  HeldJob& job = at->second;
  job.held_at = message.held_at;
  job.is_paused = message.pauses_all;
  job.paused = message.paused;
  for (const auto& [index, key] : job.processes) {
    const bool is_meant = message.all || is_among(message.tasks, index);
    set_frozen(turn, key, processes_.at(key), is_meant);
  }
  give_back_paused(turn, job);
  claim(turn, message.job, job);
  fill(turn);
}

}  // namespace dunlin::sched
