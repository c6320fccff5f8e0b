#include "sched/epoch_gate.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/codec.h"

namespace dunlin::sched {

namespace {

constexpr std::string_view kPrefix = "epoch/";

}  // namespace

Result<void> EpochGate::recover(std::string_view key, ByteView value) {
  if (!key.starts_with(kPrefix)) return fail(Code::kCorrupt, "no epoch: " + std::string(key));
  key.remove_prefix(kPrefix.size());
  std::uint16_t group = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), group);
  const Result<Term> epoch = decode<Term>(value);
  if (error != std::errc() || end != key.data() + key.size() || group >= kMaxGroups || !epoch) {
    return fail(Code::kCorrupt, "a fact that is no epoch: " + std::string(key));
  }
  Gate& gate = gates_[GroupId{group}];
  gate.durable = std::max(gate.durable, *epoch);
  gate.pending = gate.durable;
  return {};
}

bool EpochGate::admit(Turn& turn, NodeId from, GroupId group, Term epoch,
                      const SchedMessage& order) {
  Gate& gate = gates_[group];
  if (epoch < gate.pending) {
    turn.send(from, Refused{group, gate.pending});
    return false;
  }
  if (epoch == gate.durable) {
    gate.coordinator = from;
    return true;
  }
  if (epoch > gate.pending) {
    gate.pending = epoch;
    gate.waiting.clear();
    turn.effects.put_fact(std::string(kPrefix) + std::to_string(group.value), encode(epoch));
    turn.effects.notify_when_durable({Module::kSched, group.value, epoch, 0});
  }
  if (gate.waiting.size() < kMaxGated) gate.waiting.push_back({from, order});
  return false;
}

std::vector<EpochGate::Order> EpochGate::on_durable(const Ticket& ticket) {
  const auto at = gates_.find(GroupId{static_cast<std::uint16_t>(ticket.a)});
  if (at == gates_.end()) return {};
  Gate& gate = at->second;
  gate.durable = std::max(gate.durable, ticket.b);
  if (gate.durable != gate.pending) return {};
  return std::exchange(gate.waiting, {});
}

Term EpochGate::epoch(GroupId group) const {
  const auto at = gates_.find(group);
  return at == gates_.end() ? 0 : at->second.durable;
}

std::optional<NodeId> EpochGate::coordinator(GroupId group) const {
  const auto at = gates_.find(group);
  return at == gates_.end() ? std::nullopt : at->second.coordinator;
}

void EpochGate::learn_leader(GroupId group, NodeId leader) {
  gates_[group].coordinator = leader;
}

}  // namespace dunlin::sched
