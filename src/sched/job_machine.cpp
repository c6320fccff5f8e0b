#include "sched/job_machine.h"

#include <algorithm>
#include <map>

#include "base/assert.h"
#include "sched/job_changes.h"

namespace dunlin::sched {

namespace {

using Row = TaskColumns::Row;

// What is written of a job, a task, an attempt or a piece of a log, at most, texts apart.
constexpr std::uint64_t kHeadBytes = 300;
constexpr std::uint64_t kColumnBytes = 13;
constexpr std::uint64_t kAttemptBytes = 100;
constexpr std::uint64_t kPieceBytes = 64;

std::uint64_t task_count_of(const std::vector<TaskRun>& runs) {
  std::uint64_t count = 0;
  for (const TaskRun& run : runs) count += run.count;
  return count;
}

AttemptRecord& record_of(TaskDetail& detail, const Attempt& attempt, const NodeId& node) {
  for (AttemptRecord& record : detail.attempts) {
    if (record.attempt == attempt) return record;
  }
  if (detail.attempts.size() >= kMaxAttemptRecords) detail.attempts.erase(detail.attempts.begin());
  AttemptRecord record;
  record.attempt = attempt;
  record.node = node;
  detail.attempts.push_back(std::move(record));
  return detail.attempts.back();
}

void keep_result(AttemptRecord& record, const TaskResult& result) {
  record.end = result.is_success() ? AttemptEnd::kSuccess : AttemptEnd::kFailure;
  record.reason = result.reason;
  record.exit_code = result.exit_code;
  record.signal = result.signal;
  record.detail = result.detail;
  record.finished = result.finished;
  record.duration_ms = result.duration_ms;
  record.cpu_ms = result.cpu_ms;
  record.max_rss = result.max_rss;
  record.out = result.out;
  record.err = result.err;
  record.log_truncated = result.log_truncated;
  record.outputs = result.outputs;
}

Row row_of(Job& job, const NodeId& node, const TaskResult& result) {
  return {node_number(job, node), since_submission(job, result.finished),
          to_small_float(result.duration_ms), to_small_float(result.cpu_ms),
          to_small_float(result.max_rss / 1024)};
}

EventRun event_of_task(EventType type, const Job& job, std::uint32_t index, const NodeId& node,
                       std::uint32_t attempt, WallTime at) {
  EventRun event;
  event.type = type;
  event.job = job.id;
  event.node = node;
  event.task = job.numbers()->number_of(index);
  event.attempt = attempt;
  event.time = at;
  return event;
}

void apply_plain(Job& job, const NodeId& node, const PlainResults& plain, EventLog& events) {
  const std::shared_ptr<const TaskNumbers> numbers = job.numbers();
  std::uint32_t untold = 0;  // of those that count, the first of which there is no event yet
  const auto tell = [&](std::uint32_t end) {
    if (untold < end) events.add_done(job.id, node, plain, untold, end - untold, *numbers);
    untold = end + 1;
  };
  const std::uint16_t number = node_number(job, node);
  const std::uint64_t longest = from_small_float(column_at(plain.durations, 0));
  note_start(job, {plain.finished.ms - static_cast<std::int64_t>(longest)});
  for (std::uint32_t i = 0; i < plain.run.count; ++i) {
    const std::uint32_t index = plain.run.first + i;
    if (!job.counts(index, plain.run.attempt)) {
      tell(i);
      continue;
    }
    const WallTime finished{plain.finished.ms + column_at(plain.finished_after, i)};
    Row row{number, since_submission(job, finished), column_at(plain.durations, i)};
    if (!plain.usage.empty()) {
      row.cpu = column_at(plain.usage, 2 * i);
      row.rss = column_at(plain.usage, 2 * i + 1);
    }
    if (!job.details.empty()) {
      const auto detail = job.details.find(index);
      if (detail != job.details.end()) {
        AttemptRecord& record = record_of(detail->second, plain.run.attempt, node);
        record.end = AttemptEnd::kSuccess;
        // It may have been taken for lost before.
        record.exit_code = 0;
        record.finished = finished;
        record.duration_ms = from_small_float(row.duration);
        record.cpu_ms = from_small_float(row.cpu);
        record.max_rss = from_small_float(row.rss) * 1024;
      }
    }
    close(job, index, Closed::kDone, row);
  }
  tell(plain.run.count);
  if (job.head.total == 1 && job.head.done == 1) job.head.exit_code = 0;
}

void fail_task(Job& job, std::uint32_t index, Reason reason, const Row& row) {
  if (job.head.reason == Reason::kNone) job.head.reason = reason;
  close(job, index, Closed::kFailed, row);
}

void apply_result(Job& job, const NodeId& node, const TaskResult& result, std::uint32_t retries,
                  EventLog& events) {
  if (!job.counts(result.index, result.attempt)) return;
  const TaskDetail* known = job.detail(result.index);
  const bool is_superseded = known != nullptr && known->is_superseded(result.attempt);
  if (!result.is_success() && is_superseded) return;

  TaskDetail& detail = job.details[result.index];
  keep_result(record_of(detail, result.attempt, node), result);
  note_start(job, {result.finished.ms - static_cast<std::int64_t>(result.duration_ms)});
  touch(job, result.index);
  if (job.head.total == 1 && result.signal == 0) job.head.exit_code = result.exit_code;
  EventRun event = event_of_task(EventType::kTaskDone, job, result.index, node,
                                 result.attempt.number, result.finished);
  if (result.is_success()) {
    close(job, result.index, Closed::kDone, row_of(job, node, result));
    events.add_task(std::move(event));
    return;
  }
  ++detail.failures;
  ++detail.closed;
  detail.superseded = result.attempt;
  event.type = detail.failures > retries ? EventType::kTaskFailed : EventType::kAttemptFailed;
  event.reason = result.reason;
  event.code = result.reason == Reason::kSignal ? result.signal : result.exit_code;
  event.detail = result.detail;
  events.add_task(std::move(event));
  if (detail.failures > retries) {
    fail_task(job, result.index, result.reason, row_of(job, node, result));
  }
}

std::string suspected(const std::vector<NodeId>& nodes) {
  std::string line = "suspected of killing its hosts:";
  for (const NodeId& node : nodes) line += (node == nodes.front() ? " " : ", ") + node.short_text();
  return line;
}

LossKind kind_of(const LostCommand& command, bool was_waiting) {
  if (command.node_lost) return LossKind::kNodeLost;
  return was_waiting ? LossKind::kGivenBackUnstarted : LossKind::kGivenBack;
}

// How many records it has added: of a task that is attempted over and over the oldest go, and it
// grows no more.
std::size_t apply_loss(Job& job, std::uint32_t index, const LostCommand& command,
                       const Attempt& attempt, EventLog& events) {
  if (!job.counts(index, attempt)) return 0;
  TaskDetail& detail = job.details[index];
  if (detail.is_superseded(attempt)) return 0;
  const std::size_t before = detail.attempts.size();
  AttemptRecord& record = record_of(detail, attempt, command.node);
  const std::size_t added = detail.attempts.size() - before;
  const bool was_waiting =
      std::any_of(command.waiting.begin(), command.waiting.end(), [&](const TaskRun& run) {
        return run.attempt == attempt && run.first <= index && index - run.first < run.count;
      });
  const LossKind kind = kind_of(command, was_waiting);
  keep_loss(record, kind);
  record.finished = command.at;
  ++detail.closed;
  detail.superseded = attempt;
  touch(job, index);
  auto& nodes = detail.lost_on;
  if (!was_waiting) note_start(job, command.since.ms == 0 ? command.at : command.since);
  // What a living node gives back before it has begun says nothing about the task.
  if (was_waiting && !command.node_lost) {
    ++detail.earlier;
    ++detail.given_back;
  }
  const bool is_suspect = command.node_lost && !was_waiting &&
                          std::find(nodes.begin(), nodes.end(), command.node) == nodes.end();
  if (is_suspect) nodes.push_back(command.node);
  const auto others = detail.losses() - static_cast<std::uint32_t>(nodes.size());
  const bool may_go_on = is_suspect ? nodes.size() < job.spec()->crash_limit
                                    : others < kMaxLosses && detail.given_back < kMaxGivenBack;
  EventRun event =
      event_of_task(EventType::kAttemptLost, job, index, command.node, attempt.number, command.at);
  if (may_go_on) {
    event.code = static_cast<std::int32_t>(kind);
    events.add_task(std::move(event));
    return added;
  }
  record.reason = Reason::kCrashLimit;
  record.detail =
      is_suspect ? suspected(nodes)
                 : "lost " + std::to_string(others + detail.given_back) + " times by living nodes";
  event.type = EventType::kTaskFailed;
  event.reason = record.reason;
  event.detail = record.detail;
  events.add_task(std::move(event));
  Row row;
  row.node = node_number(job, command.node);
  row.finished_ms = since_submission(job, command.at);
  fail_task(job, index, Reason::kCrashLimit, row);
  return added;
}

struct UnderWay {
  const CancelledOn* on = nullptr;
  Attempt attempt;
};

std::map<std::uint32_t, UnderWay> running_of(const Job& job, const CancelCommand& command) {
  std::map<std::uint32_t, UnderWay> found;
  for (const CancelledOn& on : command.running) {
    for (const TaskRun& run : on.attempts) {
      if (!is_within(run, job.head.total)) continue;
      for (std::uint32_t i = run.first; i < run.end(); ++i) {
        if (job.counts(i, run.attempt)) found[i] = {&on, run.attempt};
      }
    }
  }
  return found;
}

void keep_cancelled(Job& job, std::uint32_t index, const UnderWay& running, WallTime at) {
  TaskDetail& detail = job.details[index];
  if (detail.is_superseded(running.attempt)) return;
  AttemptRecord& record = record_of(detail, running.attempt, running.on->node);
  record.end = AttemptEnd::kCancelled;
  record.reason = Reason::kCancelled;
  record.finished = at;
  const std::int64_t ms = std::max<std::int64_t>(0, at.ms - running.on->since.ms);
  record.duration_ms = static_cast<std::uint64_t>(ms);
  ++detail.closed;
  note_start(job, {at.ms - ms});
}

std::string submitted_text(const Job& job) {
  const std::uint32_t total = job.head.total;
  std::string text = total == 1 ? "by " : std::to_string(total) + " tasks, by ";
  text += job.head.user;
  return job.head.name.empty() ? text : text + ": " + job.head.name;
}

EventRun event_of_cancelled(const Job& job, std::uint32_t index, const CancelCommand& command) {
  EventRun event = event_of_task(EventType::kTaskCancelled, job, index, {}, 0, command.at);
  if (!command.by.empty()) event.detail = "by " + command.by;
  return event;
}

// How many records it has added.
std::size_t keep_usage(Job& job, const NodeId& node, const DroppedUsage& usage) {
  TaskDetail& detail = job.details[usage.index];
  const std::size_t before = detail.attempts.size();
  AttemptRecord& record = record_of(detail, usage.attempt, node);
  if (record.end == AttemptEnd::kOpen) {
    record.end = AttemptEnd::kCancelled;
    record.reason = Reason::kCancelled;
    ++detail.closed;
  }
  record.finished = usage.finished;
  record.duration_ms = usage.duration_ms;
  record.cpu_ms = usage.cpu_ms;
  record.max_rss = usage.max_rss;
  touch(job, usage.index);
  return detail.attempts.size() - before;
}

// Of an attempt that neither closed the task nor was met before that did; or of a former job of
// this id.
bool is_late(const Job& job, const AttemptLogs& logs) {
  if (logs.attempt.round < job.head.accepted) return true;
  const Closed state = job.columns.state(logs.index);
  if (state != Closed::kDone && state != Closed::kFailed) return false;
  const TaskDetail* detail = job.detail(logs.index);
  return detail == nullptr ||
         std::none_of(detail->attempts.begin(), detail->attempts.end(),
                      [&](const AttemptRecord& record) { return record.attempt == logs.attempt; });
}

// A message that comes twice brings what is known already. So does a node that was restarted before
// it heard what was committed, but in other pieces: one may begin with bytes that are known.
void add_piece(AttemptRecord& record, LogPiece piece) {
  std::uint64_t known = 0;
  for (const LogPiece& old : record.pieces) {
    if (old.is_stderr == piece.is_stderr) known = std::max(known, old.offset + old.length);
  }
  if (piece.offset + piece.length <= known || record.pieces.size() >= kMaxStreamPieces) return;
  if (piece.offset < known) {
    const auto overlap = static_cast<std::uint32_t>(known - piece.offset);
    piece.offset = known;
    piece.at += overlap;
    piece.length -= overlap;
  }
  record.pieces.push_back(piece);
}

}  // namespace

Result<Command> JobMachine::apply(GroupId group, LogIndex index, ByteView payload) {
  Result<Command> command = decode_command(payload);
  if (!command) return command;
  if (const auto* submit = std::get_if<SubmitCommand>(&*command)) {
    if (Result<void> valid = check(*submit); !valid) return tl::unexpected(valid.error());
  }
  groups_.try_emplace(group);
  events_.begin(group, index);
  std::visit([&](const auto& held) { apply(group, index, held); }, *command);
  events_.end();
  return command;
}

Job* JobMachine::changeable(GroupId group, const JobId& job) {
  const auto jobs = groups_.find(group);
  if (jobs == groups_.end()) return nullptr;
  const auto at = jobs->second.find(job);
  return at == jobs->second.end() ? nullptr : at->second.get();
}

const Job* JobMachine::find(GroupId group, const JobId& job) const {
  return const_cast<JobMachine*>(this)->changeable(group, job);
}

const JobMachine::Jobs* JobMachine::jobs(GroupId group) const {
  const auto at = groups_.find(group);
  return at == groups_.end() ? nullptr : &at->second;
}

// What every coordinator has seen to before it proposes a job.
Result<void> JobMachine::check(const SubmitCommand& command) const {
  const Result<JobSpec> spec = decode<JobSpec>(command.spec);
  const bool is_sane = spec && !command.job.is_none() && are_ascending(spec->tasks) &&
                       spec->task_count() > 0 && spec->task_count() <= kMaxTasks;
  if (!is_sane) return fail(Code::kCorrupt, "a job whose description makes no sense");
  return {};
}

void JobMachine::apply(GroupId group, LogIndex index, const SubmitCommand& command) {
  if (find(group, command.job) != nullptr) return;
  const Result<JobSpec> spec = decode<JobSpec>(command.spec);
  auto job = std::make_unique<Job>();
  job->id = command.job;
  job->spec_bytes = command.spec;
  job->head.user = command.user;
  job->head.key = command.key;
  job->head.name = spec->name;
  job->head.priority = spec->priority;
  job->head.keep = spec->keep;
  job->head.total = spec->task_count();
  job->head.submitted = command.at;
  job->head.accepted = job->head.round = job->head.reopened = job->head.revised = index;
  job->head.changed = index;
  job->columns = TaskColumns(job->head.total);
  name_nodes(*job, command.probed);
  raise_bound(*job, command.bound_below);
  grow(group, *job,
       kHeadBytes + command.spec.size() + kColumnBytes * std::uint64_t{job->head.total});
  EventRun event = event_of_job(EventType::kJobSubmitted, *job, command.at);
  event.detail = submitted_text(*job);
  events_.add(std::move(event));
  groups_[group].emplace(command.job, std::move(job));
  open_[group].insert(command.job);
}

void JobMachine::grow(GroupId group, Job& job, std::uint64_t bytes) {
  job.bytes += bytes;
  bytes_[group] += bytes;
}

// A job that was read back may count for less than its lists were reckoned at.
void JobMachine::resize(GroupId group, Job& job, std::uint64_t before, std::uint64_t after) {
  const std::uint64_t gone = std::min(before, job.bytes);
  job.bytes = job.bytes - gone + after;
  std::uint64_t& all = bytes_[group];
  all = all - std::min(gone, all) + after;
}

std::uint64_t JobMachine::bytes(GroupId group) const {
  const auto at = bytes_.find(group);
  return at == bytes_.end() ? 0 : at->second;
}

void JobMachine::note_change(GroupId group, LogIndex index, Job& job) {
  job.head.changed = index;
  job.head_dirty = true;
  const bool was_final = job.is_final();
  settle(job);
  if (!job.is_final()) return;
  if (!was_final) note_end(job);
  open_[group].erase(job.id);
  // Whom to ask after a takeover matters to open jobs alone, and the list may be long.
  job.head.probed = {};
}

void JobMachine::note_end(const Job& job) {
  const JobHead& head = job.head;
  const EventType type = head.state == JobState::kDone     ? EventType::kJobDone
                         : head.state == JobState::kFailed ? EventType::kJobFailed
                                                           : EventType::kJobCancelled;
  EventRun event = event_of_job(type, job, head.finished);
  if (type == EventType::kJobFailed && head.total > 1) {
    event.detail =
        std::to_string(head.failed) + " of " + std::to_string(head.total) + " tasks failed";
  }
  if (type == EventType::kJobFailed || head.reason == Reason::kDependencyFailed) {
    event.reason = head.reason;
  } else if (type == EventType::kJobCancelled && !head.cancelled_by.empty()) {
    event.detail = "by " + head.cancelled_by;
  }
  events_.add(std::move(event));
}

const std::set<JobId>& JobMachine::open_jobs(GroupId group) const {
  static const std::set<JobId> kNone;
  const auto at = open_.find(group);
  return at == open_.end() ? kNone : at->second;
}

void JobMachine::apply(GroupId group, LogIndex index, const ProbeCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr || job->is_final()) return;
  name_nodes(*job, command.nodes);
  raise_bound(*job, command.bound_below);
  note_change(group, index, *job);
}

void JobMachine::apply(GroupId group, LogIndex index, const CompleteCommand& command) {
  for (const NodeResults& results : command.results) {
    Job* job = changeable(group, results.job);
    if (job == nullptr || !is_well_formed(results.batch, job->head.total)) continue;
    if (job->head.cancelled > 0) {
      for (const DroppedUsage& usage : usages_of(results.batch)) {
        if (!job->wants_usage(usage)) continue;
        grow(group, *job, kAttemptBytes * keep_usage(*job, results.node, usage));
        note_change(group, index, *job);
      }
    }
    if (job->is_final()) continue;
    const std::uint32_t failed_before = job->head.failed;
    for (const PlainResults& plain : results.batch.plain) {
      apply_plain(*job, results.node, plain, events_);
    }
    if (!results.batch.others.empty()) {
      const std::uint32_t retries = job->spec()->retries;
      for (const TaskResult& result : results.batch.others) {
        apply_result(*job, results.node, result, retries, events_);
        grow(group, *job, encoded_size(result));
      }
    }
    raise_bound(*job, results.bound_below);
    end_after_failures(*job, failed_before);
    note_change(group, index, *job);
  }
}

void JobMachine::apply(GroupId group, LogIndex index, const LostCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr || job->is_final()) return;
  const std::uint32_t failed_before = job->head.failed;
  for (const TaskRun& run : command.attempts) {
    if (!is_within(run, job->head.total)) continue;
    std::uint64_t added = 0;
    for (std::uint32_t i = 0; i < run.count; ++i) {
      added += apply_loss(*job, run.first + i, command, run.attempt, events_);
    }
    grow(group, *job, kAttemptBytes * added);
  }
  end_after_failures(*job, failed_before);
  note_change(group, index, *job);
}

void JobMachine::apply(GroupId group, LogIndex index, const CancelCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr || job->is_final() || !take_order(*job, command.order)) return;
  std::vector<IndexRun> tasks = command.tasks;
  if (tasks.empty()) {
    tasks.push_back({0, job->head.total});
    job->head.is_cancelled = true;
    job->head.cancelled_by = command.by;
  }
  for (const CancelledOn& on : command.running) {
    grow(group, *job, kAttemptBytes * task_count_of(on.attempts));
  }
  const bool is_whole = command.tasks.empty();
  const std::map<std::uint32_t, UnderWay> under_way = running_of(*job, command);
  for (const IndexRun& run : tasks) {
    if (!is_within({run.first, run.count, {}}, job->head.total)) continue;
    for (std::uint32_t i = run.first; i < run.first + run.count; ++i) {
      if (job->columns.state(i) != Closed::kOpen) continue;
      const auto attempt = under_way.find(i);
      if (attempt != under_way.end()) keep_cancelled(*job, i, attempt->second, command.at);
      cancel_open(*job, i, command.at);
      if (!is_whole) events_.add_task(event_of_cancelled(*job, i, command));
    }
  }
  note_change(group, index, *job);
}

void JobMachine::apply(GroupId group, LogIndex index, const LogsCommand& command) {
  Job* job = changeable(group, command.job);
  if (job == nullptr) return;
  for (const AttemptLogs& logs : command.logs) {
    if (!is_well_formed(logs, job->head.total)) continue;
    if (is_late(*job, logs)) continue;
    AttemptRecord& record = record_of(job->details[logs.index], logs.attempt, command.node);
    for (const LogPiece& piece : logs.pieces) add_piece(record, piece);
    grow(group, *job, kAttemptBytes + kPieceBytes * logs.pieces.size());
    touch(*job, logs.index);
  }
  job->head.changed = index;
  job->head_dirty = true;
}

void JobMachine::apply(GroupId group, LogIndex, const DeleteCommand& command) {
  const Job* job = find(group, command.job);
  if (job == nullptr || !job->is_final() || !job->head.watchers.empty()) return;
  events_.add(event_of_job(EventType::kJobDeleted, *job, command.at));
  erase_rows(group, *job);
  erase(group, command.job);
}

void JobMachine::erase(GroupId group, const JobId& job) {
  Jobs& jobs = groups_[group];
  const auto at = jobs.find(job);
  bytes_[group] -= at->second->bytes;
  jobs.erase(at);
}

}  // namespace dunlin::sched
