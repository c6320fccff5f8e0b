// Q1 and Q3, agreement: replicas of a group that have applied the same prefix of its log hold the
// same state, and no replica's state goes back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "base/ids.h"
#include "sim/verdict.h"

namespace dunlin::sim {

class ReplicaChecker {
 public:
  explicit ReplicaChecker(Verdict& verdict) : verdict_(verdict) {}

  // A replica on `node` stands at `index` of the group's log with that state; `differs` says in
  // what it differs from another node's, as far as that can still be seen.
  using Differs = std::function<std::string(const NodeId& other)>;
  void stands(Instant at, const NodeId& node, GroupId group, LogIndex index, std::uint64_t digest,
              const Differs& differs = {}) {
    const auto [known, is_new] = states_.try_emplace({group, index}, digest, node);
    if (is_new || known->second.first == digest) return;
    const std::string what = differs ? differs(known->second.second) : std::string();
    verdict_.fail(at, "Q3",
                  "replicas of group " + std::to_string(group.value) + " differ after entry " +
                      std::to_string(index) + ": " + known->second.second.short_text() + " and " +
                      node.short_text() + what);
  }

 private:
  Verdict& verdict_;
  std::map<std::pair<GroupId, LogIndex>, std::pair<std::uint64_t, NodeId>> states_;
};

}  // namespace dunlin::sim
