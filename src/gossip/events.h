// What gossip and liveness tell the other modules; Node fetches and forwards it.
#pragma once

#include <string>
#include <variant>

#include "base/ids.h"

namespace dunlin {

// New, or alive again after suspicion, death or leaving.
struct MemberUp {
  NodeId node;
};
struct MemberSuspect {
  NodeId node;
};
struct MemberDead {
  NodeId node;
};
// Left, or was forgotten; a forgotten one is no longer in members().
struct MemberLeft {
  NodeId node;
};
// A higher boot was seen: what the earlier life held in memory is gone.
struct MemberRestarted {
  NodeId node;
  Boot boot = 0;
};
// Its facts differ from those known before, or it begins or ceases to drain.
struct MemberChanged {
  NodeId node;
};
// Another node's word named a newer leader; own announcements raise no event.
struct RouteChanged {
  GroupId group;
};
// Proof that another process uses this node's identity: a clone or a restored copy of its
// directory. Raised once; neither may vote any more.
struct TwinSeen {
  Boot boot = 0;  // the other's
  std::string evidence;
};

using GossipEvent = std::variant<MemberUp, MemberSuspect, MemberDead, MemberLeft, MemberRestarted,
                                 MemberChanged, RouteChanged, TwinSeen>;

// A watched peer has been silent, reset its connection without a word since, or says that its
// storage hangs.
struct PeerSuspected {
  NodeId node;
};
struct PeerRecovered {
  NodeId node;
};
// This node's own storage hangs: leadership is to be handed over.
struct StorageStalled {};
struct StorageRecovered {};

using LivenessEvent = std::variant<PeerSuspected, PeerRecovered, StorageStalled, StorageRecovered>;

}  // namespace dunlin
