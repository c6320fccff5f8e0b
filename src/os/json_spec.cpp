#include <algorithm>

#include "os/json.h"
#include "os/json_reader.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

void write_texts(JsonWriter& out, const char* key, const std::vector<std::string>& texts) {
  out.key(key);
  out.begin_array();
  for (const std::string& text : texts) out.exact_value(text);
  out.end_array();
}

void write_blob(JsonWriter& out, const BlobRef& blob) {
  out.begin_object();
  out.field("id", blob.id.text());
  out.field("length", blob.length);
  out.end_object();
}

void read_texts(JsonFields& in, const char* key, std::vector<std::string>& to) {
  in.read_each(key, [&](const nlohmann::json& element) {
    const auto text = exact_text(element);
    if (!text) return in.complain(key, "must be an array of texts");
    to.push_back(*text);
  });
}

std::optional<BlobRef> blob_from(const nlohmann::json& value) {
  JsonFields in(value, "blob");
  BlobRef blob;
  std::string id;
  in.read("id", id);
  in.read("length", blob.length);
  const auto known = BlobId::from_text(id);
  if (!known || !in.check(true)) return std::nullopt;
  blob.id = *known;
  return blob;
}

void read_file(JsonFields& spec, const nlohmann::json& element, JobSpec& to) {
  JsonFields in(element, "spec.files");
  ShippedFile file;
  in.read_exact("name", file.name);
  in.read("mode", file.mode);
  in.read("size", file.size);
  in.read_each("content", [&](const nlohmann::json& piece) {
    const auto blob = blob_from(piece);
    if (!blob) return in.complain("content", "must be an array of {\"id\",\"length\"}");
    file.content.push_back(*blob);
  });
  if (file.mode > 0777) in.complain("mode", "must be at most 0777");
  if (const Result<void> fine = in.check(true); !fine) {
    return spec.complain("files", ": " + fine.error().message);
  }
  to.files.push_back(std::move(file));
}

void read_entries(JsonFields& in, JobSpec& spec) {
  read_texts(in, "entries", spec.entries);
  std::uint64_t total = spec.entries.size();
  in.read_each("entry_blocks", [&](const nlohmann::json& element) {
    JsonFields block(element, "entry_blocks");
    EntryBlock entry;
    block.read("count", entry.count);
    const nlohmann::json* blob = block.find("blob");
    const auto known = blob != nullptr ? blob_from(*blob) : std::nullopt;
    if (!known || entry.count == 0 || !block.check(true)) {
      return in.complain("entry_blocks", "must be an array of {\"blob\",\"count\"}");
    }
    entry.blob = *known;
    total += entry.count;
    spec.entry_blocks.push_back(entry);
  });
  const bool has_entries = total > 0;
  if (has_entries && in.find("array") != nullptr) {
    in.complain("array", "may not be given together with entries");
  }
  if (total > kMaxTasks) in.complain("entries", "are more than " + std::to_string(kMaxTasks));
  if (has_entries) {
    spec.many = true;
    spec.tasks = {
        TaskRange{1, static_cast<std::uint32_t>(std::min<std::uint64_t>(total, kMaxTasks)), 1}};
  }
}

void read_array(JsonFields& in, JobSpec& spec) {
  std::string array;
  in.read("array", array);
  if (array.empty()) return;
  const Result<std::vector<TaskRange>> ranges = task_ranges_from(array);
  if (!ranges) return in.complain("array", ": " + ranges.error().message);
  spec.tasks = *ranges;
  spec.many = true;
}

void read_nodes(JsonFields& in, const char* key, std::vector<NodeId>& to) {
  in.read_each(key, [&](const nlohmann::json& element) {
    const auto id =
        element.is_string() ? NodeId::from_text(element.get<std::string>()) : std::nullopt;
    if (!id) return in.complain(key, "must be an array of whole ids of nodes");
    to.push_back(*id);
  });
}

void read_after(JsonFields& in, std::vector<Dependency>& to) {
  in.read_each("after", [&](const nlohmann::json& element) {
    JsonFields fields(element, "after");
    std::string id;
    Dependency dependency;
    fields.read("job", id);
    fields.read("any", dependency.any);
    const auto job = JobId::from_text(id);
    if (!job || !fields.check(true)) {
      return in.complain("after", "must be an array of {\"job\",\"any\"}");
    }
    dependency.job = *job;
    to.push_back(dependency);
  });
}

// What says where and when tasks run.
void read_conditions(JsonFields& in, JobSpec& spec) {
  in.read("gpus", spec.devices.gpus);
  in.read("resources", spec.devices.resources);
  in.read("zone", spec.placement.zone);
  in.read_exact("labels", spec.placement.labels);
  read_nodes(in, "nodes", spec.placement.nodes);
  read_nodes(in, "exclude", spec.placement.excluded);
  read_after(in, spec.after);
  in.read("begin", spec.begin);
  in.read("max_fails", spec.max_fails);
  in.read("crash_limit", spec.crash_limit);
  in.read_exact("chdir", spec.host_directory);
  in.read_exact("slurm_dir", spec.slurm_directory);
}

Result<JobSpec> spec_from(const nlohmann::json& object) {
  JsonFields in(object, "spec");
  JobSpec spec;
  in.read_exact("name", spec.name);
  read_texts(in, "argv", spec.argv);
  in.read("cpus", spec.cpus);
  in.read("mem", spec.memory);
  in.read("priority", spec.priority);
  in.read("retries", spec.retries);
  in.read_ms("backoff_ms", spec.backoff);
  in.read_ms("time_ms", spec.time_limit);
  in.read_ms("grace_ms", spec.grace);
  in.read("limit", spec.limit);
  read_array(in, spec);
  in.read("placeholder", spec.placeholder);
  in.read("append_entry", spec.append_entry);
  read_entries(in, spec);
  in.read_each("files", [&](const nlohmann::json& file) { read_file(in, file, spec); });
  read_texts(in, "out", spec.outputs);
  in.read_exact("env", spec.environment);
  in.read_ms("keep_ms", spec.keep);
  in.read("log_limit", spec.log_limit);
  in.read("attended", spec.attended);
  in.read_exact("stdin", spec.stdin_file);
  read_conditions(in, spec);
  if (const Result<void> fine = in.check(true); !fine) return tl::unexpected(fine.error());
  return spec;
}

void write_nodes(JsonWriter& out, const char* key, const std::vector<NodeId>& nodes) {
  out.key(key);
  out.begin_array();
  for (const NodeId& node : nodes) out.value(node.text());
  out.end_array();
}

void write_entries(JsonWriter& out, const JobSpec& spec) {
  write_texts(out, "entries", spec.entries);
  out.key("entry_blocks");
  out.begin_array();
  for (const EntryBlock& block : spec.entry_blocks) {
    out.begin_object();
    out.key("blob");
    write_blob(out, block.blob);
    out.field("count", block.count);
    out.end_object();
  }
  out.end_array();
}

void write_files(JsonWriter& out, const JobSpec& spec) {
  out.key("files");
  out.begin_array();
  for (const ShippedFile& file : spec.files) {
    out.begin_object();
    out.key("name");
    out.exact_value(file.name);
    out.field("mode", file.mode);
    out.field("size", file.size);
    out.key("content");
    out.begin_array();
    for (const BlobRef& piece : file.content) write_blob(out, piece);
    out.end_array();
    out.end_object();
  }
  out.end_array();
}

void write_conditions(JsonWriter& out, const JobSpec& spec) {
  out.field("gpus", spec.devices.gpus);
  out.field("resources", spec.devices.resources);
  out.field_or_null("zone", spec.placement.zone);
  out.exact_field("labels", spec.placement.labels);
  write_nodes(out, "nodes", spec.placement.nodes);
  write_nodes(out, "exclude", spec.placement.excluded);
  out.key("after");
  out.begin_array();
  for (const Dependency& dependency : spec.after) {
    out.begin_object();
    out.field("job", dependency.job.text());
    out.field("any", dependency.any);
    out.end_object();
  }
  out.end_array();
  out.field("begin", spec.begin);
  out.field("max_fails", spec.max_fails);
  out.field("crash_limit", spec.crash_limit);
  out.key("chdir");
  spec.host_directory.empty() ? out.null() : out.exact_value(spec.host_directory);
  out.key("slurm_dir");
  spec.slurm_directory.empty() ? out.null() : out.exact_value(spec.slurm_directory);
}

}  // namespace

std::string spec_json(const JobSpec& spec) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.key("name");
  out.exact_value(spec.name);
  write_texts(out, "argv", spec.argv);
  out.field("cpus", spec.cpus);
  out.field("mem", spec.memory);
  out.field("priority", spec.priority);
  out.field("retries", spec.retries);
  out.field("backoff_ms", spec.backoff.milliseconds());
  out.field("time_ms", spec.time_limit.milliseconds());
  out.field("grace_ms", spec.grace.milliseconds());
  out.field("limit", spec.limit);
  const bool has_entries = !spec.entries.empty() || !spec.entry_blocks.empty();
  out.field_or_null("array", spec.many && !has_entries ? text_of(spec.tasks) : "");
  out.field("placeholder", spec.placeholder);
  out.field("append_entry", spec.append_entry);
  write_entries(out, spec);
  write_files(out, spec);
  write_texts(out, "out", spec.outputs);
  out.exact_field("env", spec.environment);
  out.field("keep_ms", spec.keep.milliseconds());
  out.field("log_limit", spec.log_limit);
  out.field("attended", spec.attended);
  out.field_or_null("stdin", spec.stdin_file);
  write_conditions(out, spec);
  out.end_object();
  return text;
}

Result<JobSpec> spec_of_job_json(std::string_view job) {
  const Result<nlohmann::json> parsed = parse_object(job);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "job");
  const nlohmann::json* object = in.find("spec");
  if (object == nullptr) return fail(Code::kFailed, "the job has no spec");
  return spec_from(*object);
}

std::string submission_json(const SubmitJob& submission) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("id", submission.id.text());
  out.field_or_null("key", submission.key);
  out.key("spec");
  out.literal(spec_json(submission.spec));
  out.end_object();
  return text;
}

Result<SubmitJob> submission_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "");
  SubmitJob submission;
  std::string id;
  in.read("id", id);
  in.read("key", submission.key);
  const nlohmann::json* object = in.find("spec");
  if (object == nullptr) in.complain("spec", "is missing");
  if (!id.empty()) {
    const auto known = JobId::from_text(id);
    if (known) submission.id = *known;
    if (!known) in.complain("id", "must be ten lower-case letters and digits, the first a letter");
  }
  if (const Result<void> fine = in.check(true); !fine) return tl::unexpected(fine.error());
  Result<JobSpec> spec = spec_from(*object);
  if (!spec) return tl::unexpected(spec.error());
  submission.spec = std::move(*spec);
  return submission;
}

Result<ChangeJob> change_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "");
  ChangeJob change;
  in.read("priority", change.priority);
  in.read("limit", change.limit);
  std::optional<std::int64_t> time_ms, keep_ms;
  in.read("time_ms", time_ms);
  in.read("keep_ms", keep_ms);
  if (time_ms) change.time_limit = milliseconds(*time_ms);
  if (keep_ms) change.keep = milliseconds(*keep_ms);
  if (const Result<void> fine = in.check(true); !fine) return tl::unexpected(fine.error());
  if (!change.priority && !change.limit && !change.time_limit && !change.keep) {
    return fail(Code::kUsage, "nothing is to be changed",
                "priority, limit, time_ms and keep_ms may be");
  }
  return change;
}

std::string change_json(const ChangeJob& change) {
  std::string text;
  JsonWriter out(text);
  const auto ms = [](const std::optional<Duration>& time) -> std::optional<std::int64_t> {
    return time ? std::optional(time->milliseconds()) : std::nullopt;
  };
  out.begin_object();
  out.field("priority", change.priority);
  out.field("limit", change.limit);
  out.field("time_ms", ms(change.time_limit));
  out.field("keep_ms", ms(change.keep));
  out.end_object();
  return text;
}

}  // namespace dunlin
