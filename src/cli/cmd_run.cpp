
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "cli/commands.h"
#include "cli/directories.h"
#include "cli/follow_printer.h"
#include "cli/interrupts.h"
#include "cli/job_options.h"
#include "cli/job_text.h"
#include "cli/passed_input.h"
#include "cli/reconnect.h"
#include "cli/submission.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

// A job without a client is cancelled after 30 s, so a longer search would find it cancelled.
constexpr Duration kRunPatience = seconds(28);
constexpr std::int64_t kSilenceMs = 1000;    // without a place: then it is said why
constexpr std::size_t kMaxNamedChars = 200;  // of jobs that are at fault
constexpr std::int64_t kSearchMs = 300;      // to find a place takes a moment: --timeout 0

class Runner {
 public:
  Runner(Invocation& call, SubmitJob submission)
      : call_(call),
        submission_(std::move(submission)),
        body_(submission_json(submission_)),
        printer_(submission_.spec.task_count() > 1, [this] { (void)handle_interrupts(); }),
        started_ms_(monotonic_ms()) {
    if (!call.args.has("timeout")) return;
    const Duration timeout = call.args.duration("timeout", {});
    give_up_ms_ = started_ms_ + std::max(timeout.milliseconds(), kSearchMs);
  }

  int run() {
    while (true) {
      const Result<void> followed = follow();
      const bool was_just_cancelled = handle_interrupts();
      if (left_) return *left_;
      if (printer_.is_complete()) return verdict();
      const Error error = followed ? Error{Code::kUnreachable, "the node ended the connection", ""}
                                   : followed.error();
      // The node under this client is gone: another is taken, or the same one when it is back.
      const bool may_go_on = was_submitted_ && (is_lost(error) || was_just_cancelled);
      if (!may_go_on || !reconnect_.again(error)) return own_failure(error);
    }
  }

 private:
  Result<void> follow() {
    printer_.restart();
    waiting_since_ms_ = monotonic_ms();
    Result<void> begun = call_.client.begin("POST", "/v1/run", body_, Client::Life::kLive);
    if (!begun) return begun;
    was_submitted_ = true;
    std::string bytes;
    while (!printer_.is_complete()) {
      (void)handle_interrupts();
      if (left_ || give_up_waiting()) return {};
      bytes.clear();
      const auto more = call_.client.more(bytes, patience());
      if (!more) return tl::unexpected(more.error());
      if (!bytes.empty()) reconnect_.has_news();
      printer_.feed(bytes);
      note_state();
      if (printer_.is_broken()) return fail(Code::kFailed, "the node sent what is no output");
      if (*more == Client::More::kEnd) return {};
      if (printer_.write_error() != 0) return leave_unread();
      say_why_it_waits();
    }
    return {};
  }

  // Like any command whose reader has gone, or whose disk is full.
  Result<void> leave_unread() {
    const bool has_no_reader = printer_.write_error() == EPIPE;
    if (!has_no_reader) call_.failed(unprinted(printer_.write_error()));
    return cancel_and_leave(has_no_reader ? 128 + SIGPIPE : int{kExitOwnFailure});
  }

  bool is_waiting() const { return printer_.job() && printer_.job()->state == JobState::kWaiting; }

  // Until something may have to be said or done; -1: nothing but the stream matters.
  int patience() const {
    if (!is_waiting()) return -1;
    std::int64_t until = said_reason_ ? -1 : waiting_since_ms_ + kSilenceMs;
    if (give_up_ms_ != 0 && !had_place_)
      until = until < 0 ? give_up_ms_ : std::min(until, give_up_ms_);
    if (until < 0) return -1;
    return static_cast<int>(std::clamp<std::int64_t>(until - monotonic_ms(), 0, 1'000'000));
  }

  // A job that had its place may look as if it waited when its coordinator has changed.
  void note_state() {
    if (is_waiting()) return;
    waiting_since_ms_ = monotonic_ms();
    had_place_ |= printer_.job() && printer_.job()->state == JobState::kRunning;
  }

  void say_why_it_waits() {
    if (!is_waiting() || monotonic_ms() - waiting_since_ms_ < kSilenceMs) return;
    const Reason reason = printer_.job()->reason;
    if (said_reason_ == reason || (had_place_ && reason == Reason::kNone)) return;
    said_reason_ = reason;
    note("dunlin: job " + submission_.id.text() + " waits" + why_it_waits());
  }

  std::string why_it_waits() {
    const Reason reason = printer_.job()->reason;
    std::string why = reason == Reason::kNone ? "" : std::string(": ") + name_of(reason);
    if (const std::string more = what_is_lacking(); !more.empty()) why += ", " + more;
    return why;
  }

  // On a connection of its own, as cancel().
  std::string what_is_lacking() {
    Client other = call_.client.sibling();
    const auto answer =
        other.call("GET", "/v1/jobs/" + submission_.id.text() + "/tasks?limit=1&state=queued");
    const auto tasks = answer ? tasks_from_json(answer->body)
                              : Result<std::vector<TaskView>>(tl::unexpected(answer.error()));
    return tasks && !tasks->empty() ? tasks->front().detail : std::string();
  }

  bool give_up_waiting() {
    if (give_up_ms_ == 0 || had_place_ || !is_waiting()) return false;
    if (monotonic_ms() < give_up_ms_) return false;
    note("dunlin: no place for job " + submission_.id.text() + " within --timeout" +
         (said_reason_ ? "" : why_it_waits()));
    (void)cancel_and_leave(kExitOwnFailure);
    return true;
  }

  // The first one cancels, and the job's end is waited for; the second ends this process. True when
  // the job has been cancelled just now.
  bool handle_interrupts() {
    if (interrupts() == 0 || is_cancelled_) return false;
    is_cancelled_ = true;
    note("dunlin: cancelling " + submission_.id.text() + " (again: leave at once)");
    const auto cancelled = cancel();
    if (cancelled) return was_submitted_ = true;
    // Nobody to wait for: a job that was taken after all ends, since its client has gone.
    if (!was_submitted_ || cancelled.error().code == Code::kUnreachable)
      left_ = interrupted_exit_code();
    if (was_submitted_) call_.failed(cancelled.error());
    return false;
  }

  // On a connection of its own: this one is busy with the stream.
  Result<HttpAnswer> cancel() {
    Client other = call_.client.sibling();
    return other.call("POST", "/v1/jobs/" + submission_.id.text() + "/cancel");
  }

  Result<void> cancel_and_leave(int code) {
    (void)cancel();
    left_ = code;
    return {};
  }

  int own_failure(Error error) const {
    if (was_submitted_ && is_lost(error)) {
      error.hint = "what became of the job: dunlin show " + submission_.id.text();
    }
    call_.failed(error);
    return is_cancelled_ ? interrupted_exit_code() : int{kExitOwnFailure};
  }

  int verdict() const {
    if (printer_.error()) call_.failed(*printer_.error());
    const auto& job = printer_.job();
    if (!job || !is_final(job->state)) {
      if (!printer_.error()) call_.failed({Code::kFailed, "the job's end was not told", ""});
      return kExitOwnFailure;
    }
    if (job->state == JobState::kDone) return printer_.error() ? kExitOwnFailure : kExitWell;
    if (is_cancelled_) return interrupted_exit_code();
    const auto& worst = printer_.worst();
    if (!worst) {
      note("dunlin: " + how_it_ended(*job));
      return kExitOwnFailure;
    }
    return verdict_of(*worst);
  }

  int verdict_of(const TaskView& task) const {
    const std::string which = submission_.spec.task_count() > 1
                                  ? "task " + std::to_string(task.task) + ": "
                                  : std::string();
    const auto say = [&] { note("dunlin: " + which + why_of(task)); };
    switch (task.reason) {
      case Reason::kExit:
        if (!which.empty()) say();
        return task.exit_code.value_or(kExitOwnFailure);
      case Reason::kSignal:
        if (!which.empty()) say();
        return 128 + task.signal.value_or(0);
      case Reason::kMemory: say(); return 128 + SIGKILL;
      case Reason::kTimeLimit:
        note("dunlin: " + which + "ended by its time limit, --time " +
             text_of(submission_.spec.time_limit));
        return kExitTimeLimit;
      case Reason::kCannotExecute:
        note("dunlin: " + which + as_typed(why_of(task)) + how_to_execute());
        return kExitCannotRun;
      case Reason::kMissingExecutable:
        say_missing(which + why_of(task));
        return kExitCommandMissing;
      case Reason::kDependencyFailed:
        note("dunlin: " + which + why_of(task) + failed_dependencies());
        return kExitOwnFailure;
      default: say(); return kExitOwnFailure;
    }
  }

  // Of the jobs that it was to wait for, those that ended otherwise than well, or are not there.
  std::string failed_dependencies() const {
    Client other = call_.client.sibling();
    std::string text;
    for (const Dependency& each : submission_.spec.after) {
      if (text.size() > kMaxNamedChars) break;
      const std::string name = each.job.text();
      const auto answer = other.call("GET", "/v1/jobs/" + name + "?stale=1");
      std::string what;
      if (!answer) {
        if (answer.error().code == Code::kNotFound) what = "there is no job " + name;
      } else if (const auto job = job_from_json(answer->body); job && !each.any) {
        if (job->state == JobState::kFailed) what = "job " + name + " failed";
        if (job->state == JobState::kCancelled) what = "job " + name + " was cancelled";
      }
      if (!what.empty()) text += (text.empty() ? ": " : ", ") + what;
    }
    return text;
  }

  // The command's word as it was typed: a file that is shipped has another name there.
  const std::string& typed() const { return call_.args.words.front(); }
  std::string as_typed(std::string why) const {
    const std::string there = "'" + submission_.spec.argv.front() + "'";
    const std::size_t at = why.find(there);
    if (at != std::string::npos) why.replace(at, there.size(), "'" + typed() + "'");
    return why;
  }

  // A file of ours that lacks its x bit is shipped as it is.
  std::string how_to_execute() const {
    const std::string& word = typed();
    const bool is_bare = is_regular_file(word) && access(word.c_str(), X_OK) != 0;
    return is_bare ? "; it may not be executed here either: chmod +x " + word : "";
  }

  void say_missing(const std::string& why) const {
    const std::string& word = submission_.spec.argv.front();
    const auto& files = submission_.spec.files;
    const bool is_shipped = std::any_of(files.begin(), files.end(),
                                        [&](const ShippedFile& file) { return file.name == word; });
    if (is_shipped) return note("dunlin: " + why + "; it was shipped: call it ./" + word);
    const std::string here = found_here(word);
    std::string hint;
    if (!here.empty()) {
      hint = "; it exists here: add --file " + here + ", and call it ./" + last_part(here);
    } else if (call_.args.has("no-ship") && is_regular_file(word)) {
      hint = "; it exists here, but --no-ship keeps it from being shipped";
    } else if (word.find('/') != std::string::npos) {
      hint = "; nor is there one here, to be shipped";
    } else {
      hint = "; install it there, or ship a program by its path, as in ./" + word;
    }
    note("dunlin: " + why + hint);
  }

  Invocation& call_;
  SubmitJob submission_;
  std::string body_;
  FollowPrinter printer_;
  Reconnect reconnect_{kRunPatience};
  std::int64_t started_ms_;
  std::int64_t give_up_ms_ = 0;
  std::int64_t waiting_since_ms_ = 0;  // or since this stream began
  bool had_place_ = false;
  std::optional<Reason> said_reason_;
  std::optional<int> left_;  // gone before the job's end, with this code
  bool was_submitted_ = false;
  bool is_cancelled_ = false;
};

}  // namespace

const OptionTable& run_options() {
  static const OptionTable table = [] {
    OptionTable all = job_options();
    all.push_back(
        {"timeout", 0, "TIME", Takes::kDuration, "give up if no place is found (125); 0: at once"});
    all.push_back({"no-stdin", 0, nullptr, Takes::kNothing,
                   "the command reads /dev/null and starts at once; else it is given what is piped "
                   "in, and starts when that has ended"});
    all.push_back({"linger", 0, nullptr, Takes::kNothing, "", false, false});
    return all;
  }();
  return table;
}

int run_run(Invocation& call) {
  // The exit code is the command's own, so whatever goes wrong here must not look like one of its.
  const auto own = [&](const Error& error) {
    const int code = call.failed(error);
    return code == kExitUsage ? code : int{kExitOwnFailure};
  };
  auto input = input_of_words(call.args);
  if (!input) return own(input.error());
  input->is_attended = true;
  auto draft = draft_job(*input);
  if (!draft) return own(draft.error());
  PassedInput passed;
  if (const Result<void> fine = passed.take(*draft); !fine) return own(fine.error());
  if (call.args.has("dry-run")) {
    const auto text = dry_run(call.client, std::move(*draft), call.json());
    if (!text) return own(text.error());
    print(*text);
    return kExitWell;
  }
  auto submission = make_submission(call.client, std::move(*draft));
  if (!submission) return own(submission.error());
  count_interrupts();
  // A reader that goes away ends the job, not only its client.
  std::signal(SIGPIPE, SIG_IGN);
  return Runner(call, std::move(*submission)).run();
}

}  // namespace dunlin
