#include "base/crypto.h"
#include "os/json.h"
#include "os/json_reader.h"

namespace dunlin {

namespace {

void write_job_fields(JsonWriter& out, const JobSummary& job, std::uint16_t group_count) {
  out.field("id", job.id.text());
  out.field("name", job.name);
  out.field("user", job.user);
  out.field("state", name_of(job.state));
  out.field_or_null("reason", name_of(job.reason));
  out.field("priority", job.priority);
  out.key("group");
  const bool is_known = group_count != 0 && !job.id.is_none();
  is_known ? out.value(job.id.group(group_count).value) : out.null();
  out.field_or_null("coordinator", job.coordinator ? job.coordinator->text() : "");
  out.field("epoch", job.epoch);
  out.field("submitted_at", job.submitted_at);
  out.field("started_at", job.started_at);
  out.field("finished_at", job.finished_at);
  out.field("expires_at", job.expires_at);
  out.field("exit_code", job.exit_code);
  out.key("tasks");
  out.begin_object();
  out.field("total", job.tasks.total);
  out.field("waiting", job.tasks.waiting);
  out.field("queued", job.tasks.queued);
  out.field("running", job.tasks.running);
  out.field("paused", job.tasks.paused);
  out.field("done", job.tasks.done);
  out.field("failed", job.tasks.failed);
  out.field("cancelled", job.tasks.cancelled);
  out.end_object();
  out.field("version", job.version);
}

void write_job(JsonWriter& out, const JobSummary& job, std::uint16_t group_count) {
  out.begin_object();
  write_job_fields(out, job, group_count);
  out.end_object();
}

// Of one piece the blob's own id; of several a hash of theirs. Equal contents that were cut alike
// have equal hashes.
std::string hash_of(const std::vector<BlobRef>& content) {
  if (content.size() == 1) return content.front().id.text();
  Bytes ids;
  for (const BlobRef& piece : content) append(ids, piece.id.bytes());
  return to_base32(blake2b_256(ids));
}

void write_task(JsonWriter& out, const TaskView& task) {
  out.begin_object();
  out.field("job", task.job.text());
  out.field("task", task.task);
  out.field("state", name_of(task.state));
  out.field_or_null("reason", name_of(task.reason));
  out.field_or_null("node", task.node ? task.node->text() : "");
  out.field("attempt", task.attempt);
  out.field("exit_code", task.exit_code);
  out.field("signal", task.signal);
  out.field("started_at", task.started_at);
  out.field("finished_at", task.finished_at);
  out.field("duration_ms", task.duration_ms);
  out.field("cpu_ms", task.cpu_ms);
  out.field("max_rss", task.max_rss);
  out.field_or_null("entry", task.entry);
  out.key("outputs");
  out.begin_array();
  for (const OutputFile& file : task.outputs) {
    out.begin_object();
    out.exact_field("name", file.name);
    out.field("size", file.size);
    out.field("hash", hash_of(file.content));
    out.end_object();
  }
  out.end_array();
  out.field("log_truncated", task.log_truncated);
  out.field_or_null("detail", task.detail);
  out.end_object();
}

void read_reason(JsonFields& in, Reason& to) {
  std::string name;
  in.read("reason", name);
  // A newer node may know reasons that this client does not: it shows none rather than nothing.
  to = reason_from(name).value_or(Reason::kNone);
}

void read_node(JsonFields& in, const char* key, std::optional<NodeId>& to) {
  std::string text;
  in.read(key, text);
  if (!text.empty()) to = NodeId::from_text(text);
}

void read_job_id(JsonFields& in, const char* key, JobId& to) {
  std::string text;
  in.read(key, text);
  const auto id = JobId::from_text(text);
  if (id) to = *id;
  if (!id) in.complain(key, "is no job's id");
}

Result<JobSummary> job_from(const nlohmann::json& object) {
  JsonFields in(object, "job");
  JobSummary job;
  std::string state;
  read_job_id(in, "id", job.id);
  in.read("name", job.name);
  in.read("user", job.user);
  in.read("state", state);
  read_reason(in, job.reason);
  in.read("priority", job.priority);
  read_node(in, "coordinator", job.coordinator);
  in.read("epoch", job.epoch);
  in.read("submitted_at", job.submitted_at);
  in.read("started_at", job.started_at);
  in.read("finished_at", job.finished_at);
  in.read("expires_at", job.expires_at);
  in.read("exit_code", job.exit_code);
  in.read("version", job.version);
  if (const nlohmann::json* tasks = in.find("tasks"); tasks != nullptr) {
    JsonFields counts(*tasks, "tasks");
    counts.read("total", job.tasks.total);
    counts.read("waiting", job.tasks.waiting);
    counts.read("queued", job.tasks.queued);
    counts.read("running", job.tasks.running);
    counts.read("paused", job.tasks.paused);
    counts.read("done", job.tasks.done);
    counts.read("failed", job.tasks.failed);
    counts.read("cancelled", job.tasks.cancelled);
  }
  const auto known = job_state_from(state);
  if (!known) in.complain("state", "is no job's state");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  job.state = *known;
  return job;
}

Result<TaskView> task_from(const nlohmann::json& object) {
  JsonFields in(object, "task");
  TaskView task;
  std::string state;
  read_job_id(in, "job", task.job);
  in.read("task", task.task);
  in.read("state", state);
  read_reason(in, task.reason);
  read_node(in, "node", task.node);
  in.read("attempt", task.attempt);
  in.read("exit_code", task.exit_code);
  in.read("signal", task.signal);
  in.read("started_at", task.started_at);
  in.read("finished_at", task.finished_at);
  in.read("duration_ms", task.duration_ms);
  in.read("cpu_ms", task.cpu_ms);
  in.read("max_rss", task.max_rss);
  in.read("entry", task.entry);
  in.read("log_truncated", task.log_truncated);
  in.read("detail", task.detail);
  in.read_each("outputs", [&](const nlohmann::json& element) {
    JsonFields file(element, "output");
    OutputFile& output = task.outputs.emplace_back();
    file.read_exact("name", output.name);
    file.read("size", output.size);
  });
  const auto known = task_state_from(state);
  if (!known) in.complain("state", "is no task's state");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  task.state = *known;
  return task;
}

template <class T>
Result<std::vector<T>> list_from(std::string_view text, Result<T> (*read)(const nlohmann::json&)) {
  const Result<nlohmann::json> parsed = parse_array(text);
  if (!parsed) return tl::unexpected(parsed.error());
  std::vector<T> list;
  list.reserve(parsed->size());
  for (const nlohmann::json& element : *parsed) {
    Result<T> item = read(element);
    if (!item) return tl::unexpected(item.error());
    list.push_back(std::move(*item));
  }
  return list;
}

Result<TaskOutput> output_from(const nlohmann::json& object) {
  JsonFields in(object, "output");
  TaskOutput output;
  in.read("task", output.task);
  in.read_exact("name", output.name);
  in.read("size", output.size);
  in.read("mode", output.mode);
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return output;
}

}  // namespace

std::string job_json(const JobSummary& job, std::uint16_t group_count) {
  std::string text;
  JsonWriter out(text);
  write_job(out, job, group_count);
  return text;
}

std::string job_json(const JobView& view, std::uint16_t group_count) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  write_job_fields(out, view.job, group_count);
  out.key("spec");
  out.literal(spec_json(view.spec));
  out.end_object();
  return text;
}

std::string jobs_json(const std::vector<JobSummary>& jobs, std::uint16_t group_count) {
  std::string text;
  text.reserve(jobs.size() * 512 + 2);
  JsonWriter out(text);
  out.begin_array();
  for (const JobSummary& job : jobs) write_job(out, job, group_count);
  out.end_array();
  return text;
}

std::string tasks_json(const std::vector<TaskView>& tasks) {
  std::string text;
  text.reserve(tasks.size() * 384 + 2);
  JsonWriter out(text);
  out.begin_array();
  for (const TaskView& task : tasks) write_task(out, task);
  out.end_array();
  return text;
}

std::string task_json(const TaskView& task) {
  std::string text;
  JsonWriter out(text);
  write_task(out, task);
  return text;
}

void write_output(JsonWriter& out, std::uint32_t task, const OutputFile& file) {
  out.begin_object();
  out.field("task", task);
  out.exact_field("name", file.name);
  out.field("size", file.size);
  out.field("mode", file.mode);
  out.field("hash", hash_of(file.content));
  out.end_object();
}

Result<JobSummary> job_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  return job_from(*parsed);
}

Result<std::vector<JobSummary>> jobs_from_json(std::string_view text) {
  return list_from<JobSummary>(text, job_from);
}

Result<TaskView> task_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  return task_from(*parsed);
}

Result<std::vector<TaskOutput>> outputs_from_json(std::string_view text) {
  return list_from<TaskOutput>(text, output_from);
}

std::string blob_json(const client::BlobPut& blob, std::size_t length) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("id", blob.id.text());
  out.field("length", length);
  out.key("holders");
  out.begin_array();
  for (const NodeId& holder : blob.holders) out.value(holder.text());
  out.end_array();
  out.end_object();
  return text;
}

Result<BlobRef> blob_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "blob");
  BlobRef blob;
  std::string id;
  in.read("id", id);
  in.read("length", blob.length);
  const auto known = BlobId::from_text(id);
  if (!known) in.complain("id", "is no blob's id");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  blob.id = *known;
  return blob;
}

std::string watch_json(const WatchJobs& watch) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.key("jobs");
  out.begin_array();
  for (const JobId& id : watch.jobs) out.value(id.text());
  out.end_array();
  out.field("only_final", watch.only_final);
  out.end_object();
  return text;
}

Result<WatchJobs> watch_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "");
  WatchJobs watch;
  in.read("only_final", watch.only_final);
  in.read_each("jobs", [&](const nlohmann::json& element) {
    const auto id = element.is_string() ? JobId::from_text(element.get_ref<const std::string&>())
                                        : std::nullopt;
    if (!id) return in.complain("jobs", "must hold whole ids of jobs");
    watch.jobs.push_back(*id);
  });
  if (watch.jobs.empty()) in.complain("jobs", "must name at least one job");
  if (const Result<void> fine = in.check(true); !fine) return tl::unexpected(fine.error());
  return watch;
}

std::string watch_error_json(const JobId& id, const Error& error, bool goes_on) {
  // {"id":"...","goes_on":true,"error":{...}}
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("id", id.text());
  out.field("goes_on", goes_on);
  out.end_object();
  text.back() = ',';
  return text + error_json(error).substr(1);
}

Result<WatchLine> watch_line_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "");
  JobId id;
  read_job_id(in, "id", id);
  const bool is_error = in.find("error") != nullptr;
  bool goes_on = false;
  if (is_error) in.read("goes_on", goes_on);
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  if (is_error) return WatchLine{id, tl::unexpected(error_from_json(text)), goes_on};
  return WatchLine{id, job_from(*parsed), true};
}

std::string without_spec(std::string_view job) {
  auto parsed = nlohmann::ordered_json::parse(job, nullptr, false);
  if (!parsed.is_object()) return std::string(job);
  parsed.erase("spec");
  return parsed.dump();
}

}  // namespace dunlin
