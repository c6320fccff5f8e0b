#include "sched/job_views.h"

#include <algorithm>

namespace dunlin::sched {

namespace {

constexpr std::int64_t kRecentMs = 24LL * 3600 * 1000;

// The record of the attempt that closed the task. Others may come into the log after it: output of
// one that was given up. Null where it left none: a success without a word, or no attempt at all.
const AttemptRecord* closing_record(const TaskDetail* detail, Closed state) {
  if (detail == nullptr || detail->attempts.empty()) return nullptr;
  // The newest: earlier rounds have left theirs.
  for (auto at = detail->attempts.rbegin(); at != detail->attempts.rend(); ++at) {
    if (state == Closed::kDone && at->end == AttemptEnd::kSuccess) return &*at;
    if (state == Closed::kFailed && at->attempt == detail->superseded) return &*at;
    if (state == Closed::kCancelled && at->end == AttemptEnd::kCancelled) return &*at;
  }
  return state == Closed::kCancelled ? &detail->attempts.back() : nullptr;
}

// One whose node died with the coordinator may have left output, and no word of its end.
std::uint32_t last_attempt(const TaskDetail& detail) {
  std::uint32_t last = detail.closed;
  for (const AttemptRecord& record : detail.attempts) last = std::max(last, record.attempt.number);
  return last;
}

// Of one that was cancelled it is told when its process is gone; no process takes no memory.
bool has_usage(const AttemptRecord& record) {
  return record.max_rss != 0;
}

void fill_from(const AttemptRecord& record, TaskView& view) {
  view.node = record.node;
  view.attempt = record.attempt.number;
  view.detail = record.detail;
  if (record.end == AttemptEnd::kOpen || record.end == AttemptEnd::kLost) return;
  if (record.signal == 0) {
    view.exit_code = record.exit_code;
  } else {
    view.signal = record.signal;
  }
  view.finished_at = record.finished;
  view.started_at = {record.finished.ms - static_cast<std::int64_t>(record.duration_ms)};
  view.duration_ms = static_cast<std::int64_t>(record.duration_ms);
  view.cpu_ms = static_cast<std::int64_t>(record.cpu_ms);
  view.max_rss = record.max_rss;
  view.outputs = record.outputs;
  view.log_truncated = record.log_truncated;
}

void fill_from(const Job& job, const TaskColumns::Row& row, TaskView& view) {
  if (row.node < job.head.node_table.size()) view.node = job.head.node_table[row.node];
  view.attempt = job.head.whole_rounds + 1;
  view.exit_code = 0;
  view.finished_at = {job.head.submitted.ms + row.finished_ms};
  const auto duration = static_cast<std::int64_t>(from_small_float(row.duration));
  view.started_at = {view.finished_at.ms - duration};
  view.duration_ms = duration;
  view.cpu_ms = static_cast<std::int64_t>(from_small_float(row.cpu));
  view.max_rss = from_small_float(row.rss) * 1024;
}

// What ends all tasks of a job that are still open.
bool is_end_of_all(Reason reason) {
  return reason == Reason::kMaxFails || reason == Reason::kDependencyFailed;
}

}  // namespace

JobSummary summary_of(const Job& job) {
  const JobHead& head = job.head;
  JobSummary summary;
  summary.id = job.id;
  summary.name = head.name;
  summary.user = head.user;
  summary.state = !job.is_final() && head.hold != Hold::kNone ? JobState::kPaused : head.state;
  summary.reason = job.is_final() ? head.reason : Reason::kNone;
  summary.priority = head.priority;
  summary.submitted_at = head.submitted;
  summary.started_at = head.started;
  if (job.is_final()) {
    summary.finished_at = head.finished;
    summary.expires_at = {head.finished.ms + head.keep.milliseconds()};
    summary.exit_code = head.exit_code;
  }
  summary.tasks.total = head.total;
  summary.tasks.queued = head.open();
  summary.tasks.done = head.done;
  summary.tasks.failed = head.failed;
  summary.tasks.cancelled = head.cancelled;
  return summary;
}

TaskView view_of(const Job& job, std::uint32_t index) {
  TaskView view;
  view.job = job.id;
  view.task = job.numbers()->number_of(index);
  const std::shared_ptr<const JobSpec> spec = job.spec();
  if (view.task >= 1 && view.task <= spec->entries.size()) {
    view.entry = spec->entries[view.task - 1];
  } else if (spec->many && spec->entry_blocks.empty()) {
    view.entry = std::to_string(view.task);
  }
  const Closed state = job.columns.state(index);
  const TaskColumns::Row row = job.columns.row(index);
  const AttemptRecord* record = closing_record(job.detail(index), state);
  switch (state) {
    case Closed::kOpen:
      view.state = TaskState::kQueued;
      if (const TaskDetail* detail = job.detail(index)) view.attempt = last_attempt(*detail);
      return view;
    case Closed::kDone:
      view.state = TaskState::kDone;
      if (record != nullptr) {
        fill_from(*record, view);
      } else {
        fill_from(job, row, view);
      }
      return view;
    case Closed::kFailed:
      view.state = TaskState::kFailed;
      if (record != nullptr) {
        fill_from(*record, view);
        view.reason = record->reason;
      }
      return view;
    case Closed::kCancelled:
      view.state = TaskState::kCancelled;
      view.reason = is_end_of_all(job.head.reason) ? job.head.reason : Reason::kCancelled;
      view.finished_at = {job.head.submitted.ms + row.finished_ms};
      if (record == nullptr) return view;
      view.attempt = record->attempt.number;
      if (record->end != AttemptEnd::kCancelled) return view;
      view.node = record->node;
      view.duration_ms = static_cast<std::int64_t>(record->duration_ms);
      view.started_at = {record->finished.ms - *view.duration_ms};
      if (!has_usage(*record)) return view;
      view.finished_at = record->finished;
      view.cpu_ms = static_cast<std::int64_t>(record->cpu_ms);
      view.max_rss = record->max_rss;
      return view;
  }
  return view;
}

// ---- attempts -----------------------------------------------------------------------------------

namespace {

const char* outcome_of(AttemptEnd end) {
  switch (end) {
    case AttemptEnd::kOpen: return "running";
    case AttemptEnd::kSuccess: return "done";
    case AttemptEnd::kFailure: return "failed";
    case AttemptEnd::kLost: return "lost";
    case AttemptEnd::kCancelled: return "cancelled";
  }
  return "";
}

AttemptView view_of(const AttemptRecord& record) {
  AttemptView view;
  view.attempt = record.attempt.number;
  view.node = record.node;
  view.outcome = outcome_of(record.end);
  view.reason = record.reason;
  view.detail = record.detail;
  view.finished_at = record.finished;
  if (record.end == AttemptEnd::kLost && view.detail.empty()) view.detail = loss_text(record);
  if (record.end == AttemptEnd::kOpen || record.end == AttemptEnd::kLost) return view;
  view.duration_ms = static_cast<std::int64_t>(record.duration_ms);
  view.started_at = {record.finished.ms - *view.duration_ms};
  if (record.end == AttemptEnd::kCancelled) {
    if (has_usage(record)) view.max_rss = record.max_rss;
    return view;
  }
  if (record.signal == 0) view.exit_code = record.exit_code;
  if (record.signal != 0) view.signal = record.signal;
  view.max_rss = record.max_rss;
  return view;
}

AttemptView view_of(const TaskView& task) {
  AttemptView view;
  view.attempt = task.attempt;
  view.node = task.node;
  view.outcome = name_of(task.state);
  view.reason = task.reason;
  view.exit_code = task.exit_code;
  view.signal = task.signal;
  view.started_at = task.started_at;
  view.finished_at = task.finished_at;
  view.duration_ms = task.duration_ms;
  view.max_rss = task.max_rss;
  view.detail = task.detail;
  return view;
}

}  // namespace

std::vector<AttemptView> attempts_of(const Job& job, std::uint32_t index, const TaskView& task) {
  std::vector<AttemptView> views;
  const TaskDetail* const detail = job.detail(index);
  const bool is_running = task.state == TaskState::kRunning;
  bool is_newest_told = false;
  for (const AttemptRecord& record :
       detail == nullptr ? std::vector<AttemptRecord>{} : detail->attempts) {
    // Output of the one that runs, or of one of which nothing more was heard.
    if (record.end == AttemptEnd::kOpen) continue;
    views.push_back(view_of(record));
    is_newest_told |= !is_running && record.attempt.number == task.attempt;
  }
  // A success without a word left no record, and what runs has none yet.
  const bool is_missing = task.node.has_value() && !is_newest_told;
  if (is_missing) views.push_back(view_of(task));
  return views;
}

// ---- logs ---------------------------------------------------------------------------------------

namespace {

// The record of the attempt that a reader means; null when it means none that left one.
const AttemptRecord* chosen_record(const Job& job, std::uint32_t index, const ReadLog& read,
                                   const std::optional<std::pair<NodeId, Attempt>>& running) {
  const TaskDetail* detail = job.detail(index);
  if (detail == nullptr) return nullptr;
  const Closed state = job.columns.state(index);
  const bool is_decided = state == Closed::kDone || state == Closed::kFailed;
  if (read.attempt == 0 && is_decided) return closing_record(detail, state);
  const AttemptRecord* chosen = nullptr;
  for (const AttemptRecord& record : detail->attempts) {
    if (!read.may_be(record.attempt)) continue;
    // Of several that bear the number meant, that which succeeded is, or the last.
    if (record.end == AttemptEnd::kSuccess) return &record;
    if (chosen == nullptr || chosen->attempt < record.attempt) chosen = &record;
  }
  const bool runs_newer = running && read.may_be(running->second) &&
                          (chosen == nullptr || chosen->attempt < running->second);
  return runs_newer ? nullptr : chosen;
}

}  // namespace

LogPlace place_of(const Job& job, std::uint32_t index, const ReadLog& read,
                  const std::optional<std::pair<NodeId, Attempt>>& running) {
  LogPlace place;
  place.index = index;
  const bool is_closed = job.columns.state(index) != Closed::kOpen;
  const AttemptRecord* record = chosen_record(job, index, read, running);
  if (record == nullptr) {
    const bool is_meant = running && !is_closed && read.may_be(running->second);
    if (is_meant) {
      place.exists = true;
      place.attempt = running->second;
      place.node = running->first;
    } else if (is_closed && read.attempt <= 1) {
      // Finished without a word, or cancelled before it began.
      place.exists = true;
      place.attempt = read.of.number != 0 ? read.of : Attempt{0, 0, 1};
      place.is_over = true;
    }
    return place;
  }
  place.exists = true;
  place.attempt = record->attempt;
  if (running && running->second == record->attempt) place.node = running->first;
  place.is_over = is_closed || (record->end != AttemptEnd::kOpen);
  if (place.is_over) place.node.reset();
  place.rest = read.is_stderr ? record->err : record->out;
  for (const LogPiece& piece : record->pieces) {
    if (piece.is_stderr != read.is_stderr || piece.offset + piece.length <= read.offset) continue;
    if (place.pieces.size() == kMaxPlacePieces) {
      place.has_more_pieces = true;
      break;
    }
    place.pieces.push_back(piece);
  }
  return place;
}

std::optional<TaskLogs> logs_of(const Job& job, std::uint32_t index) {
  const Closed state = job.columns.state(index);
  // What a cancelled task still writes in its grace comes after the entry that closed it.
  if (state == Closed::kOpen || state == Closed::kCancelled) return std::nullopt;
  TaskLogs logs{job.numbers()->number_of(index), {}, {}, {}};
  for (const bool is_stderr : {false, true}) {
    ReadLog read;
    read.is_stderr = is_stderr;
    LogPlace place = place_of(job, index, read, std::nullopt);
    const bool is_whole =
        place.exists && place.is_over && place.pieces.empty() && place.rest.offset == 0;
    if (!is_whole) return std::nullopt;
    logs.attempt = place.attempt;
    (is_stderr ? logs.err : logs.out) = std::move(place.rest.bytes);
  }
  return logs;
}

// ---- lists --------------------------------------------------------------------------------------

bool matches_glob(std::string_view glob, std::string_view text) {
  // The usual walk with one point to return to: the last star, and the text it may swallow.
  std::size_t at = 0, in = 0, star = std::string_view::npos, resume = 0;
  while (in < text.size()) {
    if (at < glob.size() && glob[at] == '*') {
      star = at++;
      resume = in;
    } else if (at < glob.size() && (glob[at] == '?' || glob[at] == text[in])) {
      ++at;
      ++in;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in = ++resume;
    } else {
      return false;
    }
  }
  while (at < glob.size() && glob[at] == '*') ++at;
  return at == glob.size();
}

bool matches(const ListJobs& query, const Job& job, WallTime now) {
  const JobHead& head = job.head;
  if (query.user && *query.user != head.user) return false;
  if (!query.id_prefix.empty() && !job.id.text().starts_with(query.id_prefix)) return false;
  if (!query.name_glob.empty() && !matches_glob(query.name_glob, head.name)) return false;
  if (head.submitted < query.since) return false;
  if (!query.unfinished_or_recent || !job.is_final()) return true;
  return head.finished.ms + kRecentMs >= now.ms;
}

}  // namespace dunlin::sched
