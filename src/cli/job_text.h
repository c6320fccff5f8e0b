// Jobs, tasks and times as people read them.
#pragma once

#include <string>

#include "sched/job.h"

namespace dunlin {

// "3m20s" since then; "-" when it is not known.
std::string age_of(WallTime time, WallTime now);
// From the first to the second, or to `now` while the second is not known; "-" before it began.
std::string time_between(WallTime from, WallTime to, WallTime now);
// "12/100 done, 8 running, 1 failed"
std::string progress_of(const JobSummary& job);
// "k3v9x2m4pq: failed, 2 of 100 tasks (exit), after 3m20s"
std::string how_it_ended(const JobSummary& job);
// "signal 9", "exit 3", "time_limit: ...": why a task is in its state; empty when it is plain.
std::string why_of(const TaskView& task);

}  // namespace dunlin
