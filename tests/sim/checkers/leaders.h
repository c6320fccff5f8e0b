// Q1 and Q3, elections: in one term of a group at most one node leads, whatever it believes itself.
#pragma once

#include <cstdint>
#include <map>
#include <utility>

#include "base/ids.h"
#include "sim/verdict.h"

namespace dunlin::sim {

class LeaderChecker {
 public:
  explicit LeaderChecker(Verdict& verdict) : verdict_(verdict) {}

  void leads(Instant at, const NodeId& node, GroupId group, Term term) {
    const auto [known, is_new] = leaders_.try_emplace({group, term}, node);
    if (is_new || known->second == node) return;
    verdict_.fail(at, "Q1",
                  "two leaders of group " + std::to_string(group.value) + " in term " +
                      std::to_string(term) + ": " + known->second.short_text() + " and " +
                      node.short_text());
  }

 private:
  Verdict& verdict_;
  std::map<std::pair<GroupId, Term>, NodeId> leaders_;
};

}  // namespace dunlin::sim
