// GET /v1/jobs/ID/logs, POST /v1/run.
#include <algorithm>
#include <optional>

#include "os/exchange.h"
#include "os/frames.h"
#include "os/json.h"
#include "os/log_follower.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

// Tasks in number order, of each its stdout, its stderr or one after the other; plain bytes. What
// tasks wrote that wrote little comes with their list; of the others some are read ahead.
class PlainLogs {
 public:
  struct Ways {
    std::function<void(std::uint64_t tag, JobRequest)> ask;
    std::function<bool(std::string_view)> write;
    std::function<void()> finished;
    std::function<void(const Error&)> failed;
  };
  PlainLogs(LogFollower::Wish wish, std::uint32_t attempt, Ways ways)
      : wish_(std::move(wish)), attempt_(attempt), ways_(std::move(ways)) {}

  void start() { list(); }

  void on_answer(std::uint64_t tag, Result<JobAnswer> answer) {
    if (tag == kList) {
      if (!answer) return ways_.failed(answer.error());
      if (const auto* page = std::get_if<TaskList>(&*answer)) return on_tasks(*page);
    } else if (tag - kRead < queue_.size()) {
      queue_[tag - kRead].answer = std::move(answer);
      return next();
    }
    ways_.failed(other_question());
  }

  void resume() {
    is_held_ = false;
    next();
  }

 private:
  static constexpr std::uint64_t kList = 1;
  static constexpr std::uint64_t kRead = 2;  // and the place in the queue
  static constexpr std::uint32_t kPage = 10'000;
  static constexpr std::uint32_t kChunk = 1024 * 1024;
  static constexpr std::size_t kAhead = 8;  // logs whose first chunk is asked for at once

  struct Log {
    std::uint32_t task = 0;
    bool is_stderr = false;
    std::optional<Bytes> whole;  // came with the list
    bool is_asked = false;
    std::optional<Result<JobAnswer>> answer;
  };

  static Error other_question() {
    return {Code::kFailed, "the node gave an answer to another question", ""};
  }

  void list() {
    ListTasks question;
    question.id = wish_.job;
    question.tasks = wish_.tasks;
    question.from = *next_from_;
    question.limit = kPage;
    // Those are of the committed attempt.
    if (attempt_ == 0) question.logs_from = 0;
    ways_.ask(kList, std::move(question));
  }

  void on_tasks(const TaskList& page) {
    // Only the first page begins at 0.
    if (next_from_ == 0U && page.tasks.empty() && !wish_.tasks.empty()) {
      return ways_.failed({Code::kNotFound,
                           "the job " + wish_.job.text() + " has no task " + text_of(wish_.tasks),
                           "see: dunlin tasks " + wish_.job.text()});
    }
    next_from_ = page.next;
    auto logs = page.logs.begin();
    for (const TaskView& task : page.tasks) {
      while (logs != page.logs.end() && logs->task < task.task) ++logs;
      const bool is_whole = logs != page.logs.end() && logs->task == task.task;
      if (task.attempt == 0 || task.attempt < attempt_) continue;
      has_any_ = true;
      if (wish_.want_stdout) add(task.task, false, is_whole ? &logs->out : nullptr);
      if (wish_.want_stderr) add(task.task, true, is_whole ? &logs->err : nullptr);
    }
    // The reader of a long list in which nobody wrote anything is to see that it is being read.
    if (attempt_ == 0 && !ways_.write({})) is_held_ = true;
    next();
  }

  void add(std::uint32_t task, bool is_stderr, const Bytes* whole) {
    if (whole != nullptr && whole->empty()) return;
    Log& log = queue_.emplace_back();
    log.task = task;
    log.is_stderr = is_stderr;
    if (whole != nullptr) log.whole = *whole;
  }

  void next() {
    while (!is_held_ && at_ < queue_.size()) {
      Log& log = queue_[at_];
      if (log.whole) {
        is_held_ = !ways_.write(as_text(*log.whole));
        log = {};
        ++at_;
      } else if (!log.answer) {
        return ask_ahead();
      } else if (!take(log)) {
        return;
      }
    }
    if (!is_held_) end_page();
  }

  void ask_ahead() {
    const std::size_t end = std::min(queue_.size(), at_ + kAhead);
    for (std::size_t i = at_; i < end; ++i) {
      if (!queue_[i].is_asked && !queue_[i].whole) ask(i);
    }
  }

  void ask(std::size_t place) {
    Log& log = queue_[place];
    log.is_asked = true;
    ReadLog question;
    question.id = wish_.job;
    question.task = log.task;
    question.is_stderr = log.is_stderr;
    question.limit = kChunk;
    question.attempt = attempt_;
    if (place == at_) {
      // From its second piece on, a log stays the same attempt's.
      if (pinned_.number != 0) question.attempt = pinned_.number;
      question.of = pinned_;
      question.offset = offset_;
    }
    ways_.ask(kRead + place, question);
  }

  // Of the log that is being written. False when all is over.
  bool take(Log& log) {
    const Result<JobAnswer> answer = std::move(*log.answer);
    log.answer.reset();
    log.is_asked = false;
    if (!answer) return ways_.failed(answer.error()), false;
    const auto* chunk = std::get_if<LogChunk>(&*answer);
    if (chunk == nullptr) return ways_.failed(other_question()), false;
    std::string text;
    if (chunk->truncated && chunk->offset > offset_) text = log_cut_mark(chunk->offset - offset_);
    text += as_text(chunk->data);
    offset_ = chunk->offset + chunk->data.size();
    pinned_ = chunk->attempt;
    if (chunk->end || chunk->data.empty()) {
      ++at_;
      offset_ = 0;
      pinned_ = {};
    } else {
      ask(at_);  // while these bytes are on their way
    }
    is_held_ = !ways_.write(text);
    return true;
  }

  void end_page() {
    queue_.clear();
    at_ = 0;
    if (next_from_) return list();
    if (attempt_ != 0 && !has_any_) {
      return ways_.failed({Code::kNotFound,
                           "the job " + wish_.job.text() + " has no attempt " +
                               std::to_string(attempt_) +
                               (wish_.tasks.empty() ? "" : " of task " + text_of(wish_.tasks)),
                           "see: dunlin tasks " + wish_.job.text()});
    }
    ways_.write({});
    ways_.finished();
  }

  LogFollower::Wish wish_;
  std::uint32_t attempt_;
  Ways ways_;
  std::optional<std::uint32_t> next_from_ = 0;  // where the next page of tasks begins
  bool has_any_ = false;                        // of the tasks has the attempt
  bool is_held_ = false;                        // the reader is slower than we are
  std::vector<Log> queue_;                      // of one page
  std::size_t at_ = 0;                          // the log that is being written
  std::uint64_t offset_ = 0;
  Attempt pinned_;
};

Result<JobAnswer> as_job_answer(Result<client::Answer> answer) {
  if (!answer) return tl::unexpected(std::move(answer.error()));
  if (auto* held = std::get_if<JobAnswer>(&*answer)) return std::move(*held);
  return fail(Code::kFailed, "the node gave an answer to another question");
}

class Logs : public Exchange {
 public:
  using Exchange::Exchange;

  void start() override {
    LogFollower::Wish wish;
    const auto id = target_.job();
    if (!id) return refuse(id.error());
    wish.job = *id;
    auto tasks = target_.take_tasks();
    if (!tasks) return refuse(tasks.error());
    wish.tasks = std::move(*tasks);
    const std::string stream = target_.take("stream").value_or("stdout");
    wish.want_stdout = stream == "stdout" || stream == "both";
    wish.want_stderr = stream == "stderr" || stream == "both";
    if (!wish.want_stdout && !wish.want_stderr) {
      return refuse({Code::kUsage, "'" + stream + "' is no stream", "stdout, stderr or both"});
    }
    const auto follow = target_.take_flag("follow");
    if (!follow) return refuse(follow.error());
    const auto attempt = target_.take_number("attempt", 0, ~std::uint32_t{0});
    if (!attempt) return refuse(attempt.error());
    if (const Result<void> fine = target_.check(); !fine) return refuse(fine.error());
    if (!*follow) return start_plain(std::move(wish), static_cast<std::uint32_t>(*attempt));
    if (*attempt != 0) {
      return refuse({Code::kUsage, "one attempt cannot be followed", "leave out attempt"});
    }
    start_following(std::move(wish));
  }

  void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool) override {
    Result<JobAnswer> job = as_job_answer(std::move(answer));
    plain_ ? plain_->on_answer(tag, std::move(job)) : follower_->on_answer(tag, std::move(job));
  }

  void on_drained() override { plain_ ? plain_->resume() : follower_->resume(); }

 private:
  void start_plain(LogFollower::Wish wish, std::uint32_t attempt) {
    const auto write_bytes = [this](std::string_view bytes) {
      if (!has_begun()) begin("application/octet-stream");
      return write(bytes);
    };
    plain_.emplace(std::move(wish), attempt,
                   PlainLogs::Ways{[this](std::uint64_t tag, JobRequest request) {
                                     ask(tag, client::Request(std::move(request)));
                                   },
                                   write_bytes, [this] { end(); },
                                   [this](const Error& error) { refuse(error); }});
    plain_->start();
  }

  void start_following(LogFollower::Wish wish) {
    follower_.emplace(
        std::move(wish),
        LogFollower::Ways{[this](std::uint64_t tag, JobRequest request) {
                            ask(tag, client::Request(std::move(request)));
                          },
                          [this](std::uint64_t tag, JobRequest request, Duration delay) {
                            ask_later(tag, client::Request(std::move(request)), delay);
                          },
                          [this](const std::string& frame) {
                            if (!has_begun())
                              begin(kFramesType, frame_text(FrameKind::kAlive, 0, ""));
                            return write(frame);
                          },
                          [this](const JobSummary& job) { return job_json(job, group_count()); },
                          [this](const JobSummary&) {
                            write(frame_text(FrameKind::kEnd, 0, ""));
                            end();
                          },
                          [this](const Error& error) { refuse(error); }});
    follower_->start(nullptr);
  }

  std::optional<PlainLogs> plain_;
  std::optional<LogFollower> follower_;
};

// Submits, and follows the output in the same answer: `dunlin run` needs one connection and one
// request for the whole life of its job.
class Run : public Exchange {
 public:
  using Exchange::Exchange;

  void start() override {
    auto submission = submission_of(request_, group_count());
    if (!submission) return refuse(submission.error());
    if (const Result<void> fine = target_.check(); !fine) return refuse(fine.error());
    tasks_ = submission->spec.tasks;
    id_ = submission->id;
    ask_job(kSubmit, std::move(*submission));
  }

  void on_answer(std::uint64_t tag, Result<client::Answer> answer, bool) override {
    if (tag == kSubmit) {
      const auto submitted = answer_as<Submitted>(std::move(answer));
      if (!submitted) return refuse(submitted.error());
      return follow(submitted->job);
    }
    if (tag == kWorst) return on_worst(answer_as<TaskList>(std::move(answer)));
    follower_->on_answer(tag, as_job_answer(std::move(answer)));
  }

  void on_drained() override {
    if (follower_) follower_->resume();
  }

 private:
  // Far from the follower's tags.
  static constexpr std::uint64_t kSubmit = 1001;
  static constexpr std::uint64_t kWorst = 1002;

  void follow(const JobSummary& job) {
    LogFollower::Wish wish;
    wish.job = id_;
    wish.tasks = tasks_;
    wish.attends = true;
    follower_.emplace(
        std::move(wish),
        LogFollower::Ways{[this](std::uint64_t tag, JobRequest request) {
                            ask(tag, client::Request(std::move(request)));
                          },
                          [this](std::uint64_t tag, JobRequest request, Duration delay) {
                            ask_later(tag, client::Request(std::move(request)), delay);
                          },
                          [this](const std::string& frame) { return write(frame); },
                          [this](const JobSummary& now) { return job_json(now, group_count()); },
                          [this](const JobSummary& last) { ask_for_worst(last); },
                          [this](const Error& error) { refuse(error); }});
    begin(kFramesType, frame_text(FrameKind::kAlive, 0, ""));
    follower_->start(&job);
  }

  // The task that decides the exit code: the first failed one. A job done needs none.
  void ask_for_worst(const JobSummary& job) {
    if (job.state == JobState::kDone || !is_final(job.state)) return finish();
    worst_.id = id_;
    worst_.state = job.tasks.failed > 0 ? TaskState::kFailed : TaskState::kCancelled;
    worst_.limit = 1;
    ask_job(kWorst, worst_);
  }

  void on_worst(const Result<TaskList>& list) {
    if (list && list->tasks.empty() && list->next) {
      worst_.from = *list->next;
      return ask_job(kWorst, worst_);
    }
    if (list && !list->tasks.empty()) {
      const TaskView& task = list->tasks.front();
      write(frame_text(FrameKind::kTask, task.task, task_json(task)));
    }
    finish();
  }

  void finish() {
    write(frame_text(FrameKind::kEnd, 0, ""));
    end();
  }

  JobId id_;
  std::vector<TaskRange> tasks_;
  ListTasks worst_;
  std::optional<LogFollower> follower_;
};

}  // namespace

std::string log_cut_mark(std::uint64_t bytes) {
  return "\n[dunlin: " + std::to_string(bytes) + " bytes cut out by --log-limit]\n";
}

const std::vector<Endpoint>& log_endpoints() {
  static const std::vector<Endpoint> all = {
      {"GET", "/v1/jobs/{}/logs", 0, make_exchange<Logs>},
      {"POST", "/v1/run", kMaxJsonBody, make_exchange<Run>},
  };
  return all;
}

}  // namespace dunlin
