// JOB and TASK as people write them: an id, a unique prefix or `last`, then perhaps ".7" or ".1-5".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cli/client.h"
#include "sched/job.h"

namespace dunlin {

struct JobRef {
  JobId id;
  std::vector<TaskRange> tasks;  // empty: none were named
};

// The text taken apart, before anybody is asked: the job's part and the tasks.
struct JobWords {
  std::string job;
  std::vector<TaskRange> tasks;
};
Result<JobWords> job_words_from(std::string_view text);

// Asks the cluster where it must: for `last` and prefixes. kUsage: ambiguous, and with what.
Result<JobRef> find_job(Client& client, std::string_view text);

// Is it the job as a whole that is meant? JOB.1 is, of a job of one task.
Result<bool> is_whole_job(Client& client, const JobRef& job);

// How many groups did not answer a question for jobs, as text; empty when all did.
std::string silent_groups(const HttpAnswer& answer);
// Of a list of jobs where so many did not.
Error jobs_may_lack(const std::string& silent);

// "tasks=1-5" for a query; empty when none were named.
std::string tasks_query(const JobRef& job);

}  // namespace dunlin
