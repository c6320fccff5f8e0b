#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "cli/commands.h"
#include "cli/job_text.h"
#include "cli/reconnect.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxJobs = 4096;
constexpr const char* kSeeStatus = "see: dunlin status";
constexpr Duration kWaitPatience = seconds(60);  // for a node to come back

// Of each job as it ends: a line on stderr, or its id on stdout.
enum class Tells { kLines, kIds, kNothing };

// Watches jobs through one stream that the node pushes into; takes it up again when it breaks.
class Waiter {
 public:
  Waiter(Invocation& call, const std::vector<JobId>& jobs, bool any, std::optional<Duration> limit,
         Tells tells)
      : call_(call), jobs_(jobs), left_(jobs.begin(), jobs.end()), any_(any), tells_(tells) {
    if (limit) deadline_ms_ = monotonic_ms() + limit->milliseconds();
    is_look_ = limit && limit->us == 0;
    shows_progress_ =
        is_terminal(STDERR_FILENO) && jobs.size() == 1 && !call.quiet() && tells == Tells::kLines;
  }

  int wait() {
    if (is_look_) return look();
    while (!is_over()) {
      const Result<void> seen = watch();
      if (is_over()) break;
      if (seen && !is_late()) continue;
      const bool is_nobody = !seen && is_lost(seen.error());
      const bool may_pass = seen || (is_nobody && (!never_connected_ || is_late()));
      if (!may_pass) return finish(call_.failed(seen.error()));
      // Where nobody answers, that is why nothing is known.
      if (is_late()) return finish(timeout(seen ? what_keeps_it_unknown() : seen.error().message));
      clear_progress();
      if (!reconnect_.again(seen.error())) return finish(call_.failed(seen.error()));
    }
    return finish(code_);
  }

  // Of all it was to wait for, and nothing was wrong.
  bool knows_all() const {
    return !has_given_up_ && (any_ ? !ended_.empty() : ended_.size() == jobs_.size());
  }

  // Those that have ended, as --json shows jobs, in the order in which they were named.
  std::string ended_json() const {
    std::string text;
    for (const JobId& id : jobs_) {
      const auto at = ended_.find(id);
      if (at != ended_.end()) text += (text.empty() ? "[" : ",") + at->second;
    }
    return (text.empty() ? "[" : text) + "]";
  }

 private:
  bool is_over() const { return left_.empty() || (any_ && seen_any_); }

  bool is_late() const { return deadline_ms_ && monotonic_ms() >= *deadline_ms_; }

  // Each is asked about once, while there is somebody to ask.
  int look() {
    const std::set<JobId> jobs = left_;
    for (const JobId& id : jobs) {
      if (is_over()) break;
      const auto answer = call_.client.call("GET", "/v1/jobs/" + id.text());
      auto job =
          answer ? job_from_json(answer->body) : Result<JobSummary>(tl::unexpected(answer.error()));
      take({id, std::move(job)}, answer ? without_spec(answer->body) : "");
      if (!answer && answer.error().code == Code::kUnreachable) return finish(code_);
    }
    return finish(is_over() ? code_ : timeout({}));
  }

  Duration time_to_begin() const {
    if (!deadline_ms_) return kAnswerPatience;
    const std::int64_t left = std::max<std::int64_t>(*deadline_ms_ - monotonic_ms(), 1);
    return std::min(milliseconds(left), kAnswerPatience);
  }

  Result<void> watch() {
    WatchJobs wish;
    wish.jobs.assign(left_.begin(), left_.end());
    wish.only_final = !shows_progress_;
    Result<void> begun = call_.client.begin("POST", "/v1/watch", watch_json(wish),
                                            Client::Life::kLive, time_to_begin());
    if (!begun) return begun;
    never_connected_ = false;
    std::string pending;
    while (!is_over()) {
      int patience = -1;
      if (deadline_ms_) {
        const std::int64_t left = *deadline_ms_ - monotonic_ms();
        if (left <= 0) return {};
        patience = static_cast<int>(std::min<std::int64_t>(left, 1'000'000'000));
      }
      const auto more = call_.client.more(pending, patience);
      if (!more) return tl::unexpected(more.error());
      if (*more == Client::More::kData) reconnect_.has_news();
      if (Result<void> fine = take_lines(pending); !fine) return fine;
      if (*more == Client::More::kEnd) break;
    }
    return {};
  }

  Result<void> take_lines(std::string& pending) {
    std::size_t end = 0;
    while (!is_over() && (end = pending.find('\n')) != std::string::npos) {
      // An empty line is a sign of life.
      if (end == 0) {
        pending.erase(0, 1);
        continue;
      }
      const std::string text = pending.substr(0, end);
      pending.erase(0, end + 1);
      const auto line = watch_line_from_json(text);
      if (!line) return tl::unexpected(line.error());
      take(*line, text);
    }
    return {};
  }

  // The text is the job's own, where there is one.
  void take(const WatchLine& line, const std::string& text) {
    if (!line.job) return line.goes_on ? say_trouble(line) : give_up(line);
    const JobSummary& job = *line.job;
    troubled_.erase(job.id);
    if (!is_final(job.state)) {
      if (shows_progress_) show_progress(job);
      return;
    }
    if (left_.erase(job.id) == 0) return;
    seen_any_ = true;
    if (job.state != JobState::kDone && code_ == kExitWell) code_ = kExitFailed;
    clear_progress();
    ended_.emplace(job.id, text);
    if (tells_ == Tells::kIds) print(job.id.text() + "\n");
    if (tells_ == Tells::kLines) note(how_it_ended(job));
  }

  void give_up(const WatchLine& line) {
    if (left_.erase(line.id) == 0) return;
    clear_progress();
    const bool is_said = std::exchange(has_given_up_, true) && tells_ == Tells::kNothing;
    const Error& error = line.job.error();
    const int code = is_said ? exit_code_of(error.code) : call_.failed(error);
    if (code_ == kExitWell || code_ == kExitFailed) code_ = code;
  }

  // One group without a quorum is news once, however many of the jobs live there.
  void say_trouble(const WatchLine& line) {
    const Error& error = line.job.error();
    troubled_.insert_or_assign(line.id, error.message);
    if (error.message == last_trouble_) return;
    last_trouble_ = error.message;
    clear_progress();
    if (tells_ != Tells::kNothing) note("waiting on: " + error.message);
  }

  void show_progress(const JobSummary& job) {
    const std::string line = "\r\x1b[K" + job.id.text() + " " + progress_of(job);
    (void)!::write(STDERR_FILENO, line.data(), line.size());
    has_progress_ = true;
  }
  void clear_progress() {
    if (!std::exchange(has_progress_, false)) return;
    (void)!::write(STDERR_FILENO, "\r\x1b[K", 4);
  }

  int timeout(const std::string& trouble) const {
    // For a program there is one error, the first.
    if (has_given_up_ && tells_ == Tells::kNothing) return code_;
    std::string names;
    for (const JobId& id : left_) {
      if (names.size() > 100) break;
      names += (names.empty() ? "" : ", ") + id.text();
    }
    const std::string what =
        (left_.size() == 1 ? "one job is" : std::to_string(left_.size()) + " jobs are") +
        " not known to have ended in time: " + names;
    if (!trouble.empty()) return call_.failed({Code::kTimeout, what + ": " + trouble, kSeeStatus});
    return call_.failed(
        {Code::kTimeout, what, "wait longer, or see: dunlin explain " + left_.begin()->text()});
  }

  // Of the jobs that nobody could tell about when they were last asked for.
  std::string what_keeps_it_unknown() const {
    std::set<std::string> all;
    for (const auto& [id, trouble] : troubled_) {
      if (left_.contains(id)) all.insert(trouble);
    }
    std::string text;
    for (const std::string& each : all) {
      if (text.size() > 200) break;
      text += (text.empty() ? "" : "; ") + each;
    }
    return text;
  }

  int finish(int code) {
    clear_progress();
    return code;
  }

  Invocation& call_;
  std::vector<JobId> jobs_;
  std::set<JobId> left_;
  std::map<JobId, std::string> ended_;
  bool any_;
  Tells tells_;
  Reconnect reconnect_{kWaitPatience};
  std::optional<std::int64_t> deadline_ms_;
  bool is_look_ = false;  // no waiting at all
  bool shows_progress_ = false;
  bool has_progress_ = false;
  bool seen_any_ = false;
  bool has_given_up_ = false;  // of a job nothing can be known
  bool never_connected_ = true;
  std::string last_trouble_;
  std::map<JobId, std::string> troubled_;  // nobody knows of them now, and why
  int code_ = kExitWell;
};

}  // namespace

const OptionTable& wait_options() {
  static const OptionTable table = {
      {"any", 0, nullptr, Takes::kNothing, "until the first of them has ended"},
      {"timeout", 0, "TIME", Takes::kDuration, "give up after so long (exit 6); 0: only look"},
  };
  return table;
}

int wait_for(Invocation& call, const JobId& job) {
  return Waiter(call, {job}, false, std::nullopt, call.json() ? Tells::kNothing : Tells::kLines)
      .wait();
}

int run_wait(Invocation& call) {
  std::vector<JobId> jobs;
  for (const std::string& word : call.args.words) {
    const auto job = find_job(call.client, word);
    if (!job) return call.failed(job.error());
    const auto is_whole = is_whole_job(call.client, *job);
    if (!is_whole) return call.failed(is_whole.error());
    if (!*is_whole) return call.usage("wait takes whole jobs, not '" + word + "'");
    if (std::find(jobs.begin(), jobs.end(), job->id) == jobs.end()) jobs.push_back(job->id);
  }
  if (jobs.size() > kMaxJobs) {
    return call.usage("wait takes at most " + std::to_string(kMaxJobs) + " jobs at a time");
  }
  std::optional<Duration> limit;
  if (call.args.has("timeout")) limit = call.args.duration("timeout", {});
  const Tells tells = call.json() ? Tells::kNothing : call.quiet() ? Tells::kIds : Tells::kLines;
  Waiter waiter(call, jobs, call.args.has("any"), limit, tells);
  const int code = waiter.wait();
  if (call.json() && waiter.knows_all()) print(waiter.ended_json() + "\n");
  return code;
}

}  // namespace dunlin
