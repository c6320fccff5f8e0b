// Who leads each group, as far as this node has heard: to whom questions about many groups go, and
// whether a group is served at all.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "sched/coordinator.h"
#include "sched/members.h"

namespace dunlin::sched {

constexpr std::size_t kMaxAsked = 64;  // nodes asked where no leader is known

class GroupLeaders {
 public:
  GroupLeaders(NodeId self, const Coordinator& coordinator, const Members& members)
      : self_(self), coordinator_(coordinator), members_(members) {}

  void learn(GroupId group, std::optional<NodeId> leader);

  // Led here, or by another one that is alive.
  bool is_served(GroupId group) const;

  struct Addressees {
    std::map<NodeId, std::vector<GroupId>> leaders;
    std::vector<GroupId> unled;  // of which nobody is known to lead
  };
  Addressees addressees(const std::vector<GroupId>& groups) const;

  // This node, and others that may have replicas: kMaxAsked at most.
  std::vector<NodeId> reachable() const;

 private:
  const NodeId self_;
  const Coordinator& coordinator_;
  const Members& members_;
  std::map<GroupId, NodeId> leaders_;
};

}  // namespace dunlin::sched
