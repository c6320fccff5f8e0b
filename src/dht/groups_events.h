// What the groups of this node tell the rest of it, in order; taken by Groups::take_events().
#pragma once

#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "dht/group_config.h"

namespace dunlin {

// Where the state machine of one replica stands. Node stores it with each checkpoint of that
// state, in one transaction, and hands it back at recovery; its content is the groups' business.
struct AppliedState {
  LogIndex index = 0;
  Term term = 0;
  Generation generation = 0;
  GroupConfig config;
  static constexpr auto fields() {
    return Fields<&AppliedState::index, &AppliedState::term, &AppliedState::generation,
                  &AppliedState::config>{};
  }
};

// The next entry of a group for its state machine: at every replica the same payload at the same
// index, indexes ascending (those without payload are skipped), durable here and on a quorum.
struct Committed {
  GroupId group;
  LogIndex index = 0;
  Term term = 0;
  Bytes payload;
};

// This replica leads, an entry of its own term is committed, and everything up to it has been
// given out before this event: the state machine is current. The term is the epoch.
struct LeadershipGained {
  GroupId group;
  Term term = 0;
};

// It leads no more; what it proposed may or may not be committed by others.
struct LeadershipLost {
  GroupId group;
  Term term = 0;
};

// A later leader of a group with a replica here became known. For gossip: what this node leads
// itself is worth announcing.
struct RouteLearnt {
  GroupId group;
  Term term = 0;
  NodeId leader;
  Boot boot = 0;
};

// A replica elsewhere is too far behind: answer with Groups::provide_snapshot.
struct SnapshotWanted {
  GroupId group;
  std::uint64_t token = 0;
};

// Replace the group's state machine by this one: its state after entry `index`.
struct RestoreState {
  GroupId group;
  LogIndex index = 0;
  Bytes state;
};

// This node holds no replica of the group any more (or a new, empty one follows): drop its state,
// checkpointed state included.
struct ReplicaRemoved {
  GroupId group;
};

// The answer to Groups::read: when ok, everything acknowledged before the read was asked has been
// given out in events before this one. Otherwise ask elsewhere, or later.
struct ReadReady {
  GroupId group;
  std::uint64_t token = 0;
  bool ok = false;
};

// This node may have forgotten something it promised (Q8): it must stop, and say this.
struct GroupsFatal {
  std::string text;
  // A peer knows a later life of this id. That life may be going on, so this one, though it has
  // forgotten, must not retire the id.
  bool is_outlived = false;
};

using GroupsEvent =
    std::variant<Committed, LeadershipGained, LeadershipLost, RouteLearnt, SnapshotWanted,
                 RestoreState, ReplicaRemoved, ReadReady, GroupsFatal>;

}  // namespace dunlin
