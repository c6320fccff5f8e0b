// A job's description as people read it: what differs from the defaults, a line each.
#pragma once

#include <string>

#include "sched/job.h"

namespace dunlin {

std::string spec_page(const JobSpec& spec);
// Without what is said of a submitted job anyway: its name, its tasks, its priority.
std::string spec_details(const JobSpec& spec);

}  // namespace dunlin
