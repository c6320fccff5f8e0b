// The members as the scheduler sees them: who can run what, and who is gone for good.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dht/ring.h"
#include "sched/job_spec.h"
#include "sched/room.h"
#include "sched/sched.h"

namespace dunlin::sched {

// What a task of a job asks of a node.
struct Wanted {
  std::string_view user;
  std::shared_ptr<const JobSpec> spec;
  const std::set<NodeId>* avoided = nullptr;  // by this job; null: none
};

enum class Fit : std::uint8_t {
  kFits,
  kUnusable,  // not alive, draining, or without processors
  kRefused,   // it takes no jobs of this user
  kExcluded,  // by name
  kAvoided,   // tasks of the job failed there that succeeded elsewhere
  kLacks,     // zone, label, or room for even one task
};

// Whose jobs a node may run whose tasks run as root.
inline constexpr std::string_view kRootUser = "root";

class Members {
 public:
  void set(std::map<NodeId, SchedMember> members, Ring ring);

  const std::map<NodeId, SchedMember>& all() const { return members_; }
  // Takes new work: alive, not draining, with processors.
  bool is_usable(const NodeId& node) const;
  bool is_known(const NodeId& node) const { return members_.contains(node); }
  // And not even suspected.
  bool is_alive(const NodeId& node) const;
  // Dead or left: what it held is lost.
  bool is_gone(const NodeId& node) const;
  bool has_left(const NodeId& node) const;
  // The newest life of the node that was heard of; 0 when unknown.
  Boot boot(const NodeId& node) const;
  void learn_boot(const NodeId& node, Boot boot);
  void set_state(const NodeId& node, SchedMemberState state);

  // Up to `count` nodes that fits() passes, in ring order from the job's position.
  std::vector<NodeId> candidates(const JobId& job, const Wanted& wanted, std::size_t count) const;
  // How many candidates there are at all.
  std::size_t feasible(const Wanted& wanted) const;
  // What a task asks for that no node has: a line for people.
  std::string why_impossible(const Wanted& wanted) const;
  // Of all usable nodes.
  std::uint32_t cpus() const { return cpus_; }
  Fit fit(const NodeId& node, const Wanted& wanted) const;
  bool fits(const NodeId& node, const Wanted& wanted) const {
    return fit(node, wanted) == Fit::kFits;
  }
  std::string name_of(const NodeId& node) const;

 private:
  void count_cpus();

  std::map<NodeId, SchedMember> members_;
  Ring ring_;
  std::uint32_t cpus_ = 0;  // each pull asks for the sum
};

}  // namespace dunlin::sched
