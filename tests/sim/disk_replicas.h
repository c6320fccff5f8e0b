// What a disk shows of the replicas on it, read as a restarted node would read it: for whoever
// judges from outside what a group can still do, and what a node has forgotten.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dht/group_config.h"
#include "dht/journal.h"
#include "sim/sim_disk.h"

namespace dunlin::sim {

// The place of an entry in a log; of two logs the one with the higher last place is the newer.
struct LogPlace {
  Term term = 0;
  LogIndex index = 0;
  auto operator<=>(const LogPlace&) const = default;
};

struct DiskReplica {
  Generation generation = 0;
  bool removed = false;  // the replica is no more, and its seat neither
  Term term = 0;
  NodeId vote;
  LogPlace last;
  // Configurations in its log and where they stand. The first is the one in force where the log
  // begins, and stands there.
  std::vector<std::pair<LogPlace, GroupConfig>> configs;

  // An entry of the group's newest log is in this one, or covered by the applied state under it:
  // that is committed, and the newest log has all that is.
  bool holds(const LogPlace& place) const;
};

using DiskReplicas = std::map<GroupId, DiskReplica>;

DiskReplicas read_replicas(const Recovered& recovered);
// A durable fact, without its seal; nothing: there is none.
std::optional<ByteView> fact_on(const SimDisk& disk, const std::string& key);
// Nothing when the journal would refuse the disk.
std::optional<Recovered> open_disk(const SimDisk& disk);

}  // namespace dunlin::sim
