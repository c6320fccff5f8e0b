// The steps of which every change of a job consists, for the entries that job_machine.h applies.
#pragma once

#include <cstdint>
#include <vector>

#include "sched/job_events.h"
#include "sched/job_record.h"

namespace dunlin::sched {

// Something of the task is to be written by the next checkpoint.
void touch(Job& job, std::uint32_t index);
// The node's place in the job's table, which columns name it by.
std::uint16_t node_number(Job& job, const NodeId& node);
std::uint32_t since_submission(const Job& job, WallTime at);  // milliseconds
void note_start(Job& job, WallTime started);
// Ends an open task.
void close(Job& job, std::uint32_t index, Closed state, const TaskColumns::Row& row);
// Ends it as cancelled if it is open.
void cancel_open(Job& job, std::uint32_t index, WallTime at);
// Opens a closed task anew; its retries begin anew too. `round`: of JobHead::later_rounds, or 0.
void reopen(Job& job, std::uint32_t index, std::uint32_t round);
// With more failed tasks than the job may have, all others are cancelled: once one fails that had
// not when there were `failed_before`, since a retry begins with what failed in earlier rounds.
void end_after_failures(Job& job, std::uint32_t failed_before);
// Once no task is open the job is final, and stays so until a new round is opened.
void settle(Job& job);
// False: the order was carried out before, and its sender did not hear of that.
bool take_order(Job& job, std::uint64_t order);
// Tasks below may be bound from now on.
void raise_bound(Job& job, std::uint32_t bound_below);
// These are about to be asked to run tasks.
void name_nodes(Job& job, const std::vector<NodeId>& nodes);
// Of the job as a whole; nothing is said yet about why.
EventRun event_of_job(EventType type, const Job& job, WallTime at);

}  // namespace dunlin::sched
