// What an executor tells: results and output to the coordinator until they are committed, the list
// of what it holds, and bytes of running attempts to readers.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "sched/executor.h"

namespace dunlin::sched {

void Executor::send_to_coordinator(Turn& turn, GroupId group, const SchedMessage& message) {
  if (const std::optional<NodeId> node = gates_.coordinator(group)) turn.send(*node, message);
}

// ---- results ------------------------------------------------------------------------------------

void Executor::finish(Turn& turn, const JobId& id, HeldJob& job, Finished finished) {
  ++(finished.result.is_success() ? counts_.done : counts_.failed);
  job.finished.push_back(std::move(finished));
  plan_flush(turn, id, job);
}

void Executor::plan_flush(Turn& turn, const JobId& id, HeldJob& job) {
  // Nobody waits for what could still join the batch: it leaves at once.
  const bool has_more = job.running > 0 || !job.ready.empty() || job.allowed > 0 || job.pull;
  if (!has_more || std::max(job.finished.size(), job.used.size()) >= kMaxBatchResults) {
    flush(turn, id, job);
  } else {
    job.flush_at = std::min(job.flush_at, turn.now + kResultDelay);
    due(job.flush_at);
  }
}

void Executor::flush(Turn& turn, const JobId& id, HeldJob& job) {
  job.flush_at = Instant::never();
  if (job.finished.empty() && job.used.empty()) return;
  std::vector<Finished> ends = std::exchange(job.finished, {});
  std::sort(ends.begin(), ends.end(),
            [](const Finished& a, const Finished& b) { return a.result.index < b.result.index; });
  ResultBatch batch;
  batch.dropped = std::exchange(job.used, {});
  std::vector<ProcessKey> processes;
  std::size_t bytes = 0;
  for (Finished& end : ends) {
    TaskResult& result = end.result;
    if (!end.is_plain) {
      const std::size_t size = encoded_size(result);
      if (bytes + size > kMaxBatchBytes && bytes > 0) {
        send_batch(turn, id, job, std::exchange(batch, {}), std::exchange(processes, {}));
        bytes = 0;
      }
      bytes += size;
      batch.others.push_back(std::move(result));
      if (end.key != 0) processes.push_back(end.key);
      continue;
    }
    if (end.key != 0) processes.push_back(end.key);
    const bool joins = !batch.plain.empty() && batch.plain.back().run.end() == result.index &&
                       batch.plain.back().run.attempt == result.attempt;
    if (!joins) {
      PlainResults& run = batch.plain.emplace_back();
      run.run = {result.index, 0, result.attempt};
      run.finished = result.finished;
    }
    PlainResults& run = batch.plain.back();
    ++run.run.count;
    const std::int64_t after = result.finished.ms - run.finished.ms;
    column_push(run.finished_after,
                static_cast<std::uint16_t>(std::clamp<std::int64_t>(after, 0, UINT16_MAX)));
    column_push(run.durations, to_small_float(result.duration_ms));
    column_push(run.usage, to_small_float(result.cpu_ms));
    column_push(run.usage, to_small_float(result.max_rss / 1024));
  }
  send_batch(turn, id, job, std::move(batch), std::move(processes));
}

void Executor::send_batch(Turn& turn, const JobId& id, HeldJob& job, ResultBatch batch,
                          std::vector<ProcessKey> processes) {
  const std::uint64_t sequence = next_sequence_++;
  Sent& sent = job.sent[sequence];
  sent.batch = std::move(batch);
  sent.processes = std::move(processes);
  sent.first = turn.now;
  sent.repeat_at = turn.now + sent.interval;
  due(sent.repeat_at);
  send_to_coordinator(turn, job.group, Results{job.group, id, boot_, sequence, sent.batch});
}

void Executor::obey(Turn& turn, const Committed& message) {
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end()) return;
  HeldJob& job = at->second;
  const auto sent = job.sent.find(message.sequence);
  if (sent == job.sent.end()) return;
  const Sent done = std::move(sent->second);
  job.sent.erase(sent);
  due(turn.now + kIdleJob);
  for (const TaskRun& run : attempts_of(done.batch)) job.held.remove(run);
  if (!done.batch.dropped.empty()) {
    lists_due_.insert(job.group);
    status_at_ = turn.now;
  }
  for (const ProcessKey key : done.processes) {
    if (processes_.contains(key)) forget_process(turn, key, true);
  }
  fill(turn);
}

void Executor::obey(Turn& turn, const LogsCommitted& message) {
  logs_.on_committed(turn, message);
  const auto at = jobs_.find(message.job);
  if (at == jobs_.end()) return;
  const std::set<ProcessKey> keys = at->second.keys;
  for (const ProcessKey key : keys) conclude(turn, key);
  fill(turn);
}

// ---- what is held -------------------------------------------------------------------------------

HeldList Executor::held_list(GroupId group, const JobId& after) const {
  constexpr std::size_t kJobBytes = 40;
  constexpr std::size_t kRunBytes = 24;
  HeldList list{group, gates_.epoch(group), boot_, next_pull_ - 1, {after, std::nullopt}, {}};
  std::size_t bytes = 0;
  for (auto at = jobs_.upper_bound(after); at != jobs_.end(); ++at) {
    const auto& [id, job] = *at;
    if (job.group != group) continue;
    std::vector<TaskRun> runs = job.held.runs();
    bytes += kJobBytes + kRunBytes * runs.size();
    if (bytes > kMaxHeldBytes && !list.jobs.empty()) {
      list.span.up_to = list.jobs.back().job;
      break;
    }
    const bool needs_spec = !job.spec && !runs.empty();
    list.jobs.push_back(
        {id, job.pull ? job.pull_seen : list.last_pull, needs_spec, std::move(runs)});
  }
  return list;
}

void Executor::obey(Turn& turn, NodeId from, const AskHeld& message) {
  // Before the runner has told what it holds, "nothing" would be a lie.
  if (is_ready_) turn.send(from, held_list(message.group, message.after));
  if (message.after.is_none()) leader_changed(turn, message.group);
}

std::vector<TaskStart> Executor::starts_of(const HeldJob& job) const {
  std::vector<TaskStart> starts;
  for (const auto& [index, key] : job.processes) {
    if (starts.size() == kMaxToldStarts) break;
    const Process& process = processes_.at(key);
    if (!process.exit) starts.push_back({index, process.attempt, process.started_at});
  }
  return starts;
}

void Executor::send_status(Turn& turn) {
  for (const GroupId group : std::exchange(lists_due_, {})) {
    if (gates_.is_sound(group)) send_to_coordinator(turn, group, held_list(group, {}));
  }
  std::map<GroupId, Status> by_group;
  for (const auto& [id, job] : jobs_) {
    if (job.held.is_empty()) continue;
    Status& status = by_group[job.group];
    status.group = job.group;
    status.boot = boot_;
    if (status.jobs.size() == kMaxStatusJobs) {
      status.span.up_to = status.jobs.back().job;
      send_to_coordinator(turn, job.group, status);
      status.span = {*status.span.up_to, std::nullopt};
      status.jobs.clear();
    }
    const std::size_t waiting = std::min(job.ready.size(), kMaxWaitingRuns);
    status.jobs.push_back({id,
                           job.held.digest(),
                           !job.spec,
                           {job.ready.begin(), job.ready.begin() + static_cast<long>(waiting)},
                           starts_of(job),
                           job.spec ? job.revised : 0,
                           job.held_at});
  }
  for (const auto& [group, status] : by_group) send_to_coordinator(turn, group, status);
  status_at_ = by_group.empty() ? Instant::never() : turn.now + seconds(1);
}

// ---- readers ------------------------------------------------------------------------------------

std::string Executor::refusal_of(Instant now, const JobId& id) const {
  if (takes_none_) return "it is drained, or about to end";
  if (is_runner_silent_) return "its runner does not answer: it is stopped, or hangs";
  if (!has_runner_) return "its runner is being started";
  if (is_disk_full_) return "its disk is full";
  const auto job = jobs_.find(id);
  if (job == jobs_.end() || job->second.refused_until <= now) return {};
  const std::int64_t wait = (job->second.refused_until - now).milliseconds() / 1000 + 1;
  return "it " + job->second.trouble + ", and tries again in " + std::to_string(wait) + " s";
}

void Executor::on(Turn& turn, NodeId from, const AskFit& message) {
  const ReservationQueue::Claim claim{message.user, message.priority, message.task, turn.now};
  const std::size_t ahead = queue_.ahead(message.job, claim, shares_.at(turn.now));
  turn.send(from, FitReply{message.token, all_, room_to_pull(), static_cast<std::uint32_t>(ahead),
                           refusal_of(turn.now, message.job), isolation_note_});
}

void Executor::on(Turn& turn, NodeId from, const TailLog& message) {
  const Tail tail{from, message, turn.now + std::clamp(message.hold, Duration{}, seconds(20))};
  const bool may_wait = tails_.size() < kMaxTails && tail.until > turn.now;
  if (!answer_tail(turn, tail, !may_wait)) tails_.push_back(tail);
}

bool Executor::answer_tail(Turn& turn, const Tail& tail, bool is_last_chance) {
  const TailLog& request = tail.request;
  TailReply reply;
  reply.token = request.token;
  reply.offset = request.offset;
  const auto job = jobs_.find(request.job);
  const auto known = job == jobs_.end() ? std::map<std::uint32_t, ProcessKey>::const_iterator{}
                                        : job->second.processes.find(request.index);
  if (job == jobs_.end() || known == job->second.processes.end() ||
      processes_.at(known->second).attempt != request.attempt) {
    // Bound and not started yet, or gone: the reader asks the coordinator again.
    const bool is_bound =
        job != jobs_.end() && job->second.held.contains(request.index, request.attempt);
    if (is_bound && !is_last_chance) return false;
    reply.is_here = is_bound;
    turn.send(tail.from, reply);
    return true;
  }
  const ProcessKey key = known->second;
  constexpr std::uint32_t kMost = 1024 * 1024;
  LogWriter::Read read =
      logs_.read(key, request.is_stderr, request.offset, std::min(request.limit, kMost));
  reply.is_here = read.is_here;
  reply.truncated = read.truncated;
  reply.offset = read.offset;
  reply.ended = read.at_end && processes_.at(key).exit.has_value();
  const bool has_news = !read.is_here || !read.data.empty() || reply.ended;
  if (!has_news && !is_last_chance) return false;
  reply.data = std::move(read.data);
  turn.send(tail.from, reply);
  return true;
}

void Executor::answer_tails(Turn& turn, const JobId& job) {
  if (tails_.empty()) return;
  std::vector<Tail> waiting = std::move(tails_);
  tails_.clear();
  for (Tail& tail : waiting) {
    if (tail.request.job == job && answer_tail(turn, tail, false)) continue;
    tails_.push_back(std::move(tail));
  }
}

}  // namespace dunlin::sched
