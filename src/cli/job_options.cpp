#include "cli/job_options.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/crypto.h"
#include "cli/units.h"
#include "os/chance.h"
#include "os/json.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr std::array<std::string_view, 6> kPlaceholders = {"{}",  "{#}",  "{.}",
                                                           "{/}", "{//}", "{/.}"};

std::string base_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

bool is_regular_file(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// The script's first lines, as far as they can hold directives; empty when it is no script.
std::string script_head(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return {};
  std::string head(64 * 1024, '\0');
  head.resize(std::fread(head.data(), 1, head.size(), file));
  std::fclose(file);
  return head.starts_with("#!") ? head : std::string();
}

// A script whose directives were silently passed over would run with the wrong resources.
Result<void> refuse_directives(const std::string& path, std::string_view head) {
  std::size_t number = 0;
  while (!head.empty()) {
    const std::size_t end = head.find('\n');
    const std::string_view line = head.substr(0, end);
    head = end == std::string_view::npos ? std::string_view() : head.substr(end + 1);
    ++number;
    for (const std::string_view directive : {"#SBATCH", "#DUNLIN"}) {
      if (!line.starts_with(directive)) continue;
      return fail(Code::kUsage,
                  path + " line " + std::to_string(number) + ": " + std::string(directive) +
                      " lines are not available yet",
                  "give them as options of submit");
    }
    if (!line.empty() && line[0] != '#') break;
  }
  return {};
}

Result<void> take_tasks(const Arguments& args, JobDraft& draft) {
  std::string text = args.text("array");
  const std::size_t percent = text.find('%');
  if (percent != std::string::npos) {
    const auto limit = number_from(text.substr(percent + 1), 1, kMaxTasks);
    if (!limit) return fail(Code::kUsage, "--array: %LIMIT: " + limit.error().message);
    if (args.has("limit")) {
      return fail(Code::kUsage, "both --limit and --array ...%LIMIT are given", "give one");
    }
    draft.spec.limit = static_cast<std::uint32_t>(*limit);
    text.resize(percent);
  }
  auto ranges = task_ranges_from(text);
  if (!ranges) {
    return fail(ranges.error().code, "--array: " + ranges.error().message, ranges.error().hint);
  }
  draft.spec.tasks = std::move(*ranges);
  draft.spec.many = true;
  return {};
}

// Cuts `CMD ARG... ::: A B ::: C D` at the ":::".
Result<void> take_words(const Arguments& args, JobDraft& draft) {
  const auto& words = args.words;
  auto cut = std::find(words.begin(), words.end(), ":::");
  draft.spec.argv.assign(words.begin(), cut);
  if (draft.spec.argv.empty()) {
    return fail(Code::kUsage, "there is no command to run", "as in: dunlin run -- hostname");
  }
  std::vector<std::vector<std::string>> sources;
  while (cut != words.end()) {
    const auto next = std::find(cut + 1, words.end(), ":::");
    sources.emplace_back(cut + 1, next);
    cut = next;
  }
  if (sources.empty()) return {};
  auto entries = entries_of_words(std::move(sources));
  if (!entries) return tl::unexpected(entries.error());
  draft.entries = std::move(*entries);
  return {};
}

Result<void> take_many(const Arguments& args, JobDraft& draft) {
  const bool has_words = draft.entries.has_value();
  if (int{has_words} + int{args.has("array")} + int{args.has("each-line")} > 1) {
    return fail(Code::kUsage, "--array, --each-line and ::: exclude each other", "give one");
  }
  if (args.has("array")) {
    if (Result<void> fine = take_tasks(args, draft); !fine) return fine;
  }
  if (args.has("each-line")) {
    auto entries = entries_of_file(args.text("each-line"));
    if (!entries) return tl::unexpected(entries.error());
    draft.entries = std::move(*entries);
  }
  if (args.has("placeholder")) draft.spec.placeholder = args.text("placeholder");
  if (!has_words) return {};
  const auto has_placeholder = [&](const std::string& word) {
    return word.find(draft.spec.placeholder) != std::string::npos ||
           std::any_of(kPlaceholders.begin() + 1, kPlaceholders.end(),
                       [&](std::string_view mark) { return word.find(mark) != std::string::npos; });
  };
  const auto& argv = draft.spec.argv;
  draft.spec.append_entry = std::none_of(argv.begin(), argv.end(), has_placeholder);
  return {};
}

// CMD's first word as a file of this host travels with the job.
Result<void> take_program(const Arguments& args, bool may_be_script, JobDraft& draft) {
  std::string& program = draft.spec.argv.front();
  draft.spec.name = base_name(program);
  if (!is_regular_file(program)) return {};
  const bool is_path = program.find('/') != std::string::npos;
  if (may_be_script && program.ends_with(".toml")) {
    return fail(Code::kUsage, program + ": job files are not available yet",
                "give the job's options on the command line");
  }
  const std::string head = may_be_script ? script_head(program) : std::string();
  if (!is_path && head.empty()) return {};
  if (Result<void> fine = refuse_directives(program, head); !fine) return fine;
  if (args.has("no-ship")) return {};
  auto file = local_file(program);
  if (!file) return tl::unexpected(file.error());
  // Named as a script rather than as a program, it need not be marked as one.
  if (!is_path) file->mode |= 0100;
  program = "./" + file->name;
  draft.files.push_back(std::move(*file));
  return {};
}

Result<void> take_files(const Arguments& args, JobDraft& draft) {
  for (const std::string& argument : args.all("file")) {
    auto file = local_file(argument);
    if (!file) return tl::unexpected(file.error());
    draft.files.push_back(std::move(*file));
  }
  for (const std::string& argument : args.all("dir")) {
    auto files = local_directory(argument);
    if (!files) return tl::unexpected(files.error());
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
  return check_names(files);
}

Result<void> take_environment(const Arguments& args, JobDraft& draft) {
  for (const std::string& argument : args.all("env")) {
    const std::size_t equals = argument.find('=');
    if (equals == 0) return fail(Code::kUsage, "--env " + argument + " has no name");
    if (equals != std::string::npos) {
      draft.spec.environment[argument.substr(0, equals)] = argument.substr(equals + 1);
      continue;
    }
    const char* value = std::getenv(argument.c_str());
    if (value == nullptr) {
      return fail(Code::kUsage, "--env " + argument + ": there is no such variable here",
                  "set it, or write --env " + argument + "=VALUE");
    }
    draft.spec.environment[argument] = value;
  }
  return {};
}

}  // namespace

const OptionTable& job_options() {
  static const OptionTable table = {
      {"name", 'J', "NAME", Takes::kText, "what the job is called; default: the command's name"},
      {"cpus", 'c', "N", Takes::kCount, "cores for each task (1)"},
      {"mem", 0, "SIZE", Takes::kSize, "memory for each task, as in 4G"},
      {"gpus", 0, "N", Takes::kCount, "", false, false},
      {"resource", 'r', "NAME=N", Takes::kPair, "", true, false},
      {"array", 0, "RANGES", Takes::kText, "many tasks: 1-1000, 0-9:2, 1,4,7-9, ...%LIMIT"},
      {"each-line", 0, "FILE", Takes::kText, "a task for each line of FILE (- is stdin)"},
      {"from-json", 0, "FILE", Takes::kText, "", false, false},
      {"placeholder", 'I', "STR", Takes::kText, "what the entry replaces, instead of {}"},
      {"limit", 0, "N", Takes::kCount, "at most N tasks at once"},
      {"priority", 'p', "N", Takes::kNumber, "higher goes first (0)"},
      {"retries", 0, "N", Takes::kCount, "further attempts after a failure (0)"},
      {"backoff", 0, "TIME", Takes::kDuration, "before a retry, doubled each time: 10s"},
      {"max-fails", 0, "N", Takes::kCount, "", false, false},
      {"crash-limit", 0, "N", Takes::kCount, "", false, false},
      {"time", 0, "TIME", Takes::kDuration, "limit for one attempt: 1h30m"},
      {"grace", 0, "TIME", Takes::kDuration, "between TERM and KILL (10s)"},
      {"file", 0, "PATH[:NAME]", Takes::kText, "ship this file into the task's directory", true},
      {"dir", 0, "PATH[:NAME]", Takes::kText, "ship what is in this directory", true},
      {"no-ship", 0, nullptr, Takes::kNothing, "do not ship the command itself"},
      {"chdir", 0, "DIR", Takes::kText, "", false, false},
      {"out", 0, "GLOB", Takes::kText,
       "keep the files that match, as outputs (regular files, no links)", true},
      {"keep", 0, "TIME", Takes::kDuration, "", false, false},
      {"log-limit", 0, "SIZE", Takes::kSize, "", false, false},
      {"env", 0, "NAME[=VALUE]", Takes::kText, "set a variable, or pass it on", true},
      {"env-all", 0, nullptr, Takes::kNothing, "", false, false},
      {"stdin", 0, "FILE", Takes::kText, "", false, false},
      {"zone", 0, "ZONE", Takes::kText, "", false, false},
      {"label", 0, "K=V", Takes::kPair, "", true, false},
      {"node", 0, "NODE", Takes::kText, "", false, false},
      {"exclude", 0, "NODE", Takes::kText, "", true, false},
      {"after", 0, "JOB", Takes::kText, "", true, false},
      {"afterany", 0, "JOB", Takes::kText, "", true, false},
      {"begin", 0, "TIME", Takes::kText, "", false, false},
      {"key", 0, "TOKEN", Takes::kText, "submit once: the same key is the same job"},
      {"dry-run", 0, nullptr, Takes::kNothing, "", false, false},
  };
  return table;
}

Result<JobDraft> draft_job(const Arguments& args, bool may_be_script) {
  JobDraft draft;
  JobSpec& spec = draft.spec;
  if (const Result<void> fine = take_words(args, draft); !fine) return tl::unexpected(fine.error());
  if (const Result<void> fine = take_many(args, draft); !fine) return tl::unexpected(fine.error());
  if (const Result<void> fine = take_program(args, may_be_script, draft); !fine) {
    return tl::unexpected(fine.error());
  }
  if (const Result<void> fine = take_files(args, draft); !fine) return tl::unexpected(fine.error());
  if (const Result<void> fine = take_environment(args, draft); !fine) {
    return tl::unexpected(fine.error());
  }
  if (args.has("name")) spec.name = args.text("name");
  if (args.has("cpus") && args.number("cpus", 1) == 0) {
    return fail(Code::kUsage, "--cpus 0: a task needs at least one core");
  }
  spec.cpus = static_cast<std::uint32_t>(args.number("cpus", spec.cpus));
  spec.memory = args.size("mem", spec.memory);
  spec.priority = static_cast<std::int32_t>(args.number("priority", spec.priority));
  spec.retries = static_cast<std::uint32_t>(args.number("retries", spec.retries));
  spec.backoff = args.duration("backoff", spec.backoff);
  spec.time_limit = args.duration("time", spec.time_limit);
  spec.grace = args.duration("grace", spec.grace);
  spec.limit = static_cast<std::uint32_t>(args.number("limit", spec.limit));
  spec.outputs = args.all("out");
  draft.key = args.text("key");
  return draft;
}

Result<SubmitJob> make_submission(Client& client, JobDraft draft) {
  SubmitJob submission;
  submission.key = draft.key;
  submission.spec = std::move(draft.spec);
  // Before the uploads, which go to the node that has answered this.
  const auto answer = client.call("GET", "/v1/pick-group");
  if (!answer) return tl::unexpected(answer.error());
  const auto choice = group_choice_from_json(answer->body);
  if (!choice) return tl::unexpected(choice.error());
  submission.user = choice->user;
  if (!draft.files.empty()) {
    auto shipped = ship(client, draft.files);
    if (!shipped) return tl::unexpected(shipped.error());
    submission.spec.files = std::move(*shipped);
  }
  if (draft.entries) {
    const Result<void> fine = give_entries(client, *draft.entries, submission.spec);
    if (!fine) return tl::unexpected(fine.error());
  }
  if (!submission.key.empty()) {
    initialise_crypto();
    submission.id = job_id_for_key(choice->user, submission.key, choice->group_count);
  } else {
    std::array<std::uint8_t, 10> chance;
    fill_with_chance(chance);
    submission.id = JobId::make(choice->group, choice->group_count, chance);
  }
  return submission;
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
