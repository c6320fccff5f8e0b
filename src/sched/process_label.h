// What an executor writes on a process that it has started: the runner keeps it, and gives it back
// to the next node process, which knows its tasks by it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/ids.h"
#include "sched/job.h"

namespace dunlin::sched {

struct ProcessLabel {
  GroupId group;
  JobId job;
  std::string user;
  std::uint32_t index = 0;
  Attempt attempt;
  std::uint32_t cpus = 0;
  std::uint64_t memory = 0;         // bytes
  std::vector<std::uint32_t> gpus;  // their numbers on the node
  std::map<std::string, std::uint64_t> resources;
  static constexpr auto fields() {
    using L = ProcessLabel;
    return Fields<&L::group, &L::job, &L::user, &L::index, &L::attempt, &L::cpus, &L::memory,
                  &L::gpus, &L::resources>{};
  }
};

}  // namespace dunlin::sched
