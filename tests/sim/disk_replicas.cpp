#include "sim/disk_replicas.h"

#include <algorithm>

#include "base/codec.h"
#include "dht/groups_events.h"
#include "dht/records.h"

namespace dunlin::sim {

namespace {

constexpr std::string_view kApplied = "applied/";
constexpr std::size_t kSeal = 8;  // a checksum in front of each fact

GroupId group_of(const std::string& key, std::size_t prefix) {
  return GroupId{static_cast<std::uint16_t>(std::stoul(key.substr(prefix)))};
}

// An entry overrides what came before it at its place and behind.
void take(DiskReplica& replica, const EntryRecord& record) {
  const LogPlace place{record.entry.term, record.index};
  std::erase_if(replica.configs, [&](const auto& c) { return c.first.index >= record.index; });
  replica.last = place;
  if (record.entry.kind != EntryKind::kConfig) return;
  if (const Result<GroupConfig> config = decode<GroupConfig>(record.entry.payload)) {
    replica.configs.emplace_back(place, *config);
  }
}

void restart(DiskReplica& replica, const LogPlace& place, const GroupConfig& config) {
  replica.last = place;
  replica.configs = {{place, config}};
}

}  // namespace

bool DiskReplica::holds(const LogPlace& place) const {
  if (!configs.empty() && place.index <= configs.front().first.index) return true;
  return std::any_of(configs.begin(), configs.end(),
                     [&](const auto& config) { return config.first == place; });
}

DiskReplicas read_replicas(const Recovered& recovered) {
  DiskReplicas replicas;
  for (const auto& [key, value] : recovered.facts) {
    if (!key.starts_with(kVotePrefix)) continue;
    const Result<VoteFact> fact = decode<VoteFact>(value);
    if (!fact) continue;
    DiskReplica& replica = replicas[group_of(key, kVotePrefix.size())];
    replica.generation = fact->generation;
    replica.removed = fact->removed;
    replica.term = fact->term;
    replica.vote = fact->vote;
  }
  // The log may begin behind what the applied state holds, or hold some of it still.
  for (const auto& [key, value] : recovered.state) {
    if (!key.starts_with(kApplied)) continue;
    const Result<AppliedState> applied = decode<AppliedState>(value);
    const auto found = replicas.find(group_of(key, kApplied.size()));
    if (!applied || found == replicas.end()) continue;
    if (applied->generation != found->second.generation) continue;
    restart(found->second, {applied->term, applied->index}, applied->config);
  }
  for (const Recovered::Record& record : recovered.records) {
    if (record.module != Module::kGroups) continue;
    const Result<GroupRecord> what = decode<GroupRecord>(record.data);
    if (!what) continue;
    const auto group = std::visit([](const auto& held) { return held.group; }, *what);
    const auto generation = std::visit([](const auto& held) { return held.generation; }, *what);
    const auto found = replicas.find(group);
    if (found == replicas.end() || found->second.generation != generation) continue;
    DiskReplica& replica = found->second;
    if (const auto* entry = std::get_if<EntryRecord>(&*what)) {
      const LogIndex first = replica.configs.empty() ? 0 : replica.configs.front().first.index;
      if (entry->index > first) take(replica, *entry);
    } else if (const auto& snapshot = std::get<SnapshotRecord>(*what);
               snapshot.index >= replica.last.index) {
      restart(replica, {snapshot.term, snapshot.index}, snapshot.config);
    }
  }
  return replicas;
}

std::optional<ByteView> fact_on(const SimDisk& disk, const std::string& key) {
  const auto fact = disk.facts().find(key);
  if (fact == disk.facts().end() || fact->second.size() < kSeal) return std::nullopt;
  return ByteView(fact->second).subspan(kSeal);
}

std::optional<Recovered> open_disk(const SimDisk& disk) {
  Journal journal;
  Result<DiskImage> image = disk.read_image();
  if (!image) return std::nullopt;
  Result<Recovered> recovered = journal.open(std::move(*image));
  if (!recovered) return std::nullopt;
  return std::move(*recovered);
}

}  // namespace dunlin::sim
