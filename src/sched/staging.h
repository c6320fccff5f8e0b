// What a job's tasks need on the node before they can start: its files, as extents of local packs,
// and the entries of its tasks. Asked for once per job, not per task.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxEntryBlocks = 16;  // kept parsed on a node

class Staging {
 public:
  explicit Staging(std::uint64_t first_token) : next_token_(first_token) {}

  // Whatever is missing is asked for; `error` says that it cannot be had.
  struct Files {
    bool is_ready = false;
    std::optional<Error> error;
    const std::vector<StagedFile>* files = nullptr;
  };
  Files files(Turn& turn, const JobId& job, const JobSpec& spec);
  struct Entry {
    bool is_ready = false;
    std::optional<Error> error;
    std::string text;
  };
  // The entry of the task with this number: a line, or the number itself for arrays.
  Entry entry(Turn& turn, const JobSpec& spec, std::uint32_t number);

  // True when the token is one of these; then tasks that waited may go on.
  bool on_local(std::uint64_t token, const Result<FileExtent>& extent);
  bool on_fetched(std::uint64_t token, const Result<Bytes>& content);
  void forget(const JobId& job);

 private:
  struct JobFiles {
    std::vector<StagedFile> files;
    std::size_t missing = 0;
    std::optional<Error> error;
  };
  struct Wanted {
    JobId job;
    std::size_t file = 0;
    std::size_t piece = 0;
  };
  struct Block {
    bool is_ready = false;
    std::optional<Error> error;
    std::vector<std::string> lines;
  };

  std::uint64_t next_token_;
  std::map<JobId, JobFiles> jobs_;
  std::map<std::uint64_t, Wanted> localizing_;
  std::map<BlobId, Block> blocks_;
  std::deque<BlobId> block_order_;  // oldest first
  std::map<std::uint64_t, BlobId> fetching_;
};

}  // namespace dunlin::sched
