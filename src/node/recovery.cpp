// How a life begins: what the disk remembers is handed to the modules it belongs to.
#include <charconv>

#include "base/codec.h"
#include "node/parts.h"

namespace dunlin {

namespace {

constexpr std::string_view kAppliedRow = "applied/";

std::optional<GroupId> group_of_applied_row(std::string_view key) {
  key.remove_prefix(kAppliedRow.size());
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), value);
  if (error != std::errc() || end != key.data() + key.size() || value >= kMaxGroups) {
    return std::nullopt;
  }
  return GroupId{value};
}

}  // namespace

void Node::Parts::recover(Recovered recovered) {
  GroupsRecovery recovery;
  recover_facts(recovered.facts);
  recover_draining(recovered.facts);
  for (const auto& [file, size] : recovered.files) blobs.recover_pack(file, size);
  recover_state(recovered.state, recovery);
  for (auto& record : recovered.records) {
    if (record.module == Module::kGroups) {
      recovery.records.emplace_back(record.row, std::move(record.data));
    }
  }
  for (auto& [key, value] : recovered.facts) {
    if (key == kMarksFact) {
      if (auto marks = decode<std::vector<PeerMark>>(value)) recovery.marks = std::move(*marks);
    }
    if (key.starts_with("vote/")) recovery.facts.emplace(key, std::move(value));
  }
  recovery.last_row = durable_row;
  blobs.start(now, out);
  if (start.founding) {
    groups.found(now, out);
    erase_founding(out);
  } else {
    groups.recover(now, std::move(recovery), out);
  }
  follow_record();
  gossip.seed(now, start.seeds);
  liveness.set_storage(now, durable_row, false);
}

void Node::Parts::recover_facts(const std::map<std::string, Bytes>& facts) {
  for (const auto& [key, value] : facts) {
    Result<void> taken;
    if (key.starts_with("epoch/")) taken = sched.recover_fact(key, value);
    if (key.starts_with("blob/") || key.starts_with("pin/")) taken = blobs.recover_fact(key, value);
    if (!taken)
      out.fatal = "the disk remembers nonsense under " + key + ": " + taken.error().message;
  }
}

void Node::Parts::recover_state(const std::map<std::string, Bytes>& state,
                                GroupsRecovery& recovery) {
  for (const auto& [key, value] : state) {
    Result<void> taken;
    if (key.starts_with(kAppliedRow)) {
      const std::optional<GroupId> group = group_of_applied_row(key);
      const Result<AppliedState> applied = decode<AppliedState>(value);
      if (group && applied) {
        recovery.applied[*group] = *applied;
        sched.recover_applied(*group, applied->index);
      } else {
        taken = fail(Code::kCorrupt, "malformed");
      }
    } else if (key == "record") {
      taken = admission.merge_record(value);
    } else {
      taken = sched.recover_row(key, value);
    }
    if (!taken) {
      out.fatal = "the state database holds nonsense under " + key + ": " + taken.error().message;
    }
  }
}

// All changes since the last checkpoint, with the places in the logs that they stand for, in one
// transaction: never an index without its effects.
void Node::Parts::checkpoint_if_due() {
  if (!checkpointer.is_due(now) || journal.checkpoint_in_flight()) return;
  if (durable_row == 0) return;
  StateRows rows;
  sched.take_dirty(rows);
  std::map<GroupId, AppliedState> contents;
  for (const GroupId group : checkpointer.take_groups()) {
    const std::string key = std::string(kAppliedRow) + std::to_string(group.value);
    if (const std::optional<AppliedState> applied = groups.applied(group)) {
      rows[key] = encode(*applied);
      contents[group] = *applied;
    } else {
      rows[key] = std::nullopt;
    }
    if (group == kClusterGroup) rows["record"] = admission.encode_record();
  }
  std::vector<KeyedChange> changes(std::make_move_iterator(rows.begin()),
                                   std::make_move_iterator(rows.end()));
  output.checkpoint = journal.seal_checkpoint(std::move(changes));
  checkpointer.begin(output.checkpoint->id, std::move(contents));
}

}  // namespace dunlin
