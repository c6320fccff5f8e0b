// Asks all nodes what they say to one task, for `explain`: a question and an answer each, for a
// second at most. Whoever stays silent is unreachable, and since when is told.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "sched/explanation.h"
#include "sched/members.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxSurveys = 64;     // under way at this node
constexpr std::size_t kMaxSurveyed = 4096;  // nodes of one; the others are left out
constexpr Duration kSurveyPatience = seconds(1);

// What is needed beside room, of what a node or a job states.
Supply needs_of(const JobSpec& spec);

class FitSurveys {
 public:
  FitSurveys(const Members& members, std::uint64_t first_token)
      : members_(members), next_token_(first_token) {}

  // Completes the explanation by a verdict of each node, and answers the group's request with it.
  void begin(Turn& turn, std::uint64_t handle, const JobId& job, const Wanted& wanted,
             Explained explained);
  void on(Turn& turn, NodeId from, const FitReply& reply);
  void tick(Turn& turn);
  Instant next_deadline() const;

 private:
  struct Survey {
    std::uint64_t handle = 0;
    std::string user;
    Wanted wanted;  // its user is the one above
    std::set<NodeId> avoided;
    Explained explained;
    std::map<NodeId, FitReply> replies;
    std::set<NodeId> silent;
    Instant asked;
    WallTime asked_at;
  };

  NodeVerdict verdict_of(const Survey& survey, const NodeId& node, const SchedMember& member,
                         Instant now) const;
  void finish(Turn& turn, std::uint64_t token);

  const Members& members_;
  std::uint64_t next_token_;
  std::map<std::uint64_t, Survey> surveys_;  // by token, and so by age
};

}  // namespace dunlin::sched
