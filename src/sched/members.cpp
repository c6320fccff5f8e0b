#include "sched/members.h"

#include <algorithm>

namespace dunlin::sched {

void Members::set(std::map<NodeId, SchedMember> members, Ring ring) {
  for (auto& [id, member] : members) member.boot = std::max(member.boot, boot(id));
  members_ = std::move(members);
  ring_ = std::move(ring);
  count_cpus();
}

bool Members::is_usable(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && at->second.state == SchedMemberState::kAlive &&
         !at->second.draining && at->second.cpus > 0;
}

bool Members::is_gone(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && (at->second.state == SchedMemberState::kDead ||
                                  at->second.state == SchedMemberState::kLeft);
}

bool Members::has_left(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && at->second.state == SchedMemberState::kLeft;
}

Boot Members::boot(const NodeId& node) const {
  const auto at = members_.find(node);
  return at == members_.end() ? 0 : at->second.boot;
}

void Members::learn_boot(const NodeId& node, Boot boot) {
  const auto at = members_.find(node);
  if (at != members_.end()) at->second.boot = std::max(at->second.boot, boot);
}

void Members::set_state(const NodeId& node, SchedMemberState state) {
  const auto at = members_.find(node);
  if (at == members_.end() || at->second.state == state) return;
  at->second.state = state;
  count_cpus();
}

bool Members::fits(const NodeId& node, const Wanted& wanted) const {
  if (!is_usable(node)) return false;
  const SchedMember& member = members_.at(node);
  if (member.root_jobs_only && wanted.user != kRootUser) return false;
  return member.cpus >= wanted.cpus &&
         (wanted.memory == 0 || member.memory == 0 || member.memory >= wanted.memory);
}

std::vector<NodeId> Members::candidates(const JobId& job, const Wanted& wanted,
                                        std::size_t count) const {
  std::vector<NodeId> chosen;
  const std::uint64_t position = Ring::position_of(as_bytes(job.text()));
  // Most nodes fit as a rule: look a little further than needed before looking at all.
  for (std::size_t breadth = count + 8;; breadth = ring_.size()) {
    chosen.clear();
    for (const NodeId& node : ring_.successors(position, breadth)) {
      if (chosen.size() < count && fits(node, wanted)) chosen.push_back(node);
    }
    if (chosen.size() >= count || breadth >= ring_.size()) break;
  }
  // Nodes that store nothing do not stand on the ring, and can compute all the same.
  for (const auto& [node, member] : members_) {
    if (chosen.size() >= count) break;
    if (!fits(node, wanted)) continue;
    if (std::find(chosen.begin(), chosen.end(), node) == chosen.end()) chosen.push_back(node);
  }
  return chosen;
}

std::size_t Members::feasible(const Wanted& wanted) const {
  std::size_t count = 0;
  for (const auto& [node, member] : members_) count += fits(node, wanted) ? 1 : 0;
  return count;
}

std::string Members::why_impossible(const Wanted& wanted) const {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  std::uint32_t most_cpus = 0;
  std::uint64_t most_memory = 0;
  bool is_anyone_refused = false;
  for (const auto& [node, member] : members_) {
    if (!is_usable(node)) continue;
    if (member.root_jobs_only && wanted.user != kRootUser) {
      is_anyone_refused = true;
      continue;
    }
    most_cpus = std::max(most_cpus, member.cpus);
    most_memory = std::max(most_memory, member.memory);
  }
  if (is_anyone_refused && most_cpus == 0) {
    return "all nodes run tasks as root, which is for jobs of root alone; start nodes with "
           "--run-as USER, or as another account";
  }
  if (most_cpus == 0) return "no node takes tasks";
  if (wanted.cpus > most_cpus) {
    return "it asks for " + std::to_string(wanted.cpus) + " cpus, and no node has more than " +
           std::to_string(most_cpus);
  }
  if (wanted.memory > most_memory) {
    return "it asks for " + std::to_string(wanted.memory / kMiB) +
           "M of memory, and no node has more than " + std::to_string(most_memory / kMiB) + "M";
  }
  return "no node has so many cpus and so much memory at once";
}

void Members::count_cpus() {
  cpus_ = 0;
  for (const auto& [node, member] : members_) cpus_ += is_usable(node) ? member.cpus : 0;
}

std::string Members::name_of(const NodeId& node) const {
  const auto at = members_.find(node);
  return at == members_.end() || at->second.name.empty() ? node.short_text() : at->second.name;
}

}  // namespace dunlin::sched
