#include "sim/convergence.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/crypto.h"
#include "sim/checkers/copies.h"

namespace dunlin::sim {

namespace {

constexpr std::string_view kIndex = "blob/";

template <class Visit>
void each_blob(const SimDisk& disk, Visit visit) {
  const auto& facts = disk.facts();
  for (auto at = facts.lower_bound(std::string(kIndex));
       at != facts.end() && at->first.starts_with(kIndex); ++at) {
    visit(at->first);
  }
}

}  // namespace

std::string missing_copies(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  std::map<std::string, std::size_t> copies;
  for (const HostIndex i : hosts) {
    each_blob(world.host(i).disk(), [&](const std::string& key) { ++copies[key]; });
  }
  const std::size_t wanted = std::min(kReplicasOfABlob, hosts.size());
  const auto missing = std::count_if(copies.begin(), copies.end(),
                                     [&](const auto& blob) { return blob.second < wanted; });
  if (missing == 0) return {};
  return std::to_string(missing) + " of " + std::to_string(copies.size()) +
         " blobs have fewer than " + std::to_string(wanted) + " copies";
}

std::string unsound_copies(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  for (const HostIndex i : hosts) {
    const SimDisk& disk = world.host(i).disk();
    std::string bad;
    each_blob(disk, [&](const std::string& key) {
      const auto id = BlobId::from_text(key.substr(kIndex.size()));
      if (!id || !has_sound_copy(disk, *id)) bad = key;
    });
    if (!bad.empty()) return world.host(i).name() + " has no sound " + bad;
  }
  return {};
}

std::string replicas_apart(const SimWorld& world, const std::vector<HostIndex>& hosts) {
  std::set<NodeId> ids;
  for (const HostIndex i : hosts) ids.insert(world.host(i).id());
  for (std::uint16_t g = 0; g < world.options().groups; ++g) {
    const GroupId group{g};
    const std::string name = "group " + std::to_string(g);
    const auto leading = world.latest_leader(group);
    if (!leading) return name + " is not led";
    std::set<std::pair<LogIndex, std::uint64_t>> states;
    for (const Seat& seat : leading->config.voters) {
      const auto host = ids.contains(seat.node) ? world.host_of(seat.node) : std::nullopt;
      if (!host) continue;
      const Node& node = *world.host(*host).node();
      const auto applied = node.groups().applied(group);
      if (!applied || applied->generation != seat.generation) return name + " lacks a replica";
      states.insert({applied->index, blake2b_64(node.scheduler().snapshot(group))});
    }
    if (states.size() > 1) return name + " has voters at different states";
  }
  return {};
}

}  // namespace dunlin::sim
