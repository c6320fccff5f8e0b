#include "cli/commands.h"
#include "cli/job_options.h"
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

int run_submit(Invocation& call) {
  auto draft = draft_job(call.args, true);
  if (!draft) return call.failed(draft.error());
  const auto submission = make_submission(call.client, std::move(*draft));
  if (!submission) return call.failed(submission.error());
  const auto answer = call.client.call("POST", "/v1/jobs", submission_json(*submission));
  if (!answer) return call.failed(answer.error());
  const bool waits = call.args.has("wait") || call.args.has("follow");
  if (!call.json()) {
    // The id is what scripts want; while output is followed, stdout is the job's.
    const std::string line = submission->id.text() + "\n";
    call.args.has("follow") ? note(submission->id.text()) : void(print(line));
  } else if (!waits) {
    print(answer->body);
  }
  if (!waits) return kExitWell;
  const JobRef job{submission->id, {}};
  const int code = call.args.has("follow") ? follow_logs(call, job, "stdout")
                                           : wait_for(call, {job.id}, false, {});
  if (call.json() && !call.args.has("follow")) {
    const auto last = call.client.call("GET", "/v1/jobs/" + job.id.text());
    if (!last) return call.failed(last.error());
    print(last->body);
  }
  return code;
}

}  // namespace dunlin
