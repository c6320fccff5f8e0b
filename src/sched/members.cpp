#include "sched/members.h"

#include <algorithm>

namespace dunlin::sched {

void Members::set(std::map<NodeId, SchedMember> members, Ring ring) {
  for (auto& [id, member] : members) member.boot = std::max(member.boot, boot(id));
  members_ = std::move(members);
  ring_ = std::move(ring);
  count_cpus();
}

bool Members::is_usable(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && at->second.state == SchedMemberState::kAlive &&
         !at->second.draining && at->second.cpus > 0;
}

bool Members::is_alive(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && at->second.state == SchedMemberState::kAlive;
}

bool Members::is_gone(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && (at->second.state == SchedMemberState::kDead ||
                                  at->second.state == SchedMemberState::kLeft);
}

bool Members::has_left(const NodeId& node) const {
  const auto at = members_.find(node);
  return at != members_.end() && at->second.state == SchedMemberState::kLeft;
}

Boot Members::boot(const NodeId& node) const {
  const auto at = members_.find(node);
  return at == members_.end() ? 0 : at->second.boot;
}

void Members::learn_boot(const NodeId& node, Boot boot) {
  const auto at = members_.find(node);
  if (at != members_.end()) at->second.boot = std::max(at->second.boot, boot);
}

void Members::set_state(const NodeId& node, SchedMemberState state) {
  const auto at = members_.find(node);
  if (at == members_.end() || at->second.state == state) return;
  at->second.state = state;
  count_cpus();
}

namespace {

bool names(const std::vector<NodeId>& nodes, const NodeId& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool is_named(const NodeId& node, const Placement& where) {
  return (where.nodes.empty() || names(where.nodes, node)) && !names(where.excluded, node);
}

bool has_label(const SchedMember& member, const std::string& name, const std::string& value) {
  const auto at = member.labels.find(name);
  return at != member.labels.end() && at->second == value;
}

bool has_labels(const SchedMember& member, const Placement& where) {
  return std::all_of(where.labels.begin(), where.labels.end(), [&](const auto& label) {
    return has_label(member, label.first, label.second);
  });
}

// Memory that a node does not know of is taken to be enough.
Room room_of(const SchedMember& member) {
  return {member.cpus, member.memory == 0 ? UINT64_MAX : member.memory, member.devices};
}

}  // namespace

Fit Members::fit(const NodeId& node, const Wanted& wanted) const {
  if (!is_usable(node)) return Fit::kUnusable;
  const SchedMember& member = members_.at(node);
  const JobSpec& spec = *wanted.spec;
  if (member.root_jobs_only && wanted.user != kRootUser) return Fit::kRefused;
  if (!is_named(node, spec.placement)) return Fit::kExcluded;
  if (wanted.avoided != nullptr && wanted.avoided->contains(node)) return Fit::kAvoided;
  const bool is_there = spec.placement.zone.empty() || member.zone == spec.placement.zone;
  if (!is_there || !has_labels(member, spec.placement)) return Fit::kLacks;
  return room_of(member).holds(room_of_task(spec)) ? Fit::kFits : Fit::kLacks;
}

std::vector<NodeId> Members::candidates(const JobId& job, const Wanted& wanted,
                                        std::size_t count) const {
  std::vector<NodeId> chosen;
  const std::uint64_t position = Ring::position_of(as_bytes(job.text()));
  // Most nodes fit as a rule: look a little further than needed before looking at all.
  for (std::size_t breadth = count + 8;; breadth = ring_.size()) {
    chosen.clear();
    for (const NodeId& node : ring_.successors(position, breadth)) {
      if (chosen.size() < count && fits(node, wanted)) chosen.push_back(node);
    }
    if (chosen.size() >= count || breadth >= ring_.size()) break;
  }
  // Nodes that store nothing do not stand on the ring, and can compute all the same.
  for (const auto& [node, member] : members_) {
    if (chosen.size() >= count) break;
    if (!fits(node, wanted)) continue;
    if (std::find(chosen.begin(), chosen.end(), node) == chosen.end()) chosen.push_back(node);
  }
  return chosen;
}

std::size_t Members::feasible(const Wanted& wanted) const {
  std::size_t count = 0;
  for (const auto& [node, member] : members_) count += fits(node, wanted) ? 1 : 0;
  return count;
}

namespace {

// "it asks for 4 gpus, and no node has more than 2"; empty when some node has that many.
std::string shortage(std::uint64_t needs, std::uint64_t most, const std::string& what,
                     const std::string& unit = {}) {
  if (needs <= most) return {};
  const std::string asks = "it asks for " + std::to_string(needs) + unit + " " + what + ", and no ";
  if (most == 0) return asks + "node has any";
  return asks + "node has more than " + std::to_string(most) + unit;
}

std::string placement_shortage(const Placement& where,
                               const std::vector<const SchedMember*>& nodes) {
  const auto has_any = [&](const auto& condition) {
    return std::any_of(nodes.begin(), nodes.end(),
                       [&](const SchedMember* member) { return condition(*member); });
  };
  if (!where.zone.empty() && !has_any([&](const auto& m) { return m.zone == where.zone; })) {
    return "it asks for the zone '" + where.zone + "', and no node is there";
  }
  for (const auto& label : where.labels) {
    if (has_any([&](const auto& m) { return has_label(m, label.first, label.second); })) continue;
    std::string line = "it asks for the label ";
    line.append(label.first).append("=").append(label.second);
    return line + ", and no node has it";
  }
  return {};
}

// Of these nodes, all of which may be asked; one thing that a task wants and none has.
std::string what_none_has(const JobSpec& spec, const std::vector<const SchedMember*>& nodes) {
  constexpr std::uint64_t kMiB = 1024 * 1024;
  if (std::string text = placement_shortage(spec.placement, nodes); !text.empty()) return text;
  Room most;
  for (const SchedMember* member : nodes) {
    const Room room = room_of(*member);
    most.cpus = std::max(most.cpus, room.cpus);
    most.memory = std::max(most.memory, room.memory);
    most.devices.gpus = std::max(most.devices.gpus, room.devices.gpus);
    for (const auto& [name, total] : room.devices.resources) {
      std::uint64_t& of_name = most.devices.resources[name];
      of_name = std::max(of_name, total);
    }
  }
  const Room task = room_of_task(spec);
  if (std::string text = shortage(task.cpus, most.cpus, "cpus"); !text.empty()) return text;
  if (std::string text =
          shortage((task.memory + kMiB - 1) / kMiB, most.memory / kMiB, "of memory", "M");
      !text.empty()) {
    return text;
  }
  if (std::string text = shortage(task.devices.gpus, most.devices.gpus, "gpus"); !text.empty()) {
    return text;
  }
  for (const auto& [name, count] : task.devices.resources) {
    std::string text = shortage(count, most.resource(name), "of '" + name + "'");
    if (!text.empty()) return text;
  }
  return "no node has all that it asks for at once";
}

}  // namespace

std::string Members::why_impossible(const Wanted& wanted) const {
  std::vector<const SchedMember*> usable;
  std::vector<const SchedMember*> named;
  bool is_anyone_refused = false;
  for (const auto& [node, member] : members_) {
    const Fit fit = this->fit(node, wanted);
    is_anyone_refused |= fit == Fit::kRefused;
    if (fit == Fit::kUnusable || fit == Fit::kRefused) continue;
    usable.push_back(&member);
    if (fit != Fit::kExcluded) named.push_back(&member);
  }
  if (usable.empty() && is_anyone_refused) {
    return "all nodes run tasks as root, which is for jobs of root alone; start nodes with "
           "--run-as USER, or as another account";
  }
  if (usable.empty()) return "no node takes tasks";
  if (named.empty()) {
    return wanted.spec->placement.nodes.empty() ? "it excludes every node that takes tasks"
                                                : "none of the nodes that it names takes tasks";
  }
  return what_none_has(*wanted.spec, named);
}

void Members::count_cpus() {
  cpus_ = 0;
  for (const auto& [node, member] : members_) cpus_ += is_usable(node) ? member.cpus : 0;
}

std::string Members::name_of(const NodeId& node) const {
  const auto at = members_.find(node);
  return at == members_.end() || at->second.name.empty() ? node.short_text() : at->second.name;
}

}  // namespace dunlin::sched
