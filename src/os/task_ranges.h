// Numbers of tasks as people write them: "1-1000", "0-9:2", "1,4,7-9".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sched/job.h"

namespace dunlin {

constexpr std::size_t kMaxTaskRanges = 10'000;  // in one text

// Ascending, disjoint, at most kMaxTasks numbers. kUsage when it is not such a list, or a number
// comes twice; kLimit when it is too long.
Result<std::vector<TaskRange>> task_ranges_from(std::string_view text);
std::string text_of(const std::vector<TaskRange>& ranges);
std::uint64_t count_of(const std::vector<TaskRange>& ranges);

}  // namespace dunlin
