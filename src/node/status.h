// Gathers the cluster's status: every living node is asked for what it knows first-hand, and the
// answers are put together when all are in, or after a while without those that stay silent. Groups
// that are electing a leader are given that while, so that a host's death does not look like a loss
// of quorum.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/ids.h"
#include "base/time.h"
#include "node/client.h"
#include "node/inquiries.h"
#include "node/messages.h"

namespace dunlin {

constexpr std::size_t kMaxStatusQueries = 256;

class StatusGatherer {
 public:
  struct Ended {
    client::RequestId request = 0;
    client::Status status;
  };

  StatusGatherer(NodeId self, ClusterId cluster, std::uint16_t group_count);

  // False when too many are under way.
  bool begin(Instant now, client::RequestId request, const std::map<NodeId, Member>& members,
             Effects& out);
  void on_share(NodeId from, const StatusShare& share, const std::map<NodeId, Member>& members);
  void tick(Instant now, const std::map<NodeId, Member>& members, Effects& out);
  Instant next_deadline() const { return std::min(inquiries_.next_deadline(), ask_at_); }
  std::vector<Ended> take_ended() { return std::exchange(ended_, {}); }

 private:
  void ask(std::uint64_t number, Inquiry<StatusShare>& inquiry,
           const std::map<NodeId, Member>& members, Effects& out);
  bool are_all_groups_led(const Inquiry<StatusShare>& inquiry) const;
  void finish(const Inquiry<StatusShare>& inquiry, const std::map<NodeId, Member>& members);

  NodeId self_;
  ClusterId cluster_;
  std::uint16_t group_count_;
  Inquiries<StatusShare> inquiries_;
  Instant ask_at_ = Instant::never();  // again, for groups that nobody leads yet
  std::vector<Ended> ended_;
};

// What the shares of all nodes add up to; the jobs are counted elsewhere.
client::Status sum_of_shares(ClusterId cluster, std::uint16_t group_count,
                             const std::map<NodeId, StatusShare>& shares,
                             const std::map<NodeId, Member>& members);

}  // namespace dunlin
