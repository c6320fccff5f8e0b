// What is piped into `run` (or `submit --stdin -`), as a file that travels with the job: read to
// its end before the job is submitted, so that a task whose host dies is started anew with all of
// it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>

#include "base/result.h"
#include "cli/job_draft.h"

namespace dunlin {

constexpr std::uint64_t kMaxPassedInput = 4ULL << 30;  // it rests in /tmp until it is shipped

class PassedInput {
 public:
  // Where the draft is to have it, reads stdin unless it is a terminal, and adds what it holds; an
  // empty one changes nothing. Says on stderr how much it has read, and what for, when that takes
  // long. This object must stay until the draft's files are shipped.
  Result<void> take(JobDraft& draft);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  Result<std::uint64_t> copy(int from, PipedInput why);

  std::unique_ptr<std::FILE, Close> copy_;  // without a name
};

}  // namespace dunlin
