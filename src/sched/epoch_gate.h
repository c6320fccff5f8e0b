// Which orders an executor may obey: of each group those of the highest epoch that is durable here,
// and none of a lower one (Q3). An order of a higher epoch waits until that is on disk.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sched/messages.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxGated = 1024;  // orders of one group that wait for the disk

class EpochGate {
 public:
  // Facts under "epoch/".
  Result<void> recover(std::string_view key, ByteView value);

  // True: obey now. False: the order is kept until its epoch is durable, or was refused.
  bool admit(Turn& turn, NodeId from, GroupId group, Term epoch, const SchedMessage& order);
  struct Order {
    NodeId from;
    SchedMessage message;
  };
  // Orders that may be obeyed now that this ticket is durable.
  std::vector<Order> on_durable(const Ticket& ticket);

  // Durable here; 0: none yet.
  Term epoch(GroupId group) const;
  // Whom to report to: who gave the last order obeyed, or is the leader by later news.
  std::optional<NodeId> coordinator(GroupId group) const;
  void learn_leader(GroupId group, NodeId leader);

 private:
  struct Gate {
    Term durable = 0;
    Term pending = 0;  // being written
    std::optional<NodeId> coordinator;
    std::vector<Order> waiting;
  };
  std::map<GroupId, Gate> gates_;
};

}  // namespace dunlin::sched
