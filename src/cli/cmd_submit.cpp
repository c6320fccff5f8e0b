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
  const int code = follows ? follow_logs(call, {id, {}}, "stdout") : wait_for(call, id);
  const bool is_known = code == kExitWell || code == kExitFailed;
  if (!call.json() || follows || !is_known) return code;
  const auto last = call.client.call("GET", "/v1/jobs/" + id.text());
  if (!last) return call.failed(last.error());
  print(last->body);
  return code;
}

// The id is this client's own, so it is known whether or not the answer came.
Error perhaps_accepted(Error error, const JobId& id) {
  const bool is_known = error.code != Code::kUnreachable && error.code != Code::kTimeout &&
                        error.code != Code::kIncomplete;
  if (is_known) return error;
  error.hint += (error.hint.empty() ? "" : "; ") + ("it may have been accepted as " + id.text()) +
                ": dunlin show " + id.text();
  return error;
}

// False: the id has not arrived where it was to go.
bool print_accepted(const Invocation& call, const Arguments& options, const JobId& id,
                    const std::string& answer) {
  // The id is what scripts want; while output is followed, stdout is the job's.
  if (options.has("follow") && !call.json()) return note(id.text()), true;
  const bool waits = options.has("wait") || options.has("follow");
  if (call.json()) return waits || print(answer);
  return print(id.text() + "\n");
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
  if (!answer) return call.failed(perhaps_accepted(answer.error(), submission->id));
  const bool waits = options.has("wait") || options.has("follow");
  if (!print_accepted(call, options, submission->id, answer->body)) {
    const Error why = unprinted(print_error());
    return call.failed({why.code,
                        "job " + submission->id.text() + " was accepted, but " + why.message,
                        "see: dunlin show " + submission->id.text()});
  }
  return waits ? wait_as_told(call, options, submission->id) : int{kExitWell};
}

}  // namespace dunlin
