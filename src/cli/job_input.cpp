#include "cli/job_input.h"

#include <algorithm>

#include "base/assert.h"
#include "cli/directories.h"
#include "cli/job_draft.h"
#include "cli/report.h"

namespace dunlin {

namespace {

bool has_tasks(const JobInput& input) {
  return !input.sources.empty() || input.options.has("array") || input.options.has("each-line") ||
         input.options.has("from-json");
}

bool has_limit(const std::string& array) {
  return array.find('%') != std::string::npos;
}

// --limit and --array ...%LIMIT are one thing; said twice by one it is a mistake, by two it is not.
void overlay_tasks(const JobInput& typed, JobInput& written, const OptionTable& table) {
  if (has_tasks(typed)) {
    for (const char* name : {"array", "each-line", "from-json"}) written.options.remove(name);
    written.sources.clear();
  }
  if (has_limit(typed.options.text("array"))) written.options.remove("limit");
  const std::string array = written.options.text("array");
  if (!typed.options.has("limit") || !has_limit(array)) return;
  const Option* option = find_option(table, "array");
  ASSERT(option != nullptr);
  written.options.set(*option, array.substr(0, array.find('%')),
                      written.options.places("array").back());
}

void overlay_environment(JobInput& typed, const JobInput& written, const OptionTable& table) {
  const Option* option = find_option(table, "env");
  ASSERT(option != nullptr);
  const std::vector<std::string> own = typed.options.all("env");
  typed.options.remove("env");
  const std::vector<std::string>& values = written.options.all("env");
  for (std::size_t i = 0; i < values.size(); ++i) {
    (void)typed.options.add(*option, values[i], written.options.places("env")[i]);
  }
  for (const std::string& value : own) (void)typed.options.add(*option, value);
}

Result<JobInput> from_file(JobInput typed, const OptionTable& table) {
  const std::string& path = typed.command.front();
  if (typed.command.size() > 1) {
    return fail(Code::kUsage, "'" + typed.command[1] + "' stands behind the job file " + path,
                "options stand before it; the command and its words stand in it");
  }
  auto written = read_job_file(path, table);
  if (!written) return written;
  typed.command = std::move(written->command);
  typed.is_shell = written->is_shell;
  typed.name = written->name;
  overlay(typed, std::move(*written), table);
  return typed;
}

// The command's first word is no file of this host. Where nothing that travels with the job or lies
// on the others can bear that name, it is a slip.
Result<void> check_absent(const JobInput& typed) {
  const std::string& word = typed.command.front();
  if (word.ends_with(".toml")) {
    return fail(Code::kNotFound, "there is no job file " + word, "give its path as seen from here");
  }
  const bool is_relative = word.front() != '/' && word.find('/') != std::string::npos;
  const char* const elsewhere[] = {"file", "dir", "chdir", "no-ship"};
  const bool may_be_there = std::any_of(std::begin(elsewhere), std::end(elsewhere),
                                        [&](const char* name) { return typed.options.has(name); });
  if (is_relative && !may_be_there) {
    return fail(Code::kNotFound, "there is no file " + word + " here",
                "give its path as seen from here; what lies on the hosts is named by a whole path");
  }
  const bool is_bare = word.find('/') == std::string::npos;
  if (is_bare && word.ends_with(".sh") && !may_be_there && found_here(word).empty()) {
    note("dunlin: there is no file " + word + " here: taken as a command that the hosts have");
  }
  return {};
}

}  // namespace

Result<JobInput> input_of_words(const Arguments& args) {
  JobInput input;
  input.options = args;
  const auto& words = args.words;
  auto cut = std::find(words.begin(), words.end(), ":::");
  input.command.assign(words.begin(), cut);
  if (input.command.empty() || input.command.front().empty()) {
    return fail(Code::kUsage, "there is no command to run", "as in: dunlin run -- hostname");
  }
  while (cut != words.end()) {
    const auto next = std::find(cut + 1, words.end(), ":::");
    input.sources.emplace_back(cut + 1, next);
    cut = next;
  }
  return input;
}

Result<JobInput> input_of_submission(const Arguments& args, const OptionTable& table) {
  auto typed = input_of_words(args);
  if (!typed) return typed;
  if (!is_regular_file(typed->command.front())) {
    if (Result<void> fine = check_absent(*typed); !fine) return tl::unexpected(fine.error());
    return typed;
  }
  const std::string path = typed->command.front();
  if (path.ends_with(".toml")) return from_file(std::move(*typed), table);
  auto written = read_job_script(path, table);
  if (!written) return tl::unexpected(written.error());
  if (!*written) return typed;
  typed->is_script = true;
  typed->slurm_directory = (*written)->slurm_directory;
  overlay(*typed, std::move(**written), table);
  return typed;
}

void overlay(JobInput& typed, JobInput written, const OptionTable& table) {
  overlay_tasks(typed, written, table);
  overlay_environment(typed, written, table);
  typed.memory_per_cpu = written.memory_per_cpu;
  if (typed.sources.empty()) typed.sources = std::move(written.sources);
  typed.options.fall_back_to(written.options);
}

}  // namespace dunlin
