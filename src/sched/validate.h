// Is this a job that can be accepted? Checked where the client asks, and again by the leader.
#pragma once

#include "base/result.h"
#include "sched/requests.h"

namespace dunlin::sched {

constexpr std::size_t kMaxWords = 4096;    // of a command
constexpr std::size_t kMaxFiles = 10'000;  // shipped with a job
constexpr std::size_t kMaxOutputGlobs = 100;
constexpr std::size_t kMaxName = 200;  // bytes of a job's name, a user, a key
constexpr std::uint32_t kMaxTaskCpus = 65'536;
constexpr std::uint32_t kMaxRetries = 1000;
constexpr std::uint32_t kMaxTaskGpus = 1024;
constexpr std::size_t kMaxConditions = 64;     // labels and resources; nodes named
constexpr std::size_t kMaxDependencies = 256;  // jobs that one waits for

constexpr Duration kLongestTime = seconds(100LL * 365 * 24 * 3600);
constexpr WallTime kLastTime{253'402'300'799'999};  // 9999-12-31

// kUsage with a line that says what to mend, or kLimit with the limit.
Result<void> validate(const JobSpec& spec);
Result<void> validate(const SubmitJob& request);
Result<void> validate(const ChangeJob& change);

}  // namespace dunlin::sched
