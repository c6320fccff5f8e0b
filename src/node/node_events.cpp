#include "node/node_events.h"

#include <algorithm>
#include <array>

namespace dunlin {

namespace {

constexpr std::array kNames = {"node_alive",     "node_suspect",  "node_dead",     "node_left",
                               "node_restarted", "node_draining", "node_undrained"};
static_assert(kNames.size() == static_cast<std::size_t>(NodeEventType::kUndrained) + 1);

}  // namespace

const char* name_of(NodeEventType type) {
  return kNames[static_cast<std::size_t>(type)];
}

void NodeEvents::note(NodeEventType type, const Member& member, WallTime at) {
  if (type == NodeEventType::kLeft) draining_.erase(member.facts.id);
  NodeEvent event{{}, at, type, member.facts.id, member.facts.name};
  // Only what is so throughout a boot comes without an incarnation: a node that restarted is seen
  // in whichever incarnation it has reached by then.
  const std::string incarnation =
      type == NodeEventType::kRestarted ? "" : "." + std::to_string(member.incarnation);
  add(std::move(event), std::to_string(member.boot) + incarnation);
}

void NodeEvents::note_change(const Member& member, WallTime at) {
  bool& was_draining = draining_[member.facts.id];
  if (was_draining == member.load.draining) return;
  was_draining = member.load.draining;
  note(was_draining ? NodeEventType::kDraining : NodeEventType::kUndrained, member, at);
}

void NodeEvents::note_forgotten(const NodeId& node, WallTime at) {
  draining_.erase(node);
  add({{}, at, NodeEventType::kLeft, node, {}}, "forgotten");
}

// The same once more, of the same life and incarnation, is told from the first time by a number.
void NodeEvents::add(NodeEvent event, const std::string& what) {
  const std::string id = "node." + event.node.text() + "." + what + "." +
                         std::string(name_of(event.type)).substr(std::string("node_").size());
  const auto is_known = [&](const std::string& wanted) {
    return std::any_of(events_.begin(), events_.end(),
                       [&](const NodeEvent& known) { return known.id == wanted; });
  };
  event.id = id;
  for (int times = 2; is_known(event.id); ++times) event.id = id + "." + std::to_string(times);
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

std::vector<NodeEvent> NodeEvents::since(WallTime time) const {
  std::vector<NodeEvent> found;
  std::copy_if(events_.begin(), events_.end(), std::back_inserter(found),
               [&](const NodeEvent& event) { return event.time >= time; });
  return found;
}

}  // namespace dunlin
