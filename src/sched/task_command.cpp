#include "sched/task_command.h"

#include <map>

namespace dunlin::sched {

namespace {

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view without_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

// As dirname(1) does.
std::string_view directory_of(std::string_view path) {
  path = without_slashes(path);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return without_slashes(path.substr(0, slash + 1));
}

// GNU parallel takes a dot that begins the file's name for the begin of an extension, too.
std::string_view without_extension(std::string_view path) {
  const std::size_t dot = path.find_last_of("./");
  return dot == std::string_view::npos || path[dot] == '/' ? path : path.substr(0, dot);
}

}  // namespace

std::string replace_placeholders(std::string_view word, const JobSpec& spec,
                                 const TaskNames& names) {
  const std::string number = std::to_string(names.number);
  const std::vector<std::pair<std::string_view, std::string_view>> placeholders = {
      {spec.placeholder, names.entry},         {"{#}", number},
      {"{.}", without_extension(names.entry)}, {"{/}", base_name(names.entry)},
      {"{//}", directory_of(names.entry)},     {"{/.}", without_extension(base_name(names.entry))},
  };
  std::string replaced;
  for (std::size_t at = 0; at < word.size();) {
    bool found = false;
    for (const auto& [placeholder, value] : placeholders) {
      if (placeholder.empty() || !word.substr(at).starts_with(placeholder)) continue;
      replaced += value;
      at += placeholder.size();
      found = true;
      break;
    }
    if (!found) replaced += word[at++];
  }
  return replaced;
}

std::vector<std::string> task_argv(const JobSpec& spec, const TaskNames& names) {
  if (!spec.many) return spec.argv;
  std::vector<std::string> argv;
  for (const std::string& word : spec.argv) {
    argv.push_back(replace_placeholders(word, spec, names));
  }
  if (spec.append_entry) argv.push_back(names.entry);
  return argv;
}

namespace {

// As in Slurm, each task of an array has a job id of its own, which nothing else has: JOB.TASK.
void add_slurm_variables(const JobSpec& spec, const TaskNames& names,
                         std::map<std::string, std::string>& to) {
  const std::string job = names.job.text();
  const std::string number = std::to_string(names.number);
  to["SLURM_JOB_ID"] = spec.many ? job + "." + number : job;
  if (spec.many) {
    to["SLURM_ARRAY_JOB_ID"] = job;
    to["SLURM_ARRAY_TASK_ID"] = number;
  }
  to["SLURM_CPUS_PER_TASK"] = std::to_string(spec.cpus);
  to["SLURM_SUBMIT_DIR"] = spec.slurm_directory;
  to["SLURM_JOB_NAME"] = spec.name;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> task_environment(const JobSpec& spec,
                                                                  const TaskNames& names) {
  // What a job sets itself does not hide where it runs.
  std::map<std::string, std::string> environment = spec.environment;
  environment["DUNLIN_JOB_ID"] = names.job.text();
  environment["DUNLIN_TASK_ID"] = std::to_string(names.number);
  environment["DUNLIN_ENTRY"] = names.entry;
  environment["DUNLIN_ATTEMPT"] = std::to_string(names.attempt);
  environment["DUNLIN_NODE"] = names.node;
  environment["DUNLIN_CPUS"] = std::to_string(spec.cpus);
  environment["DUNLIN_SERVER"] = names.server;
  if (names.gpus) {
    std::string& visible = environment["CUDA_VISIBLE_DEVICES"] = {};
    for (const std::uint32_t gpu : *names.gpus) {
      visible += (visible.empty() ? "" : ",") + std::to_string(gpu);
    }
  } else {
    environment.try_emplace("CUDA_VISIBLE_DEVICES");  // none is assigned; a job may know better
  }
  if (!spec.slurm_directory.empty()) add_slurm_variables(spec, names, environment);
  return {environment.begin(), environment.end()};
}

bool is_no_op(const JobSpec& spec) {
  return !spec.argv.empty() && spec.argv[0] == ":";
}

}  // namespace dunlin::sched
