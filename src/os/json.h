// What the API says and hears, between JSON and the typed requests of node/client.h. Field names
// are those of the command line's contract; both the node and its clients use this header, so that
// what one writes the other reads. Readers pass over fields that they do not know, except in a
// submission, where a misspelt key would be a job that runs wrongly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "node/client.h"
#include "os/json_writer.h"

namespace dunlin {

constexpr std::size_t kMaxJsonBody = 2 * 1024 * 1024;  // of a request

// {"error":{"code","message","hint"}}
std::string error_json(const Error& error);
Error error_from_json(std::string_view text);

// ---- nodes (json_nodes.cpp) ---------------------------------------------------------------------

std::string nodes_json(const client::NodeList& list);
// Times are by the reader's own zero: `now` is 0 and load_at lies before it.
Result<std::vector<Member>> nodes_from_json(std::string_view text);
// The list cut down to this node; an empty array if it is not there.
std::string only_node(std::string_view list, const NodeId& id);
std::string status_json(const client::Status& status);
Result<client::Status> status_from_json(std::string_view text);
// The bodies of POST /v1/leave, /v1/drain and /v1/undrain; no node: the one that is asked.
std::string leave_request_json(const client::LeaveNode& request);
Result<client::LeaveNode> leave_request_from_json(std::string_view text);
std::string drain_request_json(const client::DrainNode& request);
Result<client::DrainNode> drain_request_from_json(std::string_view text);
std::string undrain_request_json(const client::UndrainNode& request);
Result<client::UndrainNode> undrain_request_from_json(std::string_view text);
// A line of the answer to any of the three.
struct OrderLine {
  std::string progress;
  bool done = false;
  std::optional<Error> error;
};
Result<OrderLine> order_line_from_json(std::string_view text);
// The body of POST /v1/forget; the node must be named.
std::string forget_request_json(const client::ForgetNode& request);
Result<client::ForgetNode> forget_request_from_json(std::string_view text);

// `user` is the caller as the node knows him: part of what --key is hashed from.
struct GroupChoice {
  GroupId group;
  std::uint16_t group_count = 0;
  std::string user;
};
std::string group_choice_json(const GroupChoice& choice);
Result<GroupChoice> group_choice_from_json(std::string_view text);

// ---- tokens (json_tokens.cpp) -------------------------------------------------------------------

std::string token_json(const client::TokenCreated& token);
Result<client::TokenCreated> token_from_json(std::string_view text);
// The body of POST /v1/tokens; an empty text is a token with all defaults.
std::string token_request_json(const client::CreateToken& request);
Result<client::CreateToken> token_request_from_json(std::string_view text);
std::string tokens_json(const client::TokenList& list);
Result<client::TokenList> tokens_from_json(std::string_view text);

// ---- jobs (json_jobs.cpp) -----------------------------------------------------------------------

// `group_count` 0: the group is not known, and null.
std::string job_json(const JobSummary& job, std::uint16_t group_count);
std::string job_json(const JobView& view, std::uint16_t group_count);
std::string jobs_json(const std::vector<JobSummary>& jobs, std::uint16_t group_count);
std::string tasks_json(const std::vector<TaskView>& tasks);
std::string explained_json(const Explained& explained);
Result<Explained> explained_from_json(std::string_view text);
std::string task_json(const TaskView& task);
// One element of the answer to GET /v1/jobs/ID/outputs.
void write_output(JsonWriter& out, std::uint32_t task, const OutputFile& file);

Result<JobSummary> job_from_json(std::string_view text);
Result<std::vector<JobSummary>> jobs_from_json(std::string_view text);
Result<TaskView> task_from_json(std::string_view text);
Result<std::vector<TaskView>> tasks_from_json(std::string_view text);
struct TaskOutput {
  std::uint32_t task = 1;
  std::string name;
  std::uint64_t size = 0;
  std::uint32_t mode = 0644;
};
Result<std::vector<TaskOutput>> outputs_from_json(std::string_view text);

std::string blob_json(const client::BlobPut& blob, std::size_t length);
Result<BlobRef> blob_from_json(std::string_view text);

// The body of POST /v1/watch.
struct WatchJobs {
  std::vector<JobId> jobs;
  bool only_final = false;  // say nothing of a job before it is final
};
std::string watch_json(const WatchJobs& watch);
Result<WatchJobs> watch_from_json(std::string_view text);
// A line of the answer to it: a job, or why nothing can be said of it.
std::string watch_error_json(const JobId& id, const Error& error, bool goes_on);
struct WatchLine {
  JobId id;
  Result<JobSummary> job;
  bool goes_on = false;  // more lines about this job may come
};
Result<WatchLine> watch_line_from_json(std::string_view text);
// A job as lists have it, of one as GET /v1/jobs/ID has it; other text stays as it is.
std::string without_spec(std::string_view job);

// ---- events (json_events.cpp) -------------------------------------------------------------------

// An event as `--json` shows it, be it of a job or of a node.
struct EventLine {
  std::string id;
  WallTime time;
  std::string type;
  std::optional<NodeId> node;
  std::optional<JobId> job;
  std::optional<std::uint32_t> task;
  std::optional<std::uint32_t> attempt;
  std::string message;
};
std::string event_json(const EventLine& event);
// The answer to GET /v1/events.
struct EventPage {
  std::vector<EventLine> events;
  std::string cursor;
  bool is_more = false;
  std::uint32_t missed_groups = 0;
  std::uint32_t silent_groups = 0;
};
std::string events_json(const client::EventList& list);
Result<EventPage> events_from_json(std::string_view text);
// Opaque to clients, and as it may stand in a query. kUsage for what is none.
std::string event_cursor_text(const client::EventCursor& cursor);
Result<client::EventCursor> event_cursor_from_text(const std::string& text);

// ---- submissions (json_spec.cpp) ----------------------------------------------------------------

// Texts that are not UTF-8 travel as {"base64":"..."} in name, argv, env, entries, out and files.
std::string spec_json(const JobSpec& spec);
// Of the answer to GET /v1/jobs/ID.
Result<JobSpec> spec_of_job_json(std::string_view job);
// The body of POST /v1/jobs and /v1/run: {"id","key","spec"}. The user is who the caller is.
std::string submission_json(const SubmitJob& submission);
// Checks the form of everything, types and keys and task numbers; whether the job makes sense is
// the node's to say.
Result<SubmitJob> submission_from_json(std::string_view text);
// The body of POST /v1/jobs/ID/set.
Result<ChangeJob> change_from_json(std::string_view text);
std::string change_json(const ChangeJob& change);

}  // namespace dunlin
