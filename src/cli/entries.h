// The entries of a job with many tasks: the lines of --each-line, or the combinations of :::. Few
// travel inside the job's specification, many as blobs of whole lines.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"
#include "sched/job.h"

namespace dunlin {

constexpr std::size_t kEntryBlockSize = 1024 * 1024;

// One entry after another; nothing after the last.
using NextEntry = std::function<Result<std::optional<std::string>>()>;

// Lines of a file ("-": stdin), without their ends. A last line need not be ended.
Result<NextEntry> entries_of_file(const std::string& path);
// All combinations, the last source varying fastest, joined by spaces. kLimit over kMaxTasks.
Result<NextEntry> entries_of_words(std::vector<std::vector<std::string>> sources);

// Sets the spec's entries (or entry blocks, put into the cluster through `client`) and tasks.
Result<void> give_entries(Client& client, const NextEntry& next, JobSpec& spec);

}  // namespace dunlin
