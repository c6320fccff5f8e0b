#include "sched/task_command.h"

#include <map>

namespace dunlin::sched {

namespace {

std::string_view base_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view directory_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? path.substr(0, 1) : path.substr(0, slash);
}

// A dot that begins the file's name does not begin an extension.
std::string_view without_extension(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return path;
  const std::size_t slash = path.rfind('/');
  if (slash != std::string_view::npos && dot <= slash + 1) return path;
  return path.substr(0, dot);
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
  }
  return {environment.begin(), environment.end()};
}

bool is_no_op(const JobSpec& spec) {
  return !spec.argv.empty() && spec.argv[0] == ":";
}

}  // namespace dunlin::sched
