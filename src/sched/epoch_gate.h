// Which orders an executor may obey: of each group those of the highest epoch that is durable here,
// and none of a lower one (Q3). An order of a higher epoch waits until that is on disk.
//
// The directory may be an older copy, whose node has obeyed higher epochs than it knows (Q8). So in
// any life but the first a group's orders wait until the one who gives them has led it since this
// life began, by a read of a majority (Ongaro's thesis, 6.4): then nobody has led it in a higher
// epoch before.
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
  // `life`: chance, not the same for two lives of the node.
  EpochGate(NodeId self, bool is_first_life, std::uint64_t life);

  // Facts under "epoch/".
  Result<void> recover(std::string_view key, ByteView value);

  // True: obey now. False: the order is kept until its epoch is durable and its lead is known to
  // stand, or was refused.
  bool admit(Turn& turn, NodeId from, GroupId group, Term epoch, const SchedMessage& order);
  struct Order {
    NodeId from;
    SchedMessage message;
  };
  // Orders that may be obeyed now that this ticket is durable.
  std::vector<Order> on_durable(const Ticket& ticket);
  // Orders that are to be admitted once more.
  std::vector<Order> on_stands(const LeadStands& answer);
  // What is durable here may be said: it is not less than was said in an earlier life.
  bool is_sound(GroupId group) const;

  // Durable here; 0: none yet.
  Term epoch(GroupId group) const;
  // Whom to report to: who gave the last order obeyed, or is the leader by later news.
  std::optional<NodeId> coordinator(GroupId group) const;
  void learn_leader(GroupId group, NodeId leader);

 private:
  struct Gate {
    Term durable = 0;
    Term pending = 0;  // being written
    // Nobody led in a higher epoch when this life began. Nothing: that is not known yet.
    std::optional<Term> stands;
    Term doubted = 0;  // of the orders that wait for it
    Instant ask_at;
    std::optional<NodeId> coordinator;
    std::vector<Order> waiting;
  };
  Gate& gate_of(GroupId group);
  static void keep(Gate& gate, NodeId from, const SchedMessage& order);
  void doubt(Turn& turn, Gate& gate, NodeId from, GroupId group, Term epoch,
             const SchedMessage& order);

  const NodeId self_;
  const bool is_first_life_;
  const std::uint64_t life_;
  std::map<GroupId, Gate> gates_;
};

}  // namespace dunlin::sched
