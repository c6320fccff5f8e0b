// Q1 and Q3, agreement: replicas of a group that have applied the same prefix of its log hold the
// same state, and no replica's state goes back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "base/ids.h"
#include "dht/dht.h"
#include "sim/verdict.h"

namespace dunlin::sim {

class ReplicaChecker {
 public:
  explicit ReplicaChecker(Verdict& verdict) : verdict_(verdict) {}

  // In that life of a node a replica of that generation stands at `index`: never before where it
  // has stood.
  void advances(Instant at, std::uint64_t life, GroupId group, Generation generation,
                LogIndex index) {
    LogIndex& last = last_[{life, group, generation}];
    if (index < last) {
      verdict_.fail(at, "Q3",
                    "a replica of group " + std::to_string(group.value) + " went back from entry " +
                        std::to_string(last) + " to " + std::to_string(index));
    }
    last = index;
  }

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
  std::map<std::tuple<std::uint64_t, GroupId, Generation>, LogIndex> last_;
};

}  // namespace dunlin::sim
