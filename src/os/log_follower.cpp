#include "os/log_follower.h"

#include <algorithm>
#include <utility>

#include "os/json.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kWatchTag = 1;
constexpr std::uint64_t kListTag = 2;  // with the generation of the list in its upper half
constexpr std::uint64_t kLogTag = std::uint64_t{1} << 63;

constexpr Duration kAttendedHold = seconds(5);
constexpr std::uint32_t kPage = 10'000;
constexpr std::uint32_t kChunk = 256 * 1024;
constexpr Duration kRetryDelay = milliseconds(500);
constexpr Duration kListDelay = seconds(1);
// A job that changes all the time is looked at this often, a quiet one at once.
constexpr int kQuickChanges = 8;
constexpr Duration kBusyDelay = milliseconds(200);
// A node that answers "nothing yet" at once is asked again at once a few times only.
constexpr int kQuickEmpties = 3;
constexpr Duration kEmptyDelay = milliseconds(100);

constexpr std::uint32_t kGenerations = 1U << 30;
// A final job's log that keeps saying neither "here" nor "end" is given up after so many answers.
constexpr int kMaxEmptiesWhenFinal = 50;

std::uint64_t tag_of(std::uint32_t task, bool is_stderr, std::uint32_t generation) {
  return kLogTag | std::uint64_t{generation} << 33 | std::uint64_t{task} << 1 |
         (is_stderr ? 1U : 0U);
}

// The term tells attempts of one number apart: a start that died with its coordinator's host left
// no trace in the log.
std::string attempt_payload(bool is_stderr, const Attempt& attempt) {
  std::string payload = (is_stderr ? "e" : "o") + std::to_string(attempt.number);
  if (attempt.epoch != 0) payload += "." + std::to_string(attempt.epoch);
  return payload;
}

bool is_for_good(const Error& error) {
  return error.code == Code::kNotFound || error.code == Code::kUsage ||
         error.code == Code::kRefused;
}

}  // namespace

LogFollower::LogFollower(Wish wish, Ways ways) : wish_(std::move(wish)), ways_(std::move(ways)) {
  is_single_ = count_of(wish_.tasks) == 1;
}

void LogFollower::start(const JobSummary* known) {
  if (is_single_) want(wish_.tasks.front().first);
  if (known == nullptr) return watch({});
  on_job(JobChanged{*known});
  if (!done_) read_logs();
}

void LogFollower::on_answer(std::uint64_t tag, Result<JobAnswer> answer) {
  if (done_) return;
  const auto take = [&]<class T>(Result<T>) -> Result<T> {
    if (!answer) return tl::unexpected(answer.error());
    if (T* held = std::get_if<T>(&*answer)) return std::move(*held);
    return fail(Code::kFailed, "the node gave an answer to another question");
  };
  if (tag == kWatchTag) {
    on_job(take(Result<JobChanged>()));
  } else if ((tag & kLogTag) == 0) {
    if (tag >> 32 != list_generation_) return;
    on_tasks(take(Result<TaskList>()));
  } else {
    const LogKey key{static_cast<std::uint32_t>(tag >> 1), (tag & 1) != 0};
    if ((tag >> 33) % kGenerations != tasks_[key.first].logs[key.second ? 1 : 0].generation) return;
    on_chunk(key, take(Result<LogChunk>()));
  }
  if (done_) return;
  if (has_begun_) read_logs();
  finish_if_done();
}

void LogFollower::resume() {
  held_ = false;
  if (!done_ && held_page_) list(*std::exchange(held_page_, std::nullopt), {});
  if (!done_ && has_begun_) read_logs();
}

// ---- the job ------------------------------------------------------------------------------------

void LogFollower::watch(Duration delay) {
  WatchJob question;
  question.id = wish_.job;
  question.seen = job_.version;
  question.attends = wish_.attends;
  // What was asked for a client that leaves is attendance until it is answered.
  if (wish_.attends) question.hold = kAttendedHold;
  delay.us == 0 ? ways_.ask(kWatchTag, question) : ways_.ask_later(kWatchTag, question, delay);
}

void LogFollower::on_job(Result<JobChanged> changed) {
  if (!changed) {
    if (!has_begun_) {
      done_ = true;
      return ways_.failed(changed.error());
    }
    if (is_for_good(changed.error()) || ++failures_ > kMaxFollowFailures) {
      return give_up(changed.error());
    }
    return watch(kRetryDelay);
  }
  failures_ = 0;
  const bool is_news = !has_begun_ || changed->job.version != job_.version;
  job_ = changed->job;
  const bool was_final = std::exchange(is_final_, is_final(job_.state));
  if (is_final_ && !was_final) drop_questions();
  if (is_news) send(FrameKind::kJob, 0, ways_.job_json(job_));
  if (!has_begun_ && !is_single_ && wish_.tasks.empty() && job_.tasks.total > kMaxFollowedTasks) {
    return give_up({Code::kLimit,
                    "the job has " + std::to_string(job_.tasks.total) +
                        " tasks; the output of at most " + std::to_string(kMaxFollowedTasks) +
                        " can be followed at once",
                    "name some of them: JOB.1-1000"});
  }
  const bool is_first = !has_begun_;
  has_begun_ = true;
  if (is_single_) {
    want(wish_.tasks.front().first);
  } else if (is_first || is_final_) {
    list(0, {});
  }
  if (!is_final_) watch(++changes_ > kQuickChanges && is_news ? kBusyDelay : Duration{});
}

// ---- the tasks ----------------------------------------------------------------------------------

void LogFollower::list(std::uint32_t from, Duration delay) {
  if (from == 0) {
    if (is_listing_) return;
    listing_since_final_ = is_final_ && delay.us == 0;
    logs_from_ = std::exchange(next_logs_from_, UINT32_MAX);
  }
  is_listing_ = true;
  ListTasks question;
  question.id = wish_.job;
  question.tasks = wish_.tasks;
  question.from = from;
  question.limit = kPage;
  question.logs_from = logs_from_;
  const std::uint64_t tag = std::uint64_t{list_generation_} << 32 | kListTag;
  delay.us == 0 ? ways_.ask(tag, std::move(question))
                : ways_.ask_later(tag, std::move(question), delay);
}

void LogFollower::on_tasks(Result<TaskList> page) {
  is_listing_ = false;
  if (!page) {
    if (is_for_good(page.error()) || ++failures_ > kMaxFollowFailures) return give_up(page.error());
    next_logs_from_ = std::min(next_logs_from_, logs_from_);
    return list(0, kRetryDelay);
  }
  for (const TaskView& view : page->tasks) {
    if (view.attempt == 0) continue;
    if (tasks_.size() >= kMaxFollowedTasks && !tasks_.contains(view.task)) continue;
    tasks_[view.task].attempt = view.attempt;
  }
  for (const TaskLogs& logs : page->logs) take_whole(logs);
  for (const TaskView& view : page->tasks) confirm(view);
  const bool is_last = !page->next && listing_since_final_;
  if (is_last) {
    listed_when_final_ = true;
  } else if (held_) {
    is_listing_ = true;
    held_page_ = page->next.value_or(0);
  } else {
    list(page->next.value_or(0), page->next || is_final_ ? Duration{} : kListDelay);
  }
}

bool LogFollower::is_whole(const TaskView& view) {
  const auto task = tasks_.find(view.task);
  if (task == tasks_.end()) return false;
  const Log& log = task->second.logs[wants(false) ? 0 : 1];
  return log.is_whole && log.attempt.number == view.attempt;
}

void LogFollower::confirm(const TaskView& view) {
  if (!is_whole(view)) {
    next_logs_from_ = std::min(next_logs_from_, view.task);
  } else if (listing_since_final_) {
    for (Log& log : tasks_[view.task].logs) log.confirmed = true;
  }
  if (tasks_.contains(view.task)) want(view.task);
}

// A task that has output to be read, or may have by now.
void LogFollower::want(std::uint32_t number) {
  Task& task = tasks_[number];
  for (const bool is_stderr : {false, true}) {
    Log& log = task.logs[is_stderr ? 1 : 0];
    if (!wants(is_stderr) || log.confirmed) continue;
    const bool is_over = !is_single_ && log.ended && log.attempt.number == task.attempt;
    if (!is_over && !log.asked) ready_.insert({number, is_stderr});
  }
}

// Once the job is final, nobody should be waited for: the tasks are listed anew, and every log is
// asked for once more, as it is.
void LogFollower::drop_questions() {
  list_generation_ += 1;
  is_listing_ = false;
  next_logs_from_ = std::min(next_logs_from_, logs_from_);
  held_page_.reset();
  for (const LogKey& key : std::set(open_)) {
    drop_question(key, tasks_[key.first].logs[key.second ? 1 : 0]);
    ready_.insert(key);
  }
}

void LogFollower::drop_question(LogKey key, Log& log) {
  if (!std::exchange(log.asked, false)) return;
  log.generation = (log.generation + 1) % kGenerations;
  open_.erase(key);
}

// ---- the logs -----------------------------------------------------------------------------------

void LogFollower::read_logs() {
  while (!held_ && !ready_.empty() && open_.size() < kMaxOpenLogs) {
    const LogKey key = *ready_.begin();
    ready_.erase(ready_.begin());
    const Log& log = tasks_[key.first].logs[key.second ? 1 : 0];
    const bool is_slow = log.empties > kQuickEmpties || log.failures > 0;
    ask_log(key, is_slow ? (log.failures > 0 ? kRetryDelay : kEmptyDelay) : Duration{});
  }
}

void LogFollower::ask_log(LogKey key, Duration delay) {
  Log& log = tasks_[key.first].logs[key.second ? 1 : 0];
  log.asked = true;
  log.asked_when_final = is_final_;
  open_.insert(key);
  ReadLog question;
  question.id = wish_.job;
  question.task = key.first;
  question.is_stderr = key.second;
  question.offset = log.offset;
  question.of = log.attempt;
  question.limit = kChunk;
  // Where more logs grow than may be open at once, none is waited for: they take turns, and a task
  // is asked about again when the next list of tasks is there.
  question.follow = !is_final_ && tasks_.size() * 2 <= kMaxOpenLogs;
  const std::uint64_t tag = tag_of(key.first, key.second, log.generation);
  delay.us == 0 ? ways_.ask(tag, question) : ways_.ask_later(tag, question, delay);
}

void LogFollower::on_chunk(LogKey key, Result<LogChunk> chunk) {
  Log& log = tasks_[key.first].logs[key.second ? 1 : 0];
  log.asked = false;
  open_.erase(key);
  if (!chunk) return on_log_failure(key, chunk.error());
  log.failures = 0;
  if (chunk->attempt.number == 0) {
    // Nothing has run. Of a final job nothing will.
    log.confirmed = log.asked_when_final;
    log.empties += 1;
  } else if (chunk->attempt != log.attempt && log.offset != 0) {
    // The task was started anew, and the question was about bytes of the former attempt.
    log.attempt = chunk->attempt;
    log.offset = 0;
    log.ended = false;
    send(FrameKind::kAttempt, key.first, attempt_payload(key.second, log.attempt));
  } else {
    take_chunk(key, log, *chunk);
  }
  if (is_final_ && log.empties > kMaxEmptiesWhenFinal) {
    const Error missing{Code::kIncomplete, "the rest of this output cannot be read now",
                        "try again later: dunlin logs " + wish_.job.text()};
    send(FrameKind::kError, key.first, error_json(missing));
    log.confirmed = true;
  }
  const bool is_turn_over = log.empties > 0 && tasks_.size() * 2 > kMaxOpenLogs && !is_final_;
  if (!log.confirmed && !is_turn_over && (!log.ended || is_final_)) ready_.insert(key);
}

// What came with the list of tasks is the committed attempt's from its beginning to its end.
void LogFollower::take_whole(const TaskLogs& logs) {
  const auto task = tasks_.find(logs.task);
  if (task == tasks_.end()) return;
  for (const bool is_stderr : {false, true}) {
    const LogKey key{logs.task, is_stderr};
    Log& log = task->second.logs[is_stderr ? 1 : 0];
    log.is_whole = true;
    if (!wants(is_stderr) || log.confirmed) continue;
    drop_question(key, log);
    ready_.erase(key);
    if (log.attempt != logs.attempt) log.offset = 0;
    const Bytes& bytes = is_stderr ? logs.err : logs.out;
    const std::size_t from = std::min<std::size_t>(log.offset, bytes.size());
    LogChunk chunk{logs.attempt, from, to_bytes(ByteView(bytes).subspan(from)), true, false};
    take_chunk(key, log, chunk);
  }
}

void LogFollower::take_chunk(LogKey key, Log& log, const LogChunk& chunk) {
  if (chunk.attempt != log.attempt) {
    log.attempt = chunk.attempt;
    send(FrameKind::kAttempt, key.first, attempt_payload(key.second, log.attempt));
  }
  const FrameKind kind = key.second ? FrameKind::kStderr : FrameKind::kStdout;
  if (chunk.truncated && chunk.offset > log.offset) {
    send(kind, key.first, log_cut_mark(chunk.offset - log.offset));
  }
  if (!chunk.data.empty()) send(kind, key.first, as_text(chunk.data));
  log.empties = chunk.data.empty() && !chunk.end ? log.empties + 1 : 0;
  log.offset = chunk.offset + chunk.data.size();
  log.ended = chunk.end;
  log.confirmed = chunk.end && log.asked_when_final;
}

void LogFollower::on_log_failure(LogKey key, const Error& error) {
  Log& log = tasks_[key.first].logs[key.second ? 1 : 0];
  if (is_for_good(error) || ++log.failures > kMaxFollowFailures) {
    send(FrameKind::kError, key.first, error_json(error));
    log.confirmed = true;
    return;
  }
  ready_.insert(key);
}

// ---- the client ---------------------------------------------------------------------------------

void LogFollower::send(FrameKind kind, std::uint32_t task, std::string_view payload) {
  if (!ways_.send(frame_text(kind, task, payload))) held_ = true;
}

void LogFollower::give_up(const Error& error) {
  send(FrameKind::kError, 0, error_json(error));
  done_ = true;
  ways_.finished(job_);
}

void LogFollower::finish_if_done() {
  if (!is_final_ || !(is_single_ || listed_when_final_)) return;
  if (!ready_.empty() || !open_.empty()) return;
  done_ = true;
  ways_.finished(job_);
}

}  // namespace dunlin
