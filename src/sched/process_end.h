// What the end of a task's process means: pure functions of what the runner said of it.
#pragma once

#include <string>

#include "sched/job.h"
#include "sched/process_events.h"

namespace dunlin::sched {

Reason reason_of(const ProcessExited& exit, bool timed_out);

// The host has no process, descriptor or memory left to start one with: nothing of the task's.
bool lacks_means(const ProcessExited& exit);

// It ran for as long as the job allows.
bool is_over_time(const JobSpec& spec, const ProcessExited& exit);

// One line for people on why it was not started, at most about kMaxDetail bytes: "host7 cannot
// execute './tool': Permission denied". `node` is the node's name, which may be empty; `spec` may
// be null, where the job has not been described yet.
std::string start_trouble(const std::string& node, const JobSpec* spec, const ProcessExited& exit);
// The same, of one that was killed since the disk was nearly full.
std::string disk_trouble(const std::string& node, const ProcessExited& exit);

}  // namespace dunlin::sched
