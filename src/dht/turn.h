// One input being handled: what a replica may look at, and where its wishes go. Groups makes one
// for each call and turns the gathered messages into one frame per peer at its end.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "dht/groups_config.h"
#include "dht/groups_events.h"
#include "dht/messages.h"
#include "dht/peers.h"

namespace dunlin {

struct Turn {
  Instant now;
  const GroupsConfig& config;
  const Peers& peers;
  Random& random;
  Effects& out;
  std::vector<GroupsEvent>& events;
  Boot boot = 0;                  // this node's life
  std::uint64_t durable_row = 0;  // of this node's journal
  bool storage_stalled = false;
  bool may_send_snapshot = true;  // not too many groups of this node do already
  bool may_take_snapshot = true;

  struct Outgoing {
    NodeId to;
    bool when_durable = false;
    GroupMessage message;
  };
  struct Note {
    NodeId to;
    NodeNote message;
  };
  std::vector<Outgoing> messages = {};
  std::vector<Note> notes = {};
  std::vector<NodeId> reminders = {};  // to be told what they promised this node
  bool wrote = false;                  // something of the replica at hand waits for the disk
};

}  // namespace dunlin
