// Q2 and Q8, by what nodes say to each other: every vote and every acknowledgement that leaves a
// node is noted here under its identity. When a life begins, its disk must hold all of them: after
// an honest crash this is so or something left before it was durable (Q2); after a disk that went
// back in time it is not, and then that life may neither vote nor acknowledge (Q8). Two votes in
// one term for different candidates are wrong in any case (Q3).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>

#include "base/effects.h"
#include "base/ids.h"
#include "dht/group_config.h"
#include "dht/journal.h"
#include "dht/messages.h"
#include "sim/disk_replicas.h"
#include "sim/verdict.h"

namespace dunlin::sim {

class PromiseChecker {
 public:
  explicit PromiseChecker(Verdict& verdict) : verdict_(verdict) {}

  // A frame of that node leaves; `life` tells its lives apart, on whatever host they are.
  void on_send(Instant at, const NodeId& node, std::uint64_t life, const NodeId& to,
               ByteView frame);
  // A life begins with what the journal took from its disk. `honest`: nobody tampered with it.
  void on_start(Instant at, const NodeId& node, std::uint64_t life, const Recovered& recovered,
                bool honest);
  // That life began without something its identity had promised, or with a log that ends before a
  // row it had told of: the others will refuse it.
  bool is_forgetful(std::uint64_t life) const {
    return forgetful_.contains(life) || outdated_.contains(life);
  }
  // So would one that begins with this.
  bool would_forget(const NodeId& node, const Recovered& recovered) const;

 private:
  struct Promised {
    std::map<Term, NodeId> votes;
    LogPlace acknowledged;  // its term is the leader's
  };
  using Seat = std::pair<GroupId, Generation>;

  static std::string missing(GroupId group, const Promised& promised, const DiskReplica& disk,
                             Generation generation);
  std::map<Seat, std::string> forgotten(const NodeId& node, const Recovered& recovered) const;
  // The log ends before a row that the node told of, though its promises may all be there.
  bool is_outdated(const NodeId& node, const Recovered& recovered) const;
  void tells(const NodeId& node, ByteView frame);
  void voted(Instant at, const NodeId& node, std::uint64_t life, const GroupMessage& message,
             const NodeId& candidate);
  void promise(Instant at, const NodeId& node, std::uint64_t life, const Seat& seat,
               const std::string& what);

  Verdict& verdict_;
  std::map<NodeId, std::map<Seat, Promised>> promised_;
  std::map<NodeId, std::uint64_t> told_;               // the highest row said to be durable
  std::map<std::uint64_t, std::set<Seat>> forgetful_;  // life -> of which seats
  std::set<std::uint64_t> outdated_;
};

}  // namespace dunlin::sim
