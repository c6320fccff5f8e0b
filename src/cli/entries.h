// The entries of a job with many tasks: lines of --each-line, values of --from-json, or
// combinations of :::. Few travel inside the job's specification, many as blobs of whole lines.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/shipping.h"
#include "sched/job.h"

namespace dunlin {

constexpr std::size_t kEntryBlockSize = 1024 * 1024;
// Linux takes no longer argument or variable (MAX_ARG_STRLEN), here with room for DUNLIN_ENTRY=.
constexpr std::size_t kMaxEntryBytes = 128 * 1024 - 64;

// One entry after another; nothing after the last.
using NextEntry = std::function<Result<std::optional<std::string>>()>;

// Lines of a file ("-": stdin), without their ends. A last line need not be ended.
Result<NextEntry> entries_of_file(const std::string& path);
// The values of a JSON array, texts as they are and others as JSON without blanks ("-": stdin).
Result<NextEntry> entries_of_json(const std::string& path);  // json_entries.cpp
// All combinations, the last source varying fastest, joined by spaces. kLimit over kMaxTasks.
Result<NextEntry> entries_of_words(std::vector<std::vector<std::string>> sources);

// Sets the spec's entries (or entry blocks, stored through `put`) and tasks. kLimit when one has
// more than kMaxEntryBytes.
Result<void> give_entries(const PutBlobs& put, const NextEntry& next, JobSpec& spec);

}  // namespace dunlin
