// What a client here wants to know of many nodes: those that are there are asked, and it is
// answered when all have said, or after a while without those that stay silent. What is asked, and
// what is made of it, is the owner's; here stands who was asked, who has said what, and until when.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "gossip/gossip.h"
#include "node/client.h"

namespace dunlin {

// `Share`: what one node says.
template <class Share>
struct Inquiry {
  client::RequestId request = 0;
  Instant deadline;
  std::set<NodeId> asked;
  std::map<NodeId, Share> shares;  // the last of each that was asked

  bool is_complete() const { return shares.size() == asked.size(); }
};

template <class Share>
class Inquiries {
 public:
  // `most`: at once. `patience`: with the silent.
  Inquiries(std::size_t most, Duration patience) : most_(most), patience_(patience) {}

  // Its number, from 1 on; 0: too many are under way.
  std::uint64_t begin(Instant now, client::RequestId request, std::set<NodeId> asked) {
    if (open_.size() >= most_) return 0;
    open_[next_] = {request, now + patience_, std::move(asked), {}};
    return next_++;
  }
  // The inquiry; null: it is over, or that node was not asked.
  Inquiry<Share>* hear(NodeId from, std::uint64_t number, Share share) {
    const auto at = open_.find(number);
    if (at == open_.end() || !at->second.asked.contains(from)) return nullptr;
    at->second.shares.insert_or_assign(from, std::move(share));
    return &at->second;
  }
  Inquiry<Share> end(std::uint64_t number) { return std::move(open_.extract(number).mapped()); }
  std::vector<Inquiry<Share>> end_due(Instant now) {
    std::vector<Inquiry<Share>> due;
    for (auto at = open_.begin(); at != open_.end();) {
      const auto next = std::next(at);
      if (at->second.deadline <= now) due.push_back(std::move(open_.extract(at).mapped()));
      at = next;
    }
    return due;
  }
  Instant next_deadline() const {
    Instant next = Instant::never();
    for (const auto& [number, inquiry] : open_) next = std::min(next, inquiry.deadline);
    return next;
  }
  // By number.
  std::map<std::uint64_t, Inquiry<Share>>& open() { return open_; }

 private:
  const std::size_t most_;
  const Duration patience_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, Inquiry<Share>> open_;
};

// This node, and the others that are there.
inline std::set<NodeId> self_and_present(NodeId self, const std::map<NodeId, Member>& members) {
  std::set<NodeId> nodes{self};
  for (const auto& [id, member] : members) {
    if (is_present(member)) nodes.insert(id);
  }
  return nodes;
}

}  // namespace dunlin
