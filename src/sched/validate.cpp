#include "sched/validate.h"

#include <algorithm>
#include <set>

#include "base/codec.h"
#include "base/inner_path.h"
#include "sched/task_numbers.h"

namespace dunlin::sched {

namespace {

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

Result<void> usage(std::string message, std::string hint = {}) {
  return fail(Code::kUsage, std::move(message), std::move(hint));
}

Result<void> over(const std::string& what, std::size_t limit, std::string hint = {}) {
  return fail(Code::kLimit, what + " (the limit is " + std::to_string(limit) + ")",
              std::move(hint));
}

Result<void> validate_command(const JobSpec& spec) {
  if (spec.argv.empty() || spec.argv[0].empty()) return usage("the job has no command");
  if (spec.argv.size() > kMaxWords) return over("the command has too many words", kMaxWords);
  if (std::any_of(spec.argv.begin(), spec.argv.end(), has_nul)) {
    return usage("a word of the command contains a NUL byte");
  }
  for (const auto& [name, value] : spec.environment) {
    if (name.empty() || name.find('=') != std::string::npos || has_nul(name)) {
      return usage("'" + name + "' cannot be the name of an environment variable");
    }
    if (has_nul(value)) return usage("the variable " + name + " contains a NUL byte");
  }
  return {};
}

Result<void> validate_tasks(const JobSpec& spec) {
  if (spec.tasks.empty()) return usage("the job has no tasks");
  if (!are_ascending(spec.tasks)) {
    return usage("task numbers must be ascending ranges that do not overlap");
  }
  const std::uint32_t count = spec.task_count();
  if (count > kMaxTasks) return over("the job has too many tasks", kMaxTasks);
  if (!spec.many && count != 1) return usage("a single command cannot have several tasks");
  std::uint64_t entries = spec.entries.size();
  std::size_t bytes = 0;
  for (const std::string& entry : spec.entries) bytes += entry.size();
  if (std::any_of(spec.entries.begin(), spec.entries.end(), has_nul)) {
    return usage("an entry contains a NUL byte, which no argument can");
  }
  for (const EntryBlock& block : spec.entry_blocks) entries += block.count;
  if (bytes > kMaxInlineEntryBytes) {
    return over("the entries are too long to travel with the job", kMaxInlineEntryBytes,
                "store them as blobs");
  }
  if (entries == 0) return {};
  if (!spec.entries.empty() && !spec.entry_blocks.empty()) {
    return usage("entries are either given with the job or as blobs, not both");
  }
  if (entries != count || spec.tasks != std::vector<TaskRange>{{1, count, 1}}) {
    return usage("with entries the tasks are 1 to the number of entries");
  }
  return {};
}

Result<void> validate_time(Duration time) {
  if (time.us < 0) return usage("a duration is negative");
  if (time <= kLongestTime) return {};
  return fail(Code::kLimit, "a duration is longer than 100 years");
}

Result<void> validate_times(const JobSpec& spec) {
  for (const Duration time : {spec.backoff, spec.time_limit, spec.grace, spec.keep}) {
    if (Result<void> result = validate_time(time); !result) return result;
  }
  if (spec.begin.ms < 0) return usage("the time to begin is negative");
  if (spec.begin <= kLastTime) return {};
  return fail(Code::kLimit, "the time to begin lies behind the year 9999");
}

Result<void> validate_resources(const JobSpec& spec) {
  if (spec.cpus == 0 || spec.cpus > kMaxTaskCpus) {
    return usage("a task needs 1 to " + std::to_string(kMaxTaskCpus) + " cpus");
  }
  if (spec.retries > kMaxRetries) return over("too many retries", kMaxRetries);
  return {};
}

Result<void> validate_conditions(const JobSpec& spec) {
  const Devices& devices = spec.devices;
  const Placement& where = spec.placement;
  if (devices.gpus > kMaxTaskGpus) return over("a task asks for too many gpus", kMaxTaskGpus);
  if (devices.resources.size() + where.labels.size() > kMaxConditions ||
      where.nodes.size() + where.excluded.size() > kMaxConditions) {
    return over("too many labels, resources or nodes", kMaxConditions);
  }
  for (const auto& [name, count] : devices.resources) {
    if (name.empty() || count == 0)
      return usage("the resource '" + name + "' is asked for 0 times");
  }
  if (spec.after.size() > kMaxDependencies) {
    return over("the job waits for too many jobs", kMaxDependencies);
  }
  std::set<JobId> others;
  for (const Dependency& dependency : spec.after) {
    if (!others.insert(dependency.job).second) {
      return usage("job " + dependency.job.text() + " is named twice as one to wait for");
    }
  }
  if (spec.crash_limit == 0) return usage("the crash limit must be at least 1");
  if (!spec.host_directory.empty() &&
      (spec.host_directory[0] != '/' || has_nul(spec.host_directory))) {
    return usage("'" + spec.host_directory + "' is no absolute path of a directory");
  }
  return {};
}

Result<void> validate_placement(const JobSpec& spec) {
  const Placement& where = spec.placement;
  for (const auto& [name, value] : where.labels) {
    if (name.empty() || has_nul(name) || has_nul(value)) {
      return usage("'" + name + "' is no name of a label, or its value contains a NUL byte");
    }
  }
  const auto is_excluded = [&](const NodeId& node) {
    return std::find(where.excluded.begin(), where.excluded.end(), node) != where.excluded.end();
  };
  if (!where.nodes.empty() && std::all_of(where.nodes.begin(), where.nodes.end(), is_excluded)) {
    return usage("every node that the job is to run on is excluded as well");
  }
  return {};
}

Result<void> validate_files(const JobSpec& spec) {
  if (spec.files.size() > kMaxFiles) {
    return over("the job ships too many files", kMaxFiles, "pack them into one archive");
  }
  std::set<std::string> names;
  for (const ShippedFile& file : spec.files) {
    if (!is_inner_path(file.name))
      return usage("'" + file.name + "' lies outside the task's directory");
    if (!names.insert(file.name).second) return usage("two shipped files are called " + file.name);
    std::uint64_t size = 0;
    for (const BlobRef& piece : file.content) size += piece.length;
    if (size != file.size) return usage("the pieces of " + file.name + " do not make up its size");
  }
  if (!spec.stdin_file.empty() && !names.contains(spec.stdin_file)) {
    return usage("stdin is to come from '" + spec.stdin_file + "', which is not shipped");
  }
  if (spec.outputs.size() > kMaxOutputGlobs) {
    return over("too many output patterns", kMaxOutputGlobs);
  }
  for (const std::string& glob : spec.outputs) {
    if (!is_inner_path(glob))
      return usage("the output '" + glob + "' lies outside the task's directory");
  }
  return {};
}

}  // namespace

Result<void> validate(const JobSpec& spec) {
  for (const auto check : {validate_command, validate_tasks, validate_resources, validate_times,
                           validate_conditions, validate_placement, validate_files}) {
    if (Result<void> result = check(spec); !result) return result;
  }
  if (spec.name.size() > kMaxName) return over("the job's name is too long", kMaxName);
  if (has_nul(spec.name)) return usage("the job's name contains a NUL byte");
  if (encode(spec).size() > kMaxSpecBytes) {
    return over("the job's description is too long", kMaxSpecBytes, "ship long content as files");
  }
  return {};
}

Result<void> validate(const ChangeJob& change) {
  for (const std::optional<Duration>& time : {change.time_limit, change.keep}) {
    if (Result<void> result = validate_time(time.value_or(Duration{})); !result) return result;
  }
  return {};
}

Result<void> validate(const SubmitJob& request) {
  if (request.id.is_none()) return usage("the job has no id");
  if (request.user.empty() || request.user.size() > kMaxName) return usage("the job has no user");
  if (request.key.size() > kMaxName) return over("the key is too long", kMaxName);
  for (const Dependency& dependency : request.spec.after) {
    if (dependency.job == request.id) return usage("the job waits for itself");
  }
  return validate(request.spec);
}

}  // namespace dunlin::sched
