#include "sched/epoch_gate.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/codec.h"

namespace dunlin::sched {

namespace {

constexpr std::string_view kPrefix = "epoch/";
constexpr Duration kAskLeadAgain = milliseconds(100);

}  // namespace

EpochGate::EpochGate(NodeId self, bool is_first_life, std::uint64_t life)
    : self_(self), is_first_life_(is_first_life), life_(life) {}

EpochGate::Gate& EpochGate::gate_of(GroupId group) {
  const auto [at, is_new] = gates_.try_emplace(group);
  if (is_new && is_first_life_) at->second.stands = 0;
  return at->second;
}

void EpochGate::keep(Gate& gate, NodeId from, const SchedMessage& order) {
  if (gate.waiting.size() < kMaxGated) gate.waiting.push_back({from, order});
}

Result<void> EpochGate::recover(std::string_view key, ByteView value) {
  if (!key.starts_with(kPrefix)) return fail(Code::kCorrupt, "no epoch: " + std::string(key));
  key.remove_prefix(kPrefix.size());
  std::uint16_t group = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), group);
  const Result<Term> epoch = decode<Term>(value);
  if (error != std::errc() || end != key.data() + key.size() || group >= kMaxGroups || !epoch) {
    return fail(Code::kCorrupt, "a fact that is no epoch: " + std::string(key));
  }
  Gate& gate = gate_of(GroupId{group});
  gate.durable = std::max(gate.durable, *epoch);
  gate.pending = gate.durable;
  return {};
}

bool EpochGate::admit(Turn& turn, NodeId from, GroupId group, Term epoch,
                      const SchedMessage& order) {
  Gate& gate = gate_of(group);
  const Term least = std::max(gate.pending, gate.stands.value_or(0));
  if (epoch < least) {
    turn.send(from, Refused{group, least});
    return false;
  }
  // What this node leads itself it leads in this life.
  if (!gate.stands && from == self_) gate.stands = epoch;
  if (!gate.stands) {
    doubt(turn, gate, from, group, epoch, order);
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
  keep(gate, from, order);
  return false;
}

// Orders are repeated until they are obeyed, and so is the question.
void EpochGate::doubt(Turn& turn, Gate& gate, NodeId from, GroupId group, Term epoch,
                      const SchedMessage& order) {
  if (epoch < gate.doubted) return;
  if (epoch > gate.doubted) {
    gate.doubted = epoch;
    gate.waiting.clear();
    gate.ask_at = turn.now;
  }
  keep(gate, from, order);
  if (turn.now < gate.ask_at) return;
  gate.ask_at = turn.now + kAskLeadAgain;
  turn.send(from, AskLead{group, epoch, life_});
}

std::vector<EpochGate::Order> EpochGate::on_stands(const LeadStands& answer) {
  const auto at = gates_.find(answer.group);
  if (at == gates_.end() || at->second.stands || answer.life != life_) return {};
  at->second.stands = answer.epoch;
  return std::exchange(at->second.waiting, {});
}

bool EpochGate::is_sound(GroupId group) const {
  const auto at = gates_.find(group);
  return at == gates_.end() ? is_first_life_ : at->second.stands.has_value();
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
  gate_of(group).coordinator = leader;
}

}  // namespace dunlin::sched
