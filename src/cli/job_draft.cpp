#include "cli/job_draft.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "cli/begin_time.h"
#include "cli/directories.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/task_ranges.h"
#include "sched/sched.h"

namespace dunlin {

namespace {

// Here as below the forms of values were checked when they were read.
Result<void> take_tasks(const Arguments& args, JobSpec& spec) {
  const std::string text = args.text("array");
  const std::size_t percent = text.find('%');
  if (percent != std::string::npos) {
    if (args.has("limit")) {
      return args.wrong("limit",
                        {Code::kUsage, "both --limit and --array ...%LIMIT are given", "give one"});
    }
    const auto limit = number_from(text.substr(percent + 1), 1, kMaxTasks);
    spec.limit = static_cast<std::uint32_t>(*limit);
  }
  spec.tasks = *task_ranges_from(text.substr(0, percent));
  spec.many = true;
  return {};
}

// Where there is one, something else takes its place.
bool has_placeholder(const JobSpec& spec) {
  sched::TaskNames names;
  names.entry = spec.placeholder + "/x.y";
  return std::any_of(spec.argv.begin(), spec.argv.end(), [&](const std::string& word) {
    return sched::replace_placeholders(word, spec, names) != word;
  });
}

Result<void> take_many(const JobInput& input, JobDraft& draft) {
  const Arguments& args = input.options;
  const bool has_words = !input.sources.empty();
  if (int{has_words} + int{args.has("array")} + int{args.has("each-line")} +
          int{args.has("from-json")} >
      1) {
    return fail(Code::kUsage, "--array, --each-line, --from-json and ::: exclude each other",
                "give one");
  }
  draft.spec.argv = input.command;
  if (args.has("placeholder")) draft.spec.placeholder = args.text("placeholder");
  if (args.has("array")) return take_tasks(args, draft.spec);
  Result<NextEntry> entries = NextEntry();
  if (args.has("each-line")) entries = entries_of_file(args.text("each-line"));
  if (args.has("from-json")) entries = entries_of_json(args.text("from-json"));
  if (has_words) entries = entries_of_words(input.sources);
  if (!entries) {
    if (has_words) return tl::unexpected(entries.error());
    return args.wrong(args.has("each-line") ? "each-line" : "from-json", entries.error());
  }
  draft.entries = std::move(*entries);
  draft.spec.append_entry = has_words && !input.is_shell && !has_placeholder(draft.spec);
  return {};
}

// CMD's first word as a file of this host travels with the job.
Result<void> take_program(const JobInput& input, JobDraft& draft) {
  std::string& program = draft.spec.argv.front();
  draft.spec.name = input.name.empty() ? last_part(program) : input.name;
  const bool is_path = program.find('/') != std::string::npos;
  if ((!is_path && !input.is_script) || !is_regular_file(program)) return {};
  if (input.options.has("no-ship")) return {};
  auto file = local_file(program);
  if (!file) return tl::unexpected(file.error());
  // Named as a script rather than as a program, or one of Slurm's, it need not be marked as one.
  if (!is_path || !input.slurm_directory.empty()) file->mode |= 0100;
  program = "./" + file->name;
  draft.files.push_back(std::move(*file));
  return {};
}

// Only one can read what is piped in: the entries, or the tasks.
Result<PipedInput> piped_input(const JobInput& input) {
  const Arguments& args = input.options;
  int readers = 0;
  for (const char* name : {"each-line", "from-json", "stdin"}) {
    readers += args.text(name) == "-" ? 1 : 0;
  }
  if (readers > 1) {
    return fail(Code::kUsage, "stdin can be read only once", "give a file instead of one of the -");
  }
  if (args.has("no-stdin")) return PipedInput::kLeft;
  if (args.text("stdin") == "-") return PipedInput::kAskedFor;
  const bool is_free = readers == 0 && !args.has("stdin");
  return input.is_attended && is_free ? PipedInput::kPassedOn : PipedInput::kLeft;
}

Result<void> take_stdin_file(const Arguments& args, JobDraft& draft) {
  const std::string path = args.text("stdin");
  if (path.empty() || path == "-") return {};
  auto file = local_file(path, "--stdin");
  if (!file) return args.wrong("stdin", file.error());
  file->name = kStdinName;
  file->mode = 0600;
  draft.files.push_back(std::move(*file));
  draft.spec.stdin_file = kStdinName;
  return {};
}

Result<void> take_files(const Arguments& args, JobDraft& draft) {
  for (std::size_t i = 0; i < args.all("file").size(); ++i) {
    auto file = local_file(args.all("file")[i]);
    if (!file) return args.wrong("file", i, file.error());
    draft.files.push_back(std::move(*file));
  }
  for (std::size_t i = 0; i < args.all("dir").size(); ++i) {
    auto files = local_directory(args.all("dir")[i]);
    if (!files) return args.wrong("dir", i, files.error());
    draft.files.insert(draft.files.end(), files->begin(), files->end());
  }
  // `--dir . -- ./prog` names prog twice, and means it once.
  std::vector<LocalFile>& files = draft.files;
  const auto same = [&](const LocalFile& file) {
    struct stat a {};
    struct stat b {};
    return &file != &files.front() && file.name == files.front().name &&
           stat(file.path.c_str(), &a) == 0 && stat(files.front().path.c_str(), &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
  };
  if (!files.empty()) std::erase_if(files, same);
  if (Result<void> fine = take_stdin_file(args, draft); !fine) return fine;
  return check_names(files);
}

// What a node sets for each task, and what is true of this shell alone.
bool is_own_variable(std::string_view name) {
  constexpr std::string_view kOwn[] = {"PATH",   "HOME",  "USER", "LOGNAME",
                                       "SHELL",  "LANG",  "TZ",   "PWD",
                                       "OLDPWD", "SHLVL", "_",    "CUDA_VISIBLE_DEVICES"};
  return name.starts_with("DUNLIN_") ||
         std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn);
}

void take_whole_environment(JobDraft& draft) {
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view text = *each;
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) continue;
    if (is_own_variable(text.substr(0, equals))) continue;
    draft.spec.environment[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
}

// NAME=VALUE, or NAME with the value that it has here.
Result<void> take_variable(const std::string& argument,
                           std::map<std::string, std::string>& environment) {
  const std::size_t equals = argument.find('=');
  if (equals == 0) return fail(Code::kUsage, "--env " + argument + " has no name");
  if (equals != std::string::npos) {
    environment[argument.substr(0, equals)] = argument.substr(equals + 1);
    return {};
  }
  const char* value = std::getenv(argument.c_str());
  if (value == nullptr) {
    return fail(Code::kUsage, "--env " + argument + ": there is no such variable here",
                "set it, or write " + argument + "=VALUE");
  }
  environment[argument] = value;
  return {};
}

Result<void> take_environment(const Arguments& args, JobDraft& draft) {
  if (args.has("env-all")) take_whole_environment(draft);
  for (std::size_t i = 0; i < args.all("env").size(); ++i) {
    Result<void> taken = take_variable(args.all("env")[i], draft.spec.environment);
    if (!taken) return args.wrong("env", i, taken.error());
  }
  return {};
}

void take_devices(const Arguments& args, Devices& devices) {
  devices.gpus = static_cast<std::uint32_t>(args.number("gpus", 0));
  for (const std::string& argument : args.all("resource")) {
    const auto pair = pair_from(argument);
    const auto count = number_from(pair->second, 1, std::numeric_limits<std::int64_t>::max());
    devices.resources[pair->first] = static_cast<std::uint64_t>(*count);
  }
}

void take_conditions(const Arguments& args, JobSpec& spec) {
  take_devices(args, spec.devices);
  spec.placement.zone = args.text("zone");
  for (const std::string& argument : args.all("label")) {
    const auto pair = pair_from(argument);
    spec.placement.labels[pair->first] = pair->second;
  }
  if (args.has("begin")) spec.begin = *begin_time_from(args.text("begin"), wall_now());
  if (args.has("max-fails")) {
    spec.max_fails = static_cast<std::uint32_t>(args.number("max-fails", 0));
  }
  spec.crash_limit = static_cast<std::uint32_t>(args.number("crash-limit", spec.crash_limit));
}

// The directory is the executing host's, and named as this one names its own.
std::string host_directory_of(const std::string& path) {
  if (path.empty()) return path;
  return path == "." ? current_directory() : absolute_path(path);
}

void take_figures(const JobInput& input, JobSpec& spec) {
  const Arguments& args = input.options;
  spec.cpus = static_cast<std::uint32_t>(args.number("cpus", spec.cpus));
  spec.memory = args.size("mem", input.memory_per_cpu.value_or(0) * spec.cpus);
  spec.priority = static_cast<std::int32_t>(args.number("priority", spec.priority));
  spec.retries = static_cast<std::uint32_t>(args.number("retries", spec.retries));
  spec.backoff = args.duration("backoff", spec.backoff);
  spec.time_limit = args.duration("time", spec.time_limit);
  spec.grace = args.duration("grace", spec.grace);
  spec.limit = static_cast<std::uint32_t>(args.number("limit", spec.limit));
  spec.keep = args.duration("keep", spec.keep);
  spec.log_limit = args.size("log-limit", spec.log_limit);
}

}  // namespace

Result<JobDraft> draft_job(const JobInput& input) {
  const Arguments& args = input.options;
  JobDraft draft;
  JobSpec& spec = draft.spec;
  const Result<PipedInput> piped = piped_input(input);
  if (!piped) return tl::unexpected(piped.error());
  draft.piped = *piped;
  spec.attended = input.is_attended;
  Result<void> fine = take_many(input, draft);
  if (fine) fine = take_program(input, draft);
  if (fine) fine = take_files(args, draft);
  if (fine) fine = take_environment(args, draft);
  if (!fine) return tl::unexpected(fine.error());
  take_conditions(args, spec);
  take_figures(input, spec);
  if (args.has("name")) spec.name = args.text("name");
  spec.outputs = args.all("out");
  spec.host_directory = host_directory_of(args.text("chdir"));
  spec.slurm_directory = input.slurm_directory;
  draft.key = args.text("key");
  draft.options = args;
  return draft;
}

std::string found_here(const std::string& word) {
  if (word.empty() || word.find('/') != std::string::npos) return {};
  if (is_regular_file(word)) return word;
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path == nullptr ? "" : path; !rest.empty();) {
    const std::size_t colon = rest.find(':');
    std::string candidate(rest.substr(0, colon));
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
    candidate.append("/").append(word);
    if (is_regular_file(candidate) && access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

}  // namespace dunlin
