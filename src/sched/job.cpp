#include "sched/job.h"

#include <array>
#include <string_view>

#include "sched/explanation.h"

namespace dunlin {

namespace {

constexpr std::array kJobStates = {"waiting", "running", "paused", "done", "failed", "cancelled"};
constexpr std::array kTaskStates = {"waiting", "queued", "running",  "paused",
                                    "done",    "failed", "cancelled"};
constexpr std::array kReasons = {
    "",          "dependency",         "begin",          "paused",       "limit",  "backoff",
    "resources", "impossible",         "no_quorum",      "exit",         "signal", "time_limit",
    "memory",    "missing_executable", "cannot_execute", "file_missing", "disk",   "crash_limit",
    "max_fails", "dependency_failed",  "cancelled"};
constexpr std::array kFitVerdicts = {"fits",     "full",        "lacks",   "draining",
                                     "excluded", "bad_for_job", "refused", "unreachable"};
static_assert(kJobStates.size() == static_cast<std::size_t>(JobState::kLast) + 1);
static_assert(kTaskStates.size() == static_cast<std::size_t>(TaskState::kLast) + 1);
static_assert(kReasons.size() == static_cast<std::size_t>(Reason::kLast) + 1);
static_assert(kFitVerdicts.size() == static_cast<std::size_t>(FitVerdict::kLast) + 1);

template <class State, std::size_t N>
std::optional<State> from_name(const std::array<const char*, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<State>(i);
  }
  return std::nullopt;
}

}  // namespace

const char* name_of(JobState state) {
  return kJobStates[static_cast<std::size_t>(state)];
}
const char* name_of(TaskState state) {
  return kTaskStates[static_cast<std::size_t>(state)];
}
const char* name_of(Reason reason) {
  return kReasons[static_cast<std::size_t>(reason)];
}
const char* name_of(FitVerdict verdict) {
  return kFitVerdicts[static_cast<std::size_t>(verdict)];
}
std::optional<JobState> job_state_from(std::string_view name) {
  return from_name<JobState>(kJobStates, name);
}
std::optional<Reason> reason_from(std::string_view name) {
  return from_name<Reason>(kReasons, name);
}
std::optional<TaskState> task_state_from(std::string_view name) {
  return from_name<TaskState>(kTaskStates, name);
}
std::optional<FitVerdict> fit_verdict_from(std::string_view name) {
  return from_name<FitVerdict>(kFitVerdicts, name);
}

std::uint32_t JobSpec::task_count() const {
  std::uint64_t count = 0;
  for (const TaskRange& range : tasks) {
    if (range.step == 0 || range.last < range.first) continue;
    count += (range.last - range.first) / range.step + std::uint64_t{1};
  }
  return count > UINT32_MAX ? UINT32_MAX : static_cast<std::uint32_t>(count);
}

}  // namespace dunlin
