// Jobs and tasks as clients see them, from what the log says. What only the leader knows (who runs,
// why something waits) the coordinator adds.
#pragma once

#include <cstdint>
#include <string_view>

#include "sched/group_requests.h"
#include "sched/job_record.h"
#include "sched/requests.h"

namespace dunlin::sched {

JobSummary summary_of(const Job& job);
TaskView view_of(const Job& job, std::uint32_t index);
// Oldest first, what `task` says of the newest included.
std::vector<AttemptView> attempts_of(const Job& job, std::uint32_t index, const TaskView& task);
// `running` is the attempt that the leader knows to be held, with its node.
LogPlace place_of(const Job& job, std::uint32_t index, const ReadLog& read,
                  const std::optional<std::pair<NodeId, Attempt>>& running);

// Nothing: the task is open, or its output lies elsewhere too.
std::optional<TaskLogs> logs_of(const Job& job, std::uint32_t index);

// `*` any characters, `?` one; the whole text must match.
bool matches_glob(std::string_view glob, std::string_view text);
bool matches(const ListJobs& query, const Job& job, WallTime now);

}  // namespace dunlin::sched
