#include "sched/executor.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/members.h"
#include "sched/task_command.h"

namespace dunlin::sched {

Executor::Executor(NodeId self, Boot boot, const SchedConfig& config, EpochGate& gates,
                   std::uint64_t first_token)
    : self_(self),
      boot_(boot),
      config_(config),
      all_{config.cpus, config.memory == 0 ? UINT64_MAX : config.memory, config.devices},
      gates_(gates),
      next_token_(first_token),
      next_pull_((boot << 32) + 1),
      next_sequence_((boot << 32) + 1),
      next_key_((boot << 32) + 1),
      staging_(first_token + (1ULL << 40)),
      logs_(boot, gates, first_token + (2ULL << 40)) {}

// ---- room ---------------------------------------------------------------------------------------

Room Executor::free_room() const {
  Room free = all_;
  free.take(used_);
  return free;
}

// Tasks that wait here for their files use no room yet, and are to have it when the files come: a
// node that pulled for that room again and again would keep tasks from all others.
Room Executor::room_to_pull() const {
  Room room = free_room();
  for (const JobId& id : unstaged_) {
    const HeldJob& job = jobs_.at(id);
    std::uint64_t tasks = 0;
    for (const TaskRun& run : job.ready) tasks += run.count;
    room.take(job.task, tasks);
  }
  return room;
}

void Executor::take_room(Instant now, const std::string& user, const Room& task,
                         std::uint32_t times) {
  used_.add(task, times);
  shares_.add(now, user, times * task.cpus);
}

void Executor::give_room(Instant now, const std::string& user, const Room& task,
                         std::uint32_t times) {
  ASSERT(used_.fits(task) >= times);
  used_.take(task, times);
  shares_.remove(now, user, times * task.cpus);
}

void Executor::give_room(Instant now, const Process& process) {
  give_room(now, process.user, process.room);
  for (const std::uint32_t gpu : process.gpus) used_gpus_.erase(used_gpus_.find(gpu));
}

// The lowest numbers that no task has. Adopted tasks may have others than this node counts by now.
std::vector<std::uint32_t> Executor::take_gpus(std::uint32_t count) {
  std::vector<std::uint32_t> taken;
  for (std::uint32_t gpu = 0; gpu < all_.devices.gpus && taken.size() < count; ++gpu) {
    if (!used_gpus_.contains(gpu)) taken.push_back(gpu);
  }
  ASSERT(taken.size() == count);
  used_gpus_.insert(taken.begin(), taken.end());
  return taken;
}

// ---- jobs and their claims ----------------------------------------------------------------------

Executor::HeldJob& Executor::job_of(const JobId& id, GroupId group) {
  HeldJob& job = jobs_[id];
  job.group = group;
  job.idle_since = Instant::never();
  return job;
}

// Is the order about the job that is known here, or about a later one of the same id? Of the former
// one nothing is wanted any more then, and nothing that was learnt of it holds.
bool Executor::is_current(Turn& turn, const JobId& id, HeldJob& job, LogIndex accepted) {
  if (accepted <= job.accepted) return accepted == job.accepted;
  const bool was_known = std::exchange(job.accepted, accepted) != 0;
  if (!was_known) return true;
  for (const TaskRun& run : job.ready) job.held.remove(run);
  job.ready.clear();
  forget_former(turn, job);
  job.spec.reset();
  job.numbers.reset();
  job.revised = job.held_at = 0;
  job.is_paused = false;
  job.paused.clear();
  job.typical = job.refusal = {};
  job.refused_until = {};
  staging_.forget(id);
  claim(turn, id, job);
  return true;
}

// Ends what ran of a former job, and tells nobody of its ends.
void Executor::forget_former(Turn& turn, HeldJob& job) {
  job.used.clear();
  for (const Finished& end : std::exchange(job.finished, {})) {
    job.held.remove({end.result.index, 1, end.result.attempt});
  }
  for (const auto& [sequence, sent] : std::exchange(job.sent, {})) {
    for (const TaskRun& run : attempts_of(sent.batch)) job.held.remove(run);
  }
  const std::set<ProcessKey> former = job.keys;
  for (const ProcessKey key : former) {
    processes_.at(key).tells_usage = false;
    give_up(turn, key);
  }
}

// Attempts adopted from the runner waited for this: their time limits, and the reports of those
// that have ended.
void Executor::describe(Turn& turn, HeldJob& job, const Bytes& bytes, LogIndex revised) {
  if (job.spec && job.revised >= revised) return;
  Result<JobSpec> spec = decode<JobSpec>(bytes);
  if (!spec || !are_ascending(spec->tasks)) return;
  job.spec = std::make_shared<const JobSpec>(std::move(*spec));
  job.numbers = std::make_shared<const TaskNumbers>(job.spec->tasks);
  job.revised = revised;
  std::vector<ProcessKey> ended;
  for (const auto& [index, key] : job.processes) {
    logs_.set_limit(key, job.spec->log_limit);
    Process& process = processes_.at(key);
    if (process.exit) {
      ended.push_back(key);
    } else {
      set_time_limit(job, process);
    }
  }
  for (const ProcessKey key : ended) {
    Process& process = processes_.at(key);
    if (process.reported) continue;
    process.wants_outputs = !job.spec->outputs.empty() && process.exit->start_error == 0;
    next_output(turn, key, process);
    conclude(turn, key);
  }
}

// Keeps the queue in step with what the job could use room for.
void Executor::claim(Turn& turn, const JobId& id, HeldJob& job) {
  if (job.ready.empty()) {
    job.is_staging = false;
    unstaged_.erase(id);
    if (job.spec && !job.spec->entry_blocks.empty()) staging_.rest(id);
  }
  if (job.allowed == 0 && job.ready.empty()) {
    queue_.erase(id);
    due(turn.now + kIdleJob);
    return;
  }
  queue_.put(id, {job.user, job.priority, job.task, turn.now});
}

bool Executor::is_eligible(const JobId& id) const {
  const HeldJob& job = jobs_.at(id);
  if (!job.ready.empty()) return may_start() && !unstaged_.contains(id);
  return may_pull(job);
}

// What is not acknowledged holds a job back: a job that needs no room sooner than others.
bool Executor::may_pull(const HeldJob& job) const {
  if (job.pull || job.allowed == 0) return false;
  if (job.task.cpus == 0) return job.sent.size() < kMaxUnacknowledged;
  return may_start() && !is_disk_full_ && job.sent.size() < kMaxUncommitted;
}

void Executor::fill(Turn& turn) {
  if (!is_ready_ || takes_none_) return;
  for (;;) {
    wake_staged();
    if (start_staged(turn)) continue;
    const std::optional<JobId> next = queue_.next(turn.now, room_to_pull(), shares_.at(turn.now),
                                                  [&](const JobId& id) { return is_eligible(id); });
    if (!next || !use_room(turn, *next)) break;
  }
}

// What waited for files starts in the room that was kept for it, whoever else waits for room.
bool Executor::start_staged(Turn& turn) {
  const Room room = free_room();
  for (const JobId id : unstaged_) {  // a copy: the start takes it out
    HeldJob& job = jobs_.at(id);
    if (!room.holds(job.task) || !may_start() || job.is_staging) continue;
    start_next(turn, id, job);
    return true;
  }
  return false;
}

// Starts a task that is here already, or asks for more; each step changes what is eligible.
bool Executor::use_room(Turn& turn, const JobId& id) {
  HeldJob& job = jobs_.at(id);
  if (!job.ready.empty()) {
    start_next(turn, id, job);
    return true;
  }
  std::uint32_t want = job.batch;
  std::uint32_t reserved = 0;
  if (job.task.cpus > 0) {
    const std::uint64_t fit = room_to_pull().fits(job.task);
    want = reserved = static_cast<std::uint32_t>(std::min<std::uint64_t>(fit, job.allowed));
    if (want == 0) return false;
    if (job.typical.us > 0 && job.typical < kShortTask) want += kMaxAhead / 8;
  }
  pull(turn, id, job, want, reserved);
  return true;
}

void Executor::pull(Turn& turn, const JobId& id, HeldJob& job, std::uint32_t want,
                    std::uint32_t reserved) {
  ASSERT(!job.pull);
  job.pull = PendingPull{next_pull_++, want, reserved, turn.now, turn.now};
  take_room(turn.now, job.user, job.task, reserved);
  send_pull(turn, id, job);
}

void Executor::send_pull(Turn& turn, const JobId& id, HeldJob& job) {
  job.pull->repeat_at = turn.now + kPullRepeat;
  due(job.pull->repeat_at);
  send_to_coordinator(
      turn, job.group,
      Pull{job.group, id, boot_, job.pull->id, job.pull->want, job.spec ? job.revised : 0});
}

void Executor::end_pull(Instant now, HeldJob& job) {
  give_room(now, job.user, job.task, job.pull->reserved);
  job.pull_seen = job.pull->id;
  job.pull.reset();
}

// Once its tasks have proved short, a job's next ones are fetched while these run.
void Executor::pull_ahead(Turn& turn, const JobId& id, HeldJob& job) {
  if (job.task.cpus == 0 || !may_pull(job)) return;
  if (job.typical.us <= 0 || job.typical >= kShortTask || job.running == 0) return;
  std::uint32_t waiting = 0;
  for (const TaskRun& run : job.ready) waiting += run.count;
  const std::int64_t ahead = job.running * kAhead.us / std::max<std::int64_t>(job.typical.us, 100);
  const auto target = static_cast<std::uint32_t>(std::clamp<std::int64_t>(ahead, 1, kMaxAhead));
  if (waiting * 2 > target) return;
  pull(turn, id, job, std::min(job.allowed, target - waiting), 0);
}

// ---- orders -------------------------------------------------------------------------------------

void Executor::obey(Turn& turn, const Probe& message) {
  if (message.allowed == 0 && !jobs_.contains(message.job)) return;
  // A claim that can never fit would in time keep the room of all others for itself.
  const Room task{message.cpus, message.memory, message.devices};
  if (!all_.holds(task) || takes_none_) return;
  // A job may come from any host: what its coordinator knows of this node is no safeguard.
  if (config_.root_jobs_only && message.user != kRootUser) return;
  if (!queue_.contains(message.job) && queue_.size() >= kMaxReservations) return;
  HeldJob& job = job_of(message.job, message.group);
  if (!is_current(turn, message.job, job, message.accepted)) return;
  // Room already taken is given back by the same figures: they change only while none is.
  if (job.running == 0 && !job.pull && job.ready.empty()) {
    job.user = message.user;
    job.task = task;
  }
  job.priority = message.priority;
  job.allowed = turn.now < job.refused_until ? 0 : message.allowed;
  claim(turn, message.job, job);
  fill(turn);
}

void Executor::obey(Turn& turn, const Bind& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end()) return;
  HeldJob& job = at->second;
  if (!job.pull || job.pull->id != message.pull) return;
  if (!is_current(turn, message.job, job, message.accepted)) return;
  const Instant sent = job.pull->sent;
  end_pull(turn.now, job);
  if (takes_none_) {
    // The list without them gives them back.
    if (!message.tasks.empty()) lists_due_.insert(job.group);
    status_at_ = turn.now;
    return;
  }
  if (message.spec) describe(turn, job, *message.spec, message.revised);
  job.most_inline = std::clamp<std::uint32_t>(message.most_inline, 1, kMaxInlineOutput);
  job.allowed = turn.now < job.refused_until ? 0 : message.allowed;
  for (const TaskRun& run : message.tasks) {
    if (!job.spec || !is_within(run, job.numbers->count())) continue;
    job.held.add(run);
    job.ready.push_back(run);
  }
  if (message.held_at < job.held_at) give_back_paused(turn, job);
  const bool needs_more = job.spec && !(job.spec->files.empty() && job.spec->entry_blocks.empty());
  if (needs_more && job.running == 0 && !job.ready.empty()) unstaged_.insert(message.job);
  if (job.task.cpus == 0 && !message.tasks.empty()) {
    run_no_ops(turn, message.job, job);
    if (turn.now - sent < kBatchTarget) job.batch = std::min(job.batch * 2, kMaxBatchTasks);
  }
  if (status_at_ == Instant::never()) status_at_ = turn.now + seconds(1);
  claim(turn, message.job, job);
  fill(turn);
}

void Executor::obey(Turn& turn, const Describe& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end()) return;
  if (!is_current(turn, message.job, at->second, message.accepted)) return;
  at->second.priority = message.priority;
  describe(turn, at->second, message.spec, message.revised);
}

void Executor::leader_changed(Turn& turn, GroupId group) {
  for (auto& [id, job] : jobs_) {
    if (job.group != group) continue;
    if (job.pull) job.pull->repeat_at = turn.now;
    for (auto& [sequence, sent] : job.sent) sent.repeat_at = turn.now;
    due(turn.now);
  }
}

void Executor::set_draining(Turn& turn, bool draining) {
  takes_none_ = draining;
  if (!draining) {
    keeps_none_ = false;
    fill(turn);
    return;
  }
  for (auto& [id, job] : jobs_) job.allowed = 0;
  give_back_ready(turn);
}

// What is bound and has not begun may begin elsewhere.
void Executor::give_back_ready(Turn& turn) {
  for (auto& [id, job] : jobs_) {
    if (!job.ready.empty() || !job.held.is_empty()) lists_due_.insert(job.group);
    for (const TaskRun& run : job.ready) job.held.remove(run);
    job.ready.clear();
    claim(turn, id, job);
  }
  status_at_ = turn.now;
}

void Executor::hand_back(Turn& turn) {
  set_draining(turn, true);
  keeps_none_ = true;
  for (auto& [key, process] : processes_) {
    if (process.exit || process.dropped) continue;
    process.dropped = true;
    terminate(turn, key, process);
  }
}

// What a pull on its way brings is given back too.
bool Executor::has_tasks() const {
  return !processes_.empty() || std::any_of(jobs_.begin(), jobs_.end(), [](const auto& job) {
    return !job.second.held.is_empty() || job.second.pull;
  });
}

Instant Executor::last_kill() const {
  Instant last;
  for (const auto& [key, process] : processes_) {
    if (process.exit || process.kill_at == Instant::never()) continue;
    last = std::max(last, process.kill_at);
  }
  return last;
}

// ---- time ---------------------------------------------------------------------------------------

void Executor::tick_jobs(Turn& turn) {
  jobs_due_ = Instant::never();
  std::vector<JobId> idle;
  Instant next = Instant::never();
  for (auto& [id, job] : jobs_) {
    tick_job(turn, id, job);
    const bool is_idle = job.allowed == 0 && !job.pull && job.held.is_empty() && job.sent.empty() &&
                         job.keys.empty() && job.ready.empty() && job.refused_until <= turn.now;
    if (!is_idle) {
      job.idle_since = Instant::never();
    } else if (job.idle_since == Instant::never()) {
      job.idle_since = turn.now;
    } else if (job.idle_since + kIdleJob <= turn.now) {
      idle.push_back(id);
    }
    next = std::min(next, deadline_of(job));
  }
  for (const JobId& id : idle) {
    queue_.erase(id);
    staging_.forget(id);
    unstaged_.erase(id);
    jobs_.erase(id);
  }
  due(next);
}

void Executor::tick_processes(Turn& turn) {
  processes_due_ = Instant::never();
  std::vector<ProcessKey> keys;
  for (const auto& [key, process] : processes_) {
    if (std::min(process.kill_at, process.put_again) <= turn.now) keys.push_back(key);
  }
  for (const ProcessKey key : keys) tick_process(turn, key, processes_.at(key));
  for (const auto& [key, process] : processes_) {
    process_due(std::min(process.kill_at, process.put_again));
  }
}

void Executor::tick(Turn& turn) {
  if (jobs_due_ <= turn.now) tick_jobs(turn);
  if (processes_due_ <= turn.now) tick_processes(turn);
  logs_.tick(turn);
  std::vector<Tail> waiting = std::move(tails_);
  tails_.clear();
  for (Tail& tail : waiting) {
    if (!answer_tail(turn, tail, tail.until <= turn.now)) tails_.push_back(std::move(tail));
  }
  if (status_at_ <= turn.now) send_status(turn);
  fill(turn);
}

void Executor::tick_job(Turn& turn, const JobId& id, HeldJob& job) {
  if (job.pull && job.pull->repeat_at <= turn.now) {
    if (job.pull->sent + kPullPatience <= turn.now) {
      // Whatever answers it now is refused: the coordinator learns that from pull_seen.
      end_pull(turn.now, job);
      job.allowed = 0;
      claim(turn, id, job);
    } else {
      send_pull(turn, id, job);
    }
  }
  if (job.flush_at <= turn.now) flush(turn, id, job);
  // Whoever leads a job that is over may never come to ask: what was used is not told for ever.
  std::erase_if(job.sent, [&](const auto& entry) {
    const Sent& sent = entry.second;
    return sent.first + kUsagePatience <= turn.now && !sent.batch.has_results();
  });
  for (auto& [sequence, sent] : job.sent) {
    if (sent.repeat_at > turn.now) continue;
    sent.interval = std::min(sent.interval * 2, kLongestRepeat);
    sent.repeat_at = turn.now + sent.interval;
    send_to_coordinator(turn, job.group, Results{job.group, id, boot_, sequence, sent.batch});
  }
}

Instant Executor::deadline_of(const HeldJob& job) const {
  Instant next = job.flush_at;
  if (job.pull) next = std::min(next, job.pull->repeat_at);
  for (const auto& [sequence, sent] : job.sent) next = std::min(next, sent.repeat_at);
  if (job.idle_since != Instant::never()) next = std::min(next, job.idle_since + kIdleJob);
  return next;
}

Instant Executor::next_deadline() const {
  Instant next = std::min({status_at_, jobs_due_, processes_due_, logs_.next_deadline()});
  for (const Tail& tail : tails_) next = std::min(next, tail.until);
  return next;
}

LoadChanged Executor::load() const {
  LoadChanged load;
  const Room room = free_room();
  load.cpus_free = room.cpus;
  load.memory_free = config_.memory == 0 ? 0 : room.memory;
  for (const auto& [id, job] : jobs_) {
    load.running += job.running;
    load.queued += job.allowed;
  }
  return load;
}

void Executor::add_watched(std::set<NodeId>& peers) const {
  for (const auto& [id, job] : jobs_) {
    if (job.held.is_empty()) continue;
    if (const std::optional<NodeId> node = gates_.coordinator(job.group)) peers.insert(*node);
  }
}

}  // namespace dunlin::sched
