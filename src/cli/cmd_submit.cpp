#include "cli/commands.h"
#include "cli/job_options.h"
#include "cli/passed_input.h"
#include "cli/submission.h"
#include "os/json.h"

namespace dunlin {

const OptionTable& submit_options() {
  static const OptionTable table = [] {
    OptionTable all = job_options();
    all.push_back({"wait", 0, nullptr, Takes::kNothing, "until the job has ended, as `wait` does"});
    all.push_back({"follow", 0, nullptr, Takes::kNothing, "print its output too, as `logs -f`"});
    return all;
  }();
  return table;
}

namespace {

int wait_as_told(Invocation& call, const Arguments& options, const JobId& id) {
  const bool follows = options.has("follow");
  const int code =
      follows ? follow_logs(call, {id, {}}, "stdout") : wait_for(call, {id}, false, std::nullopt);
  if (!call.json() || follows) return code;
  const auto last = call.client.call("GET", "/v1/jobs/" + id.text());
  if (!last) return call.failed(last.error());
  print(last->body);
  return code;
}

}  // namespace

int run_submit(Invocation& call) {
  const auto input = input_of_submission(call.args, submit_options());
  if (!input) return call.failed(input.error());
  const Arguments& options = input->options;
  auto draft = draft_job(*input);
  if (!draft) return call.failed(draft.error());
  PassedInput passed;
  if (const Result<void> fine = passed.take(*draft); !fine) return call.failed(fine.error());
  if (options.has("dry-run")) {
    const auto text = dry_run(call.client, std::move(*draft), call.json());
    if (!text) return call.failed(text.error());
    print(*text);
    return kExitWell;
  }
  const auto submission = make_submission(call.client, std::move(*draft));
  if (!submission) return call.failed(submission.error());
  const auto answer = call.client.call("POST", "/v1/jobs", submission_json(*submission));
  if (!answer) return call.failed(answer.error());
  const bool waits = options.has("wait") || options.has("follow");
  if (!call.json()) {
    // The id is what scripts want; while output is followed, stdout is the job's.
    const std::string line = submission->id.text() + "\n";
    options.has("follow") ? note(submission->id.text()) : void(print(line));
  } else if (!waits) {
    print(answer->body);
  }
  return waits ? wait_as_told(call, options, submission->id) : int{kExitWell};
}

}  // namespace dunlin
