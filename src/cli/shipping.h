// Files of this host that travel with a job: found, then put into the cluster as blobs of at most
// kPieceSize, several on the way at once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"
#include "cli/parallel_calls.h"
#include "sched/job.h"

namespace dunlin {

constexpr std::size_t kPieceSize = 1024 * 1024;
constexpr std::size_t kMaxShippedFiles = 10'000;  // of one job; the spec's own limit comes sooner
constexpr std::uint64_t kMaxShippedBytes = 64ULL << 30;

struct LocalFile {
  std::string path;  // here
  std::string name;  // in the task's directory
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
};

// PATH or PATH:NAME, a regular file. The name defaults to the path's last part. `option` is the one
// that errors name.
Result<LocalFile> local_file(const std::string& argument, const std::string& option = "--file");
// PATH or PATH:NAME, a directory: all regular files below it, under NAME/ or directly in the task's
// directory. What is neither file nor directory is passed over with a note.
Result<std::vector<LocalFile>> local_directory(const std::string& argument);

// kConflict when two would get the same name, or one is a directory of another's.
Result<void> check_names(const std::vector<LocalFile>& files);

// Stores blobs, several on the way at once. `take` gets them in any order; `number` counts from 0.
using TakeBlob = std::function<void(std::size_t number, const BlobRef& blob)>;
using PutBlobs =
    std::function<Result<void>(const ParallelCalls::NextBody& next, const TakeBlob& take)>;
PutBlobs into_cluster(Client& client);
// Stores nothing, and only tells their names.
PutBlobs only_named();

Result<std::vector<ShippedFile>> ship(const PutBlobs& put, const std::vector<LocalFile>& files);

}  // namespace dunlin
