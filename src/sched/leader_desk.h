// The leader's desk: answers what clients ask of the jobs of groups led here. Reads are
// linearizable (one ReadGroup each, the group confirms them together); watchers and followers of
// logs wait here until there is news. When the lead is lost everybody is sent to the next leader.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sched/coordinator.h"
#include "sched/fit_surveys.h"
#include "sched/group_requests.h"
#include "sched/job_machine.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxDeskRequests = 20'000;  // unanswered ones
constexpr Duration kLongestHold = seconds(30);
constexpr std::uint32_t kMaxTaskList = 10'000;
constexpr std::size_t kMaxTaskListBytes = 3 * 1024 * 1024;
// Looked at for one page, listed or not: some 10 ms of the node's time.
constexpr std::uint32_t kMaxTasksScanned = 100'000;

class LeaderDesk {
 public:
  LeaderDesk(const JobMachine& machine, Coordinator& coordinator, FitSurveys& surveys,
             std::uint16_t group_count, std::uint64_t first_token);

  void ask(Turn& turn, std::uint64_t handle, GroupId group, ByteView body);
  bool on_read_ready(Turn& turn, std::uint64_t token, bool ok);
  bool on_refused(Turn& turn, std::uint64_t token);
  void applied(Turn& turn, GroupId group, const Command& command, ByteView payload);
  // These jobs changed: who watches them may have news.
  void touched(Turn& turn, const std::set<JobId>& jobs);
  void follow(Turn& turn, GroupId group);

  void tick(Turn& turn);
  Instant next_deadline() const;

 private:
  enum class Stage { kReading, kCommitting, kWaiting };
  struct Request {
    GroupId group;
    JobId job;
    GroupRequest what;
    Stage stage = Stage::kReading;
    std::uint64_t token = 0;                   // of the read or the proposal
    Bytes proposed;                            // the entry whose commit answers it
    std::shared_ptr<const JobSummary> before;  // the job that is to be deleted
    Instant until = Instant::never();
  };

  void submit(Turn& turn, std::uint64_t handle, Request& request, const SubmitJob& what);
  void settle_submit(Turn& turn, std::uint64_t handle, const Request& request,
                     const SubmitJob& what);
  // Answers, or leaves the request to wait or commit. `is_last` takes what there is.
  void serve(Turn& turn, std::uint64_t handle, bool is_last);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const ShowJob& what);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const WatchJob& what, bool is_last);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const ListTasks& what);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const CancelTasks& what);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const ExplainTask& what);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const LocateLog& what, bool is_last);
  // leader_orders.cpp
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const OrderJob& what);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const AwaitJob& what);
  void serve(Turn& turn, std::uint64_t handle, const Job& job, const TellOutcome& what);
  // The tasks that the client named; nothing: it was refused.
  std::optional<std::vector<IndexRun>> tasks_meant(Turn& turn, std::uint64_t handle, const Job& job,
                                                   const std::vector<TaskRange>& tasks);
  bool may_order(Turn& turn, std::uint64_t handle, const Job& job, const std::string& user,
                 bool is_admin);
  void commit(Turn& turn, std::uint64_t handle, const Command& command);
  void committed(Turn& turn, std::uint64_t handle);
  void settle_await(Turn& turn, std::uint64_t handle, const AwaitJob& what);
  void settle_order(Turn& turn, std::uint64_t handle, const Job& job, const OrderJob& what);
  void wait(Turn& turn, std::uint64_t handle, Duration hold);
  void reply(Turn& turn, std::uint64_t handle, const GroupAnswer& answer);
  void refuse(Turn& turn, std::uint64_t handle, Error error);
  void forget(std::uint64_t handle);
  JobSummary summary(GroupId group, const Job& job) const;
  std::uint32_t telling_task(GroupId group, const Job& job) const;

  const JobMachine& machine_;
  Coordinator& coordinator_;
  FitSurveys& surveys_;
  const std::uint16_t group_count_;
  std::uint64_t next_token_;
  std::map<std::uint64_t, Request> requests_;      // by handle
  std::map<std::uint64_t, std::uint64_t> tokens_;  // reads and proposals under way -> handle
  std::map<JobId, std::set<std::uint64_t>> by_job_;
  std::set<std::pair<Instant, std::uint64_t>> deadlines_;
};

}  // namespace dunlin::sched
