// What a task runs: its words with the placeholders replaced, and its environment. The placeholders
// are GNU parallel's: {} {.} {/} {//} {/.} and {#}.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sched/job.h"

namespace dunlin::sched {

struct TaskNames {
  JobId job;
  std::uint32_t number = 1;
  std::uint32_t attempt = 1;
  std::string entry;  // of entries; for arrays the number
  std::string node;
  std::string server;
  // The numbers of its gpus; nothing where the node has none to assign.
  std::optional<std::vector<std::uint32_t>> gpus = {};
};

// `dir/name.ext` -> {.} dir/name, {/} name.ext, {//} dir, {/.} name.
std::string replace_placeholders(std::string_view word, const JobSpec& spec,
                                 const TaskNames& names);
std::vector<std::string> task_argv(const JobSpec& spec, const TaskNames& names);
std::vector<std::pair<std::string, std::string>> task_environment(const JobSpec& spec,
                                                                  const TaskNames& names);

// `:` runs no process: the task succeeds at once, after every other step.
bool is_no_op(const JobSpec& spec);

}  // namespace dunlin::sched
