// What a replica makes durable. Entries are rows of the log in order of arrival: an entry with
// index i overrides everything from i on that came before it; a snapshot overrides everything.
// Term and vote are the fact "vote/<group>".
#pragma once

#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/fields.h"
#include "base/ids.h"
#include "dht/group_config.h"
#include "dht/messages.h"

namespace dunlin {

struct EntryRecord {
  GroupId group;
  Generation generation = 0;
  LogIndex index = 0;
  Entry entry;
  static constexpr auto fields() {
    return Fields<&EntryRecord::group, &EntryRecord::generation, &EntryRecord::index,
                  &EntryRecord::entry>{};
  }
};

struct SnapshotRecord {
  GroupId group;
  Generation generation = 0;
  LogIndex index = 0;
  Term term = 0;
  GroupConfig config;
  Bytes state;
  static constexpr auto fields() {
    return Fields<&SnapshotRecord::group, &SnapshotRecord::generation, &SnapshotRecord::index,
                  &SnapshotRecord::term, &SnapshotRecord::config, &SnapshotRecord::state>{};
  }
};

using GroupRecord = std::variant<EntryRecord, SnapshotRecord>;

// The generation outlives the replica: messages to removed ones must not raise them from the dead.
struct VoteFact {
  Generation generation = 0;
  bool removed = false;
  Term term = 0;
  NodeId vote;  // none: not given in this term
  static constexpr auto fields() {
    return Fields<&VoteFact::generation, &VoteFact::removed, &VoteFact::term, &VoteFact::vote>{};
  }
};

constexpr std::string_view kVotePrefix = "vote/";

inline std::string vote_key(GroupId group) {
  return std::string(kVotePrefix) + std::to_string(group.value);
}

}  // namespace dunlin
