// What became of the cluster's nodes, as this node's gossip saw it: a short memory for whoever
// follows events. The ids are made of what all nodes agree on (whose life, which incarnation,
// what) and of how often this node has seen that: a node never gives one id to two changes, and a
// change that two nodes saw has one id at both. Only where one of them missed some of the changes
// within an incarnation (whether it drains, above all) their counts differ: a change may have
// another id there, or the id of a former one.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "gossip/member.h"

namespace dunlin {

constexpr std::size_t kMaxNodeEvents = 1024;  // the oldest go first

enum class NodeEventType : std::uint8_t {
  kAlive,  // new, or again
  kSuspect,
  kDead,
  kLeft,
  kRestarted,
  kDraining,
  kUndrained,
  kLast = kUndrained
};
// "node_alive".
const char* name_of(NodeEventType type);

struct NodeEvent {
  std::string id;
  WallTime time;  // when this node heard of it
  NodeEventType type = NodeEventType::kAlive;
  NodeId node;
  std::string name;  // of the node
};

class NodeEvents {
 public:
  void note(NodeEventType type, const Member& member, WallTime at);
  // The member's facts or load have changed: perhaps whether it drains.
  void note_change(const Member& member, WallTime at);
  // It is no member any more.
  void note_forgotten(const NodeId& node, WallTime at);

  // Number of the newest; 0: there are none yet.
  std::uint64_t last() const { return first_ + events_.size() - 1; }
  // Those above this number.
  std::vector<NodeEvent> after(std::uint64_t number) const;

 private:
  struct Life {
    Boot boot = 0;
    std::uint64_t incarnation = 0;
    bool draining = false;
    // How often each was noted: restarts within the boot, others within the incarnation.
    std::array<std::uint32_t, static_cast<std::size_t>(NodeEventType::kLast) + 1> times{};
  };
  std::uint32_t count(NodeEventType type, const Member& member);
  void add(NodeEvent event);

  std::deque<NodeEvent> events_;
  std::uint64_t first_ = 1;       // number of events_.front()
  std::map<NodeId, Life> lives_;  // of members, until they leave or are forgotten
};

}  // namespace dunlin
