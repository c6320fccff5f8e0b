// What a job's tasks need on the node before they can start: its files, as extents of local packs,
// and the entries of its tasks. Asked for once per job, not per task, and few at a time, because
// what jobs ship may be thousands of pieces.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxEntryBlocks = 16;  // kept parsed on a node
constexpr std::size_t kMaxLocalizing = 256;  // pieces of files asked for and not yet here

class Staging {
 public:
  explicit Staging(std::uint64_t first_token) : next_token_(first_token) {}

  // Whatever is missing is asked for; `error` says that it cannot be had: kNotFound by nobody, any
  // other code not now. Asking again after an error begins anew.
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
  // The entry of the task with this number: a line, or the number itself for arrays. A job that
  // waits for a block keeps it from being evicted until it has used it, or rests.
  Entry entry(Turn& turn, const JobId& job, const JobSpec& spec, std::uint32_t number);

  // True when the token is one of these.
  bool on_local(Turn& turn, std::uint64_t token, const Result<FileExtent>& extent);
  bool on_fetched(std::uint64_t token, const Result<Bytes>& content);
  // Jobs that waited and may go on, since the last call.
  std::set<JobId> take_woken() { return std::exchange(woken_, {}); }
  // None of its tasks waits here now.
  void rest(const JobId& job);
  void forget(const JobId& job);

 private:
  struct JobFiles {
    std::vector<StagedFile> files;
    std::vector<BlobRef> pieces;  // of all files, in order
    std::vector<std::pair<std::size_t, std::size_t>> places;
    std::size_t asked = 0;  // of `pieces`
    std::size_t missing = 0;
    std::optional<Error> error;
  };
  struct Wanted {
    JobId job;
    std::size_t piece = 0;
  };
  struct Block {
    bool is_ready = false;
    std::optional<Error> error;
    std::vector<std::string> lines;
    std::set<JobId> awaited_by;
    std::uint64_t used = 0;  // rises with each use
  };

  void ask_for_pieces(Turn& turn);
  bool make_room_for_block();
  void release_block(const JobId& job, Block& block);
  void drop_files(const JobId& job);

  std::uint64_t next_token_;
  std::map<JobId, JobFiles> jobs_;
  std::deque<JobId> asking_;  // jobs with pieces not asked for, in turn
  std::map<std::uint64_t, Wanted> localizing_;
  std::map<BlobId, Block> blocks_;
  std::uint64_t uses_ = 0;
  std::set<JobId> crowded_out_;  // jobs for whose block there was no room
  std::map<std::uint64_t, BlobId> fetching_;
  std::set<JobId> woken_;
};

}  // namespace dunlin::sched
