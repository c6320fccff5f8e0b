// Q4 and Q5, by what clients were told: a job acknowledged is there for ever, its counts add up, a
// task is final once and stays as it was, results never get fewer, a job cancelled gains none, and
// a blob acknowledged is read back as it was put.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "sched/requests.h"
#include "sim/verdict.h"

namespace dunlin::sim {

class HistoryChecker {
 public:
  explicit HistoryChecker(Verdict& verdict) : verdict_(verdict) {}

  void acknowledged(const JobId& id, const JobSpec& spec) { jobs_[id].spec = spec; }
  bool knows(const JobId& id) const { return jobs_.contains(id); }
  // An answer about an acknowledged job, to a question put at `asked`: it may be older than what
  // others were told meanwhile, but not than what was known before the question.
  void seen(Instant at, Instant asked, const JobSummary& job);
  void unknown(Instant at, const JobId& id) {
    if (knows(id)) verdict_.fail(at, "Q4", "job " + id.text() + " was acknowledged and is unknown");
  }
  void cancel_asked(const JobId& id) { jobs_[id].cancel_asked = true; }
  // What failed or was cancelled of the job is to run again; until it is known to be (`retried`),
  // answers may be of either round.
  void retry_asked(const JobId& id);
  void retried(Instant at, const JobId& id) { jobs_[id].unsure_until = at; }
  // How the others ended that it waited for is how it must have ended itself.
  void dependencies(Instant at) const;
  void cancelled(Instant at, Instant asked, const JobSummary& job);
  void tasks(Instant at, Instant asked, const JobId& id, const std::vector<TaskView>& views);
  // What a done task wrote, whole: a stream of it or a file. `what` says which.
  void written(Instant at, const std::string& what, ByteView bytes, std::uint64_t expected,
               bool was_cut = false);

  void stored(const BlobId& id, ByteView content) { blobs_[id] = blake2b_256(content); }
  void fetched(Instant at, const BlobId& id, ByteView content);
  void unreadable(Instant at, const BlobId& id, const std::string& why) {
    verdict_.fail(at, "Q5", "blob " + id.short_text() + " cannot be read: " + why);
  }

  struct Job {
    JobSpec spec;
    std::optional<JobSummary> final;
    Instant final_at;  // first seen so
    bool cancel_asked = false;
    bool was_retried = false;
    Instant unsure_until;  // answers to questions put before count for nothing
    std::optional<TaskCounts> at_cancel;
    // The newest answer: when it came, and what had come of the tasks by then.
    Instant told_at;
    TaskCounts told;
    struct FinalTask {
      TaskView view;
      Instant since;  // first seen so
    };
    std::map<std::uint32_t, FinalTask> tasks;
  };
  const std::map<JobId, Job>& jobs() const { return jobs_; }
  const std::map<BlobId, Hash32>& blobs() const { return blobs_; }
  // Tasks known to be final: results that the cluster committed.
  std::uint64_t results() const;
  // Results that there must be in the end, as no one asked to cancel them.
  std::uint64_t expected_results() const;
  // Every acknowledged job has been seen final.
  bool all_final() const;

 private:
  void advances(Instant at, Instant asked, Job& known, const JobSummary& job);

  Verdict& verdict_;
  std::map<JobId, Job> jobs_;
  std::map<BlobId, Hash32> blobs_;
};

}  // namespace dunlin::sim
