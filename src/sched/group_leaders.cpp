#include "sched/group_leaders.h"

namespace dunlin::sched {

void GroupLeaders::learn(GroupId group, std::optional<NodeId> leader) {
  if (leader) {
    leaders_[group] = *leader;
  } else {
    leaders_.erase(group);
  }
}

bool GroupLeaders::is_served(GroupId group) const {
  if (coordinator_.leads(group)) return true;
  const auto leader = leaders_.find(group);
  // Who led it here until a moment ago knows of no other yet.
  return leader != leaders_.end() && leader->second != self_ && members_.is_alive(leader->second);
}

GroupLeaders::Addressees GroupLeaders::addressees(const std::vector<GroupId>& groups) const {
  Addressees to;
  for (const GroupId group : groups) {
    const auto leader = leaders_.find(group);
    if (coordinator_.leads(group)) {
      to.leaders[self_].push_back(group);
    } else if (leader != leaders_.end() && !members_.is_gone(leader->second)) {
      to.leaders[leader->second].push_back(group);
    } else {
      to.unled.push_back(group);
    }
  }
  return to;
}

std::vector<NodeId> GroupLeaders::reachable() const {
  std::vector<NodeId> nodes{self_};
  for (const auto& [node, member] : members_.all()) {
    if (nodes.size() >= kMaxAsked) break;
    if (node != self_ && !members_.is_gone(node)) nodes.push_back(node);
  }
  return nodes;
}

}  // namespace dunlin::sched
