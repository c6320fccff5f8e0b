#include "cli/job_text.h"

#include <gtest/gtest.h>

namespace dunlin {
namespace {

TEST(JobText, AJobThatEndedByAnythingButItsCommandSaysWhy) {
  JobSummary job;
  job.id = *JobId::from_text("abcdefghij");
  job.state = JobState::kFailed;
  job.tasks.total = job.tasks.failed = 1;
  job.exit_code = 125;
  job.reason = Reason::kFileMissing;
  EXPECT_EQ(how_it_ended(job), "abcdefghij: failed, exit 125, file_missing");
  job.exit_code = 3;
  job.reason = Reason::kExit;
  EXPECT_EQ(how_it_ended(job), "abcdefghij: failed, exit 3");
}

}  // namespace
}  // namespace dunlin
