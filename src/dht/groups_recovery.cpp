// Birth, restart, and keeping the log short.
#include <algorithm>
#include <charconv>

#include "base/assert.h"
#include "dht/groups_parts.h"

namespace dunlin {

namespace {

std::optional<GroupId> group_of_key(const std::string& key, std::size_t group_count) {
  std::uint16_t value = 0;
  if (!key.starts_with(kVotePrefix)) return std::nullopt;
  const char* end = key.data() + key.size();
  const auto parsed = std::from_chars(key.data() + kVotePrefix.size(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || value >= group_count) return std::nullopt;
  return GroupId{value};
}

}  // namespace

void Groups::Parts::found(Turn& turn) {
  const auto count = static_cast<std::uint16_t>(replicas.size());
  for (std::uint16_t i = 0; i < count; ++i) {
    ASSERT(replicas[i] == nullptr);
    // Its seat comes with entry 1.
    replicas[i] = std::make_unique<Raft>(GroupId{i}, self, Generation{1}, turn);
    replicas[i]->found(turn);
    ++replica_count;
    settle(turn, GroupId{i});
  }
}

void Groups::Parts::recover(Turn& turn, GroupsRecovery recovery) {
  for (const PeerMark& mark : recovery.marks) {
    peers.heard(mark.node, mark.boot, mark.row, Instant{});
  }
  for (const auto& [key, value] : recovery.facts) {
    const std::optional<GroupId> group = group_of_key(key, replicas.size());
    const Result<VoteFact> fact = decode<VoteFact>(value);
    if (!group || !fact) return fail({"the log holds a vote that makes no sense: " + key});
    if (fact->removed) {
      retired[group->value] = fact->generation;
      continue;
    }
    const auto found = recovery.applied.find(*group);
    const bool is_own = found != recovery.applied.end() &&
                        found->second.generation == fact->generation && found->second.index > 0;
    if (found != recovery.applied.end() && !is_own) events.emplace_back(ReplicaRemoved{*group});
    replicas[group->value] =
        std::make_unique<Raft>(*group, self, *fact, is_own ? &found->second : nullptr);
    ++replica_count;
  }
  for (const auto& [group, applied] : recovery.applied) {
    if (find(group) == nullptr) events.emplace_back(ReplicaRemoved{group});
  }
  for (const auto& [row, record] : recovery.records) {
    if (!recover_record(row, record)) return;
  }
  for (const auto& replica : replicas) {
    if (replica == nullptr || replica->recovered(turn)) continue;
    return fail({"the log misses entries of group " + std::to_string(replica->group().value) +
                 ", or holds one that makes no sense"});
  }
  check.emplace(self, boot, recovery.last_row);
  each(turn, [](Raft&) {});
  verify_settled(turn);
  check->ask(turn, unverified());
}

bool Groups::Parts::recover_record(std::uint64_t row, const Bytes& bytes) {
  Result<GroupRecord> record = decode<GroupRecord>(bytes);
  if (!record) {
    fail({"row " + std::to_string(row) + " of the log makes no sense"});
    return false;
  }
  std::visit(
      [&](auto& held) {
        if (Raft* raft = find(held.group)) raft->recover(row, std::move(held));
      },
      *record);
  return true;
}

std::vector<const Raft*> Groups::Parts::unverified() const {
  std::vector<const Raft*> found;
  for (const auto& replica : replicas) {
    if (replica != nullptr && !replica->is_verified()) found.push_back(replica.get());
  }
  return found;
}

void Groups::Parts::verify_settled(Turn& turn) {
  if (!check) return;
  each(turn, [&](Raft& raft) {
    if (!raft.is_verified() && check->is_settled(raft)) raft.verify(turn);
  });
}

void Groups::Parts::compact(Turn& turn, const std::map<GroupId, AppliedState>& checkpointed) {
  for (const auto& [group, applied] : checkpointed) {
    Raft* raft = find(group);
    if (raft != nullptr && raft->self().generation == applied.generation) {
      raft->compact(applied.index);
    }
  }
  // Oldest first, as long as a few stragglers hold up the whole log.
  std::set<std::pair<std::uint64_t, GroupId>> oldest;
  for (const auto& replica : replicas) {
    if (replica == nullptr) continue;
    const std::optional<std::uint64_t> row = replica->row_needed();
    if (row) oldest.insert({*row, replica->group()});
  }
  std::size_t bytes = 0;
  std::uint64_t needed = turn.out.row;
  for (const auto& [row, group] : oldest) {
    const bool lags = row + config.rows_behind < turn.out.row;
    if (!lags || bytes > kMaxRewrite || !find(group)->may_rewrite()) {
      needed = std::min(needed, row);
      continue;
    }
    bytes += find(group)->rewrite(turn);
    settle(turn, group);
  }
  turn.out.trim_below = needed;
}

}  // namespace dunlin
