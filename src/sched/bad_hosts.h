// Hosts that a job avoids: those on which several of its tasks failed at once, and then succeeded
// elsewhere. Soft: a new leader finds out anew.
#pragma once

#include <cstdint>
#include <map>
#include <set>

#include "base/ids.h"
#include "base/time.h"

namespace dunlin::sched {

constexpr std::size_t kBadTasks = 3;                // different ones, before a host is avoided
constexpr Duration kQuickFailure = seconds(10);     // "within seconds"
constexpr std::size_t kMaxSuspectedTasks = 10'000;  // of one job; later ones are not looked at

class BadHosts {
 public:
  void failed(const NodeId& node, std::uint32_t index, Duration took) {
    if (took > kQuickFailure || failures_.size() >= kMaxSuspectedTasks) return;
    failures_[index].insert(node);
  }
  void succeeded(const NodeId& node, std::uint32_t index) {
    const auto at = failures_.find(index);
    if (at == failures_.end()) return;
    for (const NodeId& other : at->second) {
      if (other != node && ++better_elsewhere_[other] >= kBadTasks) avoided_.insert(other);
    }
    failures_.erase(at);
  }
  // There is no other host: all may try again.
  void forgive() {
    avoided_.clear();
    better_elsewhere_.clear();
  }
  bool has_suspects() const { return !failures_.empty(); }
  const std::set<NodeId>& avoided() const { return avoided_; }

 private:
  std::map<std::uint32_t, std::set<NodeId>> failures_;  // by task: where it failed quickly
  std::map<NodeId, std::size_t> better_elsewhere_;      // how many tasks
  std::set<NodeId> avoided_;
};

}  // namespace dunlin::sched
