#include "sim/bare_quorum.h"

#include <algorithm>
#include <map>
#include <set>

namespace dunlin::sim {

namespace {

constexpr std::string_view kBlob = "blob/";

std::set<NodeId> ids_of(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  std::set<NodeId> ids;
  for (const HostIndex i : hosts) ids.insert(world.host(i).id());
  return ids;
}

std::map<std::string, std::size_t> blobs_on(const SimWorld& world,
                                            const std::vector<HostIndex>& hosts) {
  std::map<std::string, std::size_t> blobs;
  for (const HostIndex i : hosts) {
    const auto& facts = world.host(i).disk().facts();
    for (auto at = facts.lower_bound(std::string(kBlob));
         at != facts.end() && at->first.starts_with(kBlob); ++at) {
      ++blobs[at->first];
    }
  }
  return blobs;
}

std::vector<HostIndex> members(const SimWorld& world) {
  std::vector<HostIndex> hosts;
  for (HostIndex i = 0; i < world.host_count(); ++i) {
    if (has_member_disk(world.host(i))) hosts.push_back(i);
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

bool suffices(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  const std::set<NodeId> ids = ids_of(world, hosts);
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    const std::vector<GroupConfig> configs = world.configs(GroupId{g});
    if (configs.empty()) return false;
    for (const GroupConfig& config : configs) {
      if (!config.has_quorum([&](const Seat& seat) { return ids.contains(seat.node); })) {
        return false;
      }
    }
  }
  return blobs_on(world, hosts).size() == blobs_on(world, members(world)).size();
}

bool is_settled(const SimWorld& world, std::size_t voters) {
  std::vector<HostIndex> up;
  for (HostIndex i = 0; i < world.host_count(); ++i) {
    if (world.host(i).is_up() && !world.host(i).is_banished()) up.push_back(i);
  }
  const std::set<NodeId> ids = ids_of(world, up);
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    bool led = false;
    for (const HostIndex i : up) {
      led = led || world.host(i).node()->groups().is_leading(GroupId{g});
    }
    if (!led) return false;
    for (const GroupConfig& config : world.configs(GroupId{g})) {
      if (config.is_joint() || config.voters.size() < voters) return false;
      for (const Seat& seat : config.voters) {
        if (!ids.contains(seat.node)) return false;
      }
    }
  }
  for (const auto& [blob, copies] : blobs_on(world, up)) {
    if (copies < 2) return false;
  }
  return true;
}

std::optional<std::vector<HostIndex>> bare_quorum(const SimWorld& world, Random& random) {
  std::vector<HostIndex> core = members(world);
  if (!suffices(world, core)) return std::nullopt;
  std::vector<HostIndex> order = core;
  random.shuffle(order);
  for (const HostIndex victim : order) {
    std::vector<HostIndex> without = core;
    std::erase(without, victim);
    if (!without.empty() && suffices(world, without)) core = std::move(without);
  }
  return core;
}

}  // namespace dunlin::sim
