// The functions behind the commands, one family a file; cli.cpp names them in its table. Each
// returns the process's exit code and has said why by then.
#pragma once

#include <optional>
#include <vector>

#include "cli/invocation.h"
#include "cli/job_ref.h"

namespace dunlin {

int run_up(Invocation& call);  // cmd_up.cpp
const OptionTable& up_options();

int run_nodes(Invocation& call);  // cmd_nodes.cpp
int run_status(Invocation& call);
int run_drain(Invocation& call);
int run_undrain(Invocation& call);
int run_forget(Invocation& call);
int run_leave(Invocation& call);
int run_down(Invocation& call);
const OptionTable& drain_options();
const OptionTable& leave_options();

int run_token_create(Invocation& call);  // cmd_token.cpp
int run_token_list(Invocation& call);
int run_token_revoke(Invocation& call);
const OptionTable& token_create_options();
const OptionTable& token_list_options();

int run_doctor(Invocation& call);  // cmd_doctor.cpp
int run_top(Invocation& call);     // cmd_top.cpp
const OptionTable& top_options();

int run_run(Invocation& call);     // cmd_run.cpp
int run_submit(Invocation& call);  // cmd_submit.cpp
const OptionTable& run_options();
const OptionTable& submit_options();

int run_jobs(Invocation& call);  // cmd_jobs.cpp
int run_show(Invocation& call);
int run_tasks(Invocation& call);
const OptionTable& jobs_options();
const OptionTable& show_options();
const OptionTable& tasks_options();

int run_cancel(Invocation& call);  // cmd_orders.cpp
int run_pause(Invocation& call);
int run_resume(Invocation& call);
int run_retry(Invocation& call);
int run_delete(Invocation& call);
int run_set(Invocation& call);
const OptionTable& pause_options();
const OptionTable& retry_options();
const OptionTable& set_options();

int run_explain(Invocation& call);  // cmd_explain.cpp

int run_events(Invocation& call);  // cmd_events.cpp
const OptionTable& events_options();

int run_logs(Invocation& call);  // cmd_logs.cpp
int run_outputs(Invocation& call);
const OptionTable& logs_options();
const OptionTable& outputs_options();
// Prints the job's output until it is final; the exit code is as of `wait`.
int follow_logs(Invocation& call, const JobRef& job, const std::string& streams);

int run_completion(Invocation& call);  // cmd_completion.cpp

int run_wait(Invocation& call);  // cmd_wait.cpp
const OptionTable& wait_options();
// Until the job is final.
int wait_for(Invocation& call, const JobId& job);

}  // namespace dunlin
