#include "sim/bare_quorum.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/codec.h"
#include "sim/disk_replicas.h"
#include "store/pack.h"

namespace dunlin::sim {

namespace {

constexpr std::string_view kBlob = "blob/";
constexpr std::size_t kSealSize = 8;  // the journal's checksum before each fact

// The value of a fact under "blob/".
struct BlobPlace {
  std::uint32_t pack = 0;
  std::uint32_t offset = 0;
  std::uint32_t length = 0;
  static constexpr auto fields() {
    return Fields<&BlobPlace::pack, &BlobPlace::offset, &BlobPlace::length>{};
  }
};

bool is_spoilt(const SimDisk& disk, const Bytes& sealed) {
  if (!disk.has_rot()) return false;
  const auto place = decode<BlobPlace>(ByteView(sealed).subspan(kSealSize));
  return !place || disk.is_rotten({store::pack_file(place->pack), place->offset, place->length});
}

std::set<NodeId> ids_of(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  std::set<NodeId> ids;
  for (const HostIndex i : hosts) ids.insert(world.host(i).id());
  return ids;
}

// Sound copies of each blob that is named there.
std::map<std::string, std::size_t> blobs_on(const SimWorld& world,
                                            const std::vector<HostIndex>& hosts) {
  std::map<std::string, std::size_t> blobs;
  for (const HostIndex i : hosts) {
    const auto& facts = world.host(i).disk().facts();
    for (auto at = facts.lower_bound(std::string(kBlob));
         at != facts.end() && at->first.starts_with(kBlob); ++at) {
      blobs[at->first] += is_spoilt(world.host(i).disk(), at->second) ? 0 : 1;
    }
  }
  return blobs;
}

std::size_t sound_blobs_on(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  const auto blobs = blobs_on(world, hosts);
  return static_cast<std::size_t>(
      std::count_if(blobs.begin(), blobs.end(), [](const auto& blob) { return blob.second > 0; }));
}

// Those that nobody goes away with. Who leaves has asked others whether they keep a copy, and goes
// though they die a moment later.
std::vector<HostIndex> staying(const SimWorld& world, std::vector<HostIndex> hosts) {
  std::erase_if(hosts, [&](HostIndex i) { return world.host(i).was_told_to_leave(); });
  return hosts;
}

std::vector<HostIndex> members(const SimWorld& world) {
  std::vector<HostIndex> hosts;
  for (HostIndex i = 0; i < world.host_count(); ++i) {
    const SimHost& host = world.host(i);
    if (has_member_disk(host) && !world.is_given_up(host.id())) hosts.push_back(i);
  }
  return hosts;
}

}  // namespace

bool has_member_disk(const SimHost& host) {
  if (host.id().is_none() || host.is_banished()) return false;
  if (host.is_up() || host.phase() == SimHost::Phase::kStarting) return true;
  switch (host.last_end()) {
    case SimHost::End::kKilled:
    case SimHost::End::kStopped:
    case SimHost::End::kIoError: return true;
    case SimHost::End::kNone:
    case SimHost::End::kLeft:
    case SimHost::End::kFatal:
    case SimHost::End::kRotten: return false;
  }
  return false;
}

// ---- by what the disks hold ---------------------------------------------------------------------

namespace {

struct Survivor {
  NodeId id;
  DiskReplicas replicas;
};
using Survivors = std::map<HostIndex, Survivor>;

// Members that can go on under their identity.
Survivors survivors(const SimWorld& world) {
  Survivors found;
  for (const HostIndex i : members(world)) {
    const SimHost& host = world.host(i);
    const std::optional<Recovered> recovered = open_disk(host.disk());
    if (!recovered) continue;
    // A copy may have promised more in the name of one that runs, too.
    const bool has_forgotten = host.is_up() && world.promises().is_forgetful(host.life_number());
    if (has_forgotten || world.promises().would_forget(host.id(), *recovered)) continue;
    found[i] = {host.id(), read_replicas(*recovered)};
  }
  return found;
}

const DiskReplica* replica_of(const Survivor& survivor, GroupId group, Generation generation) {
  const auto found = survivor.replicas.find(group);
  if (found == survivor.replicas.end() || found->second.removed) return nullptr;
  return found->second.generation == generation ? &found->second : nullptr;
}

// Seats of a configuration that are there and satisfy `good`.
template <class Predicate>
bool has_majority(const Survivors& hosts, GroupId group, const GroupConfig& config,
                  Predicate good) {
  return config.has_quorum([&](const Seat& seat) {
    for (const auto& [host, survivor] : hosts) {
      if (survivor.id != seat.node) continue;
      const DiskReplica* replica = replica_of(survivor, group, seat.generation);
      return replica != nullptr && good(*replica);
    }
    return false;
  });
}

const DiskReplica* newest_on(const Survivors& hosts, GroupId group) {
  const DiskReplica* newest = nullptr;
  for (const auto& [host, survivor] : hosts) {
    const auto found = survivor.replicas.find(group);
    if (found == survivor.replicas.end() || found->second.removed) continue;
    if (newest == nullptr || newest->last < found->second.last) newest = &found->second;
  }
  return newest;
}

// The configurations that the newest of the replicas there has the group counted in.
std::vector<GroupConfig> configs_on(const Survivors& hosts, GroupId group) {
  const DiskReplica* newest = newest_on(hosts, group);
  std::vector<GroupConfig> configs;
  if (newest == nullptr) return configs;
  for (auto at = newest->configs.rbegin(); at != newest->configs.rend(); ++at) {
    configs.push_back(at->second);
    const auto holds = [&](const DiskReplica& replica) { return replica.holds(at->first); };
    if (has_majority(hosts, group, at->second, holds)) break;  // committed, or will be
  }
  return configs;
}

// Every group has a majority in each configuration that may count, by the disks of all who are
// left and by those of `hosts` alone, and by what its leader has installed.
bool has_majorities(const SimWorld& world, const Survivors& all, const Survivors& hosts) {
  const auto any = [](const DiskReplica&) { return true; };
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    const GroupId group{g};
    std::vector<GroupConfig> configs = configs_on(all, group);
    if (configs.empty()) return false;
    for (GroupConfig& config : configs_on(hosts, group)) configs.push_back(std::move(config));
    const auto leading = world.latest_leader(group);
    if (leading && leading->term >= newest_on(all, group)->last.term) {
      configs.push_back(leading->config);
    }
    for (const GroupConfig& config : configs) {
      if (!has_majority(hosts, group, config, any)) return false;
    }
  }
  return true;
}

// Whoever holds the most of a group's log can be elected by those who are left: by the last
// configuration in it, which is the one that a replica goes by.
bool can_elect(const SimWorld& world, const Survivors& all) {
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    const DiskReplica* newest = newest_on(all, GroupId{g});
    if (newest == nullptr || newest->configs.empty()) return false;
    const auto any = [](const DiskReplica&) { return true; };
    if (!has_majority(all, GroupId{g}, newest->configs.rbegin()->second, any)) return false;
  }
  return true;
}

std::vector<HostIndex> hosts_of(const Survivors& survivors) {
  std::vector<HostIndex> hosts;
  for (const auto& [host, survivor] : survivors) hosts.push_back(host);
  return hosts;
}

}  // namespace

bool is_settled(const SimWorld& world, std::size_t voters) {
  std::vector<HostIndex> up;
  for (HostIndex i = 0; i < world.host_count(); ++i) {
    const SimHost& host = world.host(i);
    if (host.is_up() && !host.is_banished() && !world.is_given_up(host.id())) up.push_back(i);
  }
  const std::set<NodeId> ids = ids_of(world, up);
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    const auto leading = world.latest_leader(GroupId{g});
    if (!leading || leading->config.is_joint() || leading->config.voters.size() < voters) {
      return false;
    }
    for (const Seat& seat : leading->config.voters) {
      if (!ids.contains(seat.node)) return false;
    }
  }
  for (const auto& [blob, copies] : blobs_on(world, up)) {
    if (copies < 2) return false;
  }
  return true;
}

std::vector<HostIndex> complete(const SimWorld& world, std::vector<HostIndex> core) {
  const Survivors all = survivors(world);
  Survivors chosen;
  for (const HostIndex i : core) {
    if (all.contains(i)) chosen[i] = all.at(i);
  }
  std::vector<HostIndex> added;
  for (const auto& [host, survivor] : all) {
    if (chosen.contains(host) || has_majorities(world, all, chosen)) continue;
    chosen[host] = survivor;
    added.push_back(host);
  }
  for (const HostIndex host : added) {
    Survivors without = chosen;
    without.erase(host);
    if (has_majorities(world, all, without)) {
      chosen = std::move(without);
    } else {
      core.push_back(host);
    }
  }
  return core;
}

std::optional<std::vector<HostIndex>> bare_quorum(const SimWorld& world, Random& random) {
  const Survivors all = survivors(world);
  if (!can_elect(world, all)) return std::nullopt;
  std::vector<HostIndex> order = hosts_of(all);
  const auto blobs_of = [&](const std::vector<HostIndex>& hosts) {
    return std::pair(sound_blobs_on(world, hosts), sound_blobs_on(world, staying(world, hosts)));
  };
  const auto blobs = blobs_of(order);
  random.shuffle(order);
  Survivors core = all;
  for (const HostIndex victim : order) {
    Survivors without = core;
    without.erase(victim);
    if (!has_majorities(world, all, without)) continue;
    if (blobs_of(hosts_of(without)) == blobs) core = std::move(without);
  }
  return hosts_of(core);
}

}  // namespace dunlin::sim
