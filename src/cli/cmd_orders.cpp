// cancel, pause, resume, retry, delete, set: orders about jobs that are accepted already.
#include "cli/commands.h"
#include "os/chance.h"
#include "os/json.h"

namespace dunlin {

namespace {

using Told = void (*)(const JobSummary&);

// Of a job that is done nothing was run again, or it has ended anew already.
void say_if_done(const JobSummary& job) {
  if (job.state != JobState::kDone) return;
  note(job.id.text() +
       ": it is done; what failed or was cancelled is run again, all of it with --all");
}

// Gives the order for one job. Should another node have to be asked, it knows by the number that
// this is the same order.
Result<void> order(Invocation& call, const std::string& word, const std::string& method,
                   const std::string& verb, const std::string& flags, const std::string& body,
                   Told told) {
  const auto job = find_job(call.client, word);
  if (!job) return tl::unexpected(job.error());
  std::string query = "order=" + std::to_string(random_seed());
  if (const std::string tasks = tasks_query(*job); !tasks.empty()) query += "&" + tasks;
  if (!flags.empty()) query += "&" + flags;
  const std::string path = "/v1/jobs/" + job->id.text() + verb + "?" + query;
  const auto answer = call.client.call(method, path, body);
  if (!answer) return tl::unexpected(answer.error());
  if (call.json()) {
    print(answer->body);
  } else if (call.quiet()) {
    print(job->id.text() + "\n");
  }
  if (told == nullptr || call.json()) return {};
  if (const auto now = job_from_json(answer->body)) told(*now);
  return {};
}

// For each job named; the first trouble decides the exit code, and ends nothing.
int order_each(Invocation& call, const std::string& method, const std::string& verb,
               const std::string& flags, const std::string& body = {}, Told told = nullptr) {
  int code = kExitWell;
  for (const std::string& word : call.args.words) {
    const Result<void> ordered = order(call, word, method, verb, flags, body, told);
    if (ordered) continue;
    const int failed = call.failed(ordered.error());
    if (code == kExitWell) code = failed;
  }
  return code;
}

}  // namespace

const OptionTable& pause_options() {
  static const OptionTable table = {
      {"freeze", 0, nullptr, Takes::kNothing, "stop what runs, too; its time limit stands still"},
  };
  return table;
}

const OptionTable& retry_options() {
  static const OptionTable table = {
      {"all", 0, nullptr, Takes::kNothing, "every task, not only those that failed"},
  };
  return table;
}

const OptionTable& set_options() {
  static const OptionTable table = {
      {"priority", 'p', "N", Takes::kNumber, "higher goes first"},
      {"limit", 0, "N", Takes::kCount, "at most N tasks at once; 0: any number"},
      {"time", 0, "TIME", Takes::kDuration, "limit for one attempt, running ones too; 0: none"},
      {"keep", 0, "TIME", Takes::kDuration, "how long the job is kept once it is over"},
  };
  return table;
}

int run_cancel(Invocation& call) {
  return order_each(call, "POST", "/cancel", "");
}

int run_pause(Invocation& call) {
  return order_each(call, "POST", "/pause", call.args.has("freeze") ? "freeze=1" : "");
}

int run_resume(Invocation& call) {
  return order_each(call, "POST", "/resume", "");
}

int run_retry(Invocation& call) {
  const bool all = call.args.has("all");
  return order_each(call, "POST", "/retry", all ? "all=1" : "", {}, all ? nullptr : say_if_done);
}

int run_delete(Invocation& call) {
  return order_each(call, "DELETE", "", "");
}

int run_set(Invocation& call) {
  ChangeJob change;
  if (call.args.has("priority")) {
    change.priority = static_cast<std::int32_t>(call.args.number("priority", 0));
  }
  if (call.args.has("limit")) {
    change.limit = static_cast<std::uint32_t>(call.args.number("limit", 0));
  }
  if (call.args.has("time")) change.time_limit = call.args.duration("time", {});
  if (call.args.has("keep")) change.keep = call.args.duration("keep", {});
  const bool is_empty = !change.priority && !change.limit && !change.time_limit && !change.keep;
  if (is_empty) {
    return call.usage("nothing is to be set", "give --priority, --limit, --time or --keep");
  }
  return order_each(call, "POST", "/set", "", change_json(change));
}

}  // namespace dunlin
