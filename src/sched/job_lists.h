// Lists and counts over all groups: gathered from leaders where they are known, else from whoever
// has replicas, within a bounded time. Groups that nobody could answer for are named, so that a
// short list never looks whole.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "sched/coordinator.h"
#include "sched/group_leaders.h"
#include "sched/job_machine.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxGathers = 256;       // under way from this node
constexpr std::uint32_t kMaxListed = 200'000;  // jobs in one answer
constexpr std::size_t kMaxPart = 4000;         // jobs in one frame of it
constexpr Duration kGatherPatience = seconds(2);
constexpr Duration kGatherSecond = milliseconds(700);  // then everybody is asked for what lacks
constexpr Duration kGatherAgain = milliseconds(200);   // and again, once all have answered

class JobLists {
 public:
  JobLists(const JobMachine& machine, const Coordinator& coordinator, const GroupLeaders& leaders,
           std::uint16_t group_count, std::uint64_t first_token);

  void list(Turn& turn, std::uint64_t request, const ListJobs& query);
  void count(Turn& turn, std::uint64_t request);
  // The job as any replica knows it, if the leader cannot be asked.
  void show_stale(Turn& turn, std::uint64_t request, const JobId& job);

  void on(Turn& turn, NodeId from, const AskJobs& message);
  void on(Turn& turn, NodeId from, const AskJob& message);
  void on(Turn& turn, NodeId from, const JobsReply& message);
  void on(Turn& turn, NodeId from, const JobReply& message);

  void tick(Turn& turn);
  Instant next_deadline() const;

 private:
  enum class Rank : std::uint8_t { kNone, kOrphaned, kReplicated, kLed };
  struct Gather {
    std::uint64_t request = 0;
    ListJobs query;
    bool count_only = false;
    Instant until;
    Instant ask_at;  // everybody
    std::set<NodeId> waiting;
    std::map<NodeId, std::set<std::uint32_t>> parts;  // that have come
    std::vector<Rank> ranks;                          // by group
    std::map<JobId, std::pair<Rank, JobSummary>> jobs;
    std::map<GroupId, std::pair<Rank, std::vector<std::uint32_t>>> counts;
    bool cut = false;
  };
  struct Stale {
    std::uint64_t request = 0;
    JobId job;
    Instant until;
    std::set<NodeId> waiting;
    std::optional<JobReply> best;
  };

  void start(Turn& turn, Gather gather);
  void ask_all(Turn& turn, std::uint64_t token, Gather& gather);
  bool is_complete(const Gather& gather) const;
  void merge(Gather& gather, const JobsReply& reply, const std::map<GroupId, Rank>& ranks);
  void finish(Turn& turn, std::uint64_t token);
  void finish_stale(Turn& turn, std::uint64_t token);
  Rank rank_here(GroupId group) const;
  void add_group(const AskJobs& question, GroupId group, JobsReply& reply) const;

  const JobMachine& machine_;
  const Coordinator& coordinator_;
  const GroupLeaders& leaders_;
  const std::uint16_t group_count_;
  std::uint64_t next_token_;
  std::map<std::uint64_t, Gather> gathers_;
  std::map<std::uint64_t, Stale> stales_;
};

}  // namespace dunlin::sched
