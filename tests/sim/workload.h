// What people do to a cluster while it is under attack: submit single jobs and arrays with retries,
// limits and priorities, jobs that wait for others, the same key at two nodes at once, cancel,
// pause and resume, run again what failed, watch by long polls, store blobs. A client asks any
// node, and another one when it gets no answer; what it was told goes to the HistoryChecker.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/checkers/history.h"
#include "sim/read_back.h"
#include "sim/sim_world.h"
#include "sim/use_counts.h"

namespace dunlin::sim {

struct WorkloadOptions {
  Duration between_jobs = milliseconds(2500);  // on average
  Duration between_blobs = seconds(6);
  std::uint32_t most_tasks = 12;
};

class Workload {
 public:
  Workload(SimWorld& world, const WorkloadOptions& options, Random random);

  void begin();
  // Nothing new from now on; what was acknowledged is followed to its end, at these hosts.
  void finish(std::vector<HostIndex> hosts);
  HistoryChecker& history() { return history_; }
  // At the end, all being quiet: see read_back.h. Virtual time passes.
  void verify();
  // Of what there must be some, so that anything is shown, and of which verify() found too little.
  std::vector<std::string> gaps() const;
  const UseCounts& uses() const { return uses_; }

  // A key was just given to both: an occasion for whoever breaks things.
  std::function<void(HostIndex, HostIndex)> on_key;

 private:
  void next_job();
  void next_blob();
  JobSpec draw_spec();
  SubmitJob draw_job(GroupId group);
  HostIndex any_host();

  void pick_group();
  void submit_key();
  void submit(const SubmitJob& job, HostIndex at);
  void on_submitted(const SubmitJob& job, Instant asked, const Result<client::Answer>& answer);
  void watch(const JobId& id, std::uint64_t seen);
  void cancel(const JobId& id);
  void cancel(const CancelTasks& order);
  // Orders about a job; each is asked for until somebody answers.
  void order(const OrderJob& order);
  void on_ordered(const OrderJob& order);
  void pause(const JobId& id);
  void retry(const JobId& id);
  void on_final(const JobSummary& job);
  void look_at_tasks(const JobId& id);

  SimWorld& world_;
  const WorkloadOptions options_;
  Random random_;
  HistoryChecker history_;
  bool is_over_ = false;
  std::vector<HostIndex> hosts_;  // to ask; empty: all
  std::uint64_t next_key_ = 1;
  std::uint64_t keys_ = 0;     // given to two nodes at once
  std::vector<JobId> recent_;  // jobs that others may wait for
  UseCounts uses_;
  ReadBack::Count read_;
};

}  // namespace dunlin::sim
