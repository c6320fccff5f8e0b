#include "node/node_events.h"

namespace dunlin {

namespace {

constexpr std::array kNames = {"node_alive",     "node_suspect",  "node_dead",     "node_left",
                               "node_restarted", "node_draining", "node_undrained"};
static_assert(kNames.size() == static_cast<std::size_t>(NodeEventType::kLast) + 1);

std::string id_of(const NodeId& node, const std::string& what, NodeEventType type) {
  return "node." + node.text() + "." + what + "." +
         std::string(name_of(type)).substr(std::string("node_").size());
}

}  // namespace

const char* name_of(NodeEventType type) {
  return kNames[static_cast<std::size_t>(type)];
}

void NodeEvents::note(NodeEventType type, const Member& member, WallTime at) {
  // Only what is so throughout a boot comes without an incarnation: a node that restarted is seen
  // in whichever incarnation it has reached by then.
  const std::string incarnation =
      type == NodeEventType::kRestarted ? "" : "." + std::to_string(member.incarnation);
  std::string id = id_of(member.facts.id, std::to_string(member.boot) + incarnation, type);
  const std::uint32_t times = count(type, member);
  if (times > 1) id += "." + std::to_string(times);
  add({std::move(id), at, type, member.facts.id, member.facts.name});
  // It comes back, if at all, in another boot.
  if (type == NodeEventType::kLeft) lives_.erase(member.facts.id);
}

// Neither boot nor incarnation of a member is ever lowered: a count that begins anew is of another
// name.
std::uint32_t NodeEvents::count(NodeEventType type, const Member& member) {
  Life& life = lives_[member.facts.id];
  const std::uint32_t restarts = life.times[static_cast<std::size_t>(NodeEventType::kRestarted)];
  const bool is_same_boot = life.boot == member.boot;
  if (!is_same_boot || life.incarnation != member.incarnation) life.times = {};
  if (is_same_boot) life.times[static_cast<std::size_t>(NodeEventType::kRestarted)] = restarts;
  life.boot = member.boot;
  life.incarnation = member.incarnation;
  return ++life.times[static_cast<std::size_t>(type)];
}

void NodeEvents::note_change(const Member& member, WallTime at) {
  if (member.state == MemberState::kLeft) return;
  bool& was_draining = lives_[member.facts.id].draining;
  if (was_draining == member.load.draining) return;
  was_draining = member.load.draining;
  note(was_draining ? NodeEventType::kDraining : NodeEventType::kUndrained, member, at);
}

void NodeEvents::note_forgotten(const NodeId& node, WallTime at) {
  lives_.erase(node);
  add({id_of(node, "forgotten", NodeEventType::kLeft), at, NodeEventType::kLeft, node, {}});
}

void NodeEvents::add(NodeEvent event) {
  events_.push_back(std::move(event));
  if (events_.size() <= kMaxNodeEvents) return;
  events_.pop_front();
  ++first_;
}

std::vector<NodeEvent> NodeEvents::after(std::uint64_t number) const {
  const std::uint64_t skip = number < first_ ? 0 : number - first_ + 1;
  if (skip >= events_.size()) return {};
  return {events_.begin() + static_cast<std::ptrdiff_t>(skip), events_.end()};
}

}  // namespace dunlin
