#include "sim/checkers/executors.h"

#include <algorithm>

#include "base/codec.h"
#include "sched/messages.h"
#include "sched/process_label.h"
#include "sim/disk_replicas.h"

namespace dunlin::sim {

namespace {

// A frame is the module, the head of a pair, and the number of the message: most are of no
// interest here and need not be read.
template <class T>
bool is_a(ByteView frame) {
  if (frame.size() < 3 || frame[0] != static_cast<std::uint8_t>(Module::kSched)) return false;
  return frame[2] == sched::SchedMessage(T{}).index();
}

// Orders come first among the messages.
bool is_order(ByteView frame) {
  return frame.size() > 2 && frame[0] == static_cast<std::uint8_t>(Module::kSched) &&
         frame[2] <= sched::SchedMessage(sched::AskHeld{}).index();
}

std::pair<GroupId, Term> label_of(const sched::SchedMessage& order) {
  return std::visit(
      [](const auto& message) -> std::pair<GroupId, Term> {
        if constexpr (requires { message.epoch; }) {
          return {message.group, message.epoch};
        } else {
          return {};
        }
      },
      order);
}

std::string epoch_fact(GroupId group) {
  return "epoch/" + std::to_string(group.value);
}

// 0: none is durable there.
Term epoch_on(const SimDisk& disk, GroupId group) {
  const auto fact = fact_on(disk, epoch_fact(group));
  return fact ? decode<Term>(*fact).value_or(0) : 0;
}

std::string text_of(GroupId group, Term epoch) {
  return "epoch " + std::to_string(epoch) + " of group " + std::to_string(group.value);
}

}  // namespace

void ExecutorChecker::on_received(std::uint64_t life, const NodeId& from, const SimDisk& disk,
                                  ByteView frame) {
  if (!is_order(frame)) return;
  const Result<sched::SchedMessage> message = sched::decode_frame(frame);
  if (!message) return;
  const auto [group, epoch] = label_of(*message);
  if (epoch < epoch_on(disk, group)) {
    owed_.insert({life, from, group});
    return;
  }
  const auto* bind = std::get_if<sched::Bind>(&*message);
  if (bind == nullptr) return;
  for (const sched::TaskRun& run : bind->tasks) {
    for (std::uint32_t i = 0; i < run.count; ++i) {
      bound_[life].insert({bind->job, run.first + i, run.attempt});
    }
  }
}

void ExecutorChecker::after_turn(Instant at, const NodeId& node, std::uint64_t life) {
  for (auto owed = owed_.lower_bound({life, {}, {}}); owed != owed_.end() && owed->life == life;
       owed = owed_.erase(owed)) {
    verdict_.fail(at, "Q3",
                  node.short_text() + " does not refuse an outdated order of group " +
                      std::to_string(owed->group.value));
  }
}

void ExecutorChecker::on_send(Instant at, const NodeId& node, std::uint64_t life,
                              const SimDisk& disk, bool honest, const NodeId& to, ByteView frame) {
  if (!is_a<sched::HeldList>(frame) && !is_a<sched::Refused>(frame)) return;
  const Result<sched::SchedMessage> message = sched::decode_frame(frame);
  if (!message) return verdict_.fail(at, "Q3", "what an executor says and cannot be read");
  if (const auto* refused = std::get_if<sched::Refused>(&*message)) {
    const auto owed = owed_.find({life, to, refused->group});
    if (owed != owed_.end()) owed_.erase(owed);
    return;
  }
  const auto& held = std::get<sched::HeldList>(*message);
  const Term durable = epoch_on(disk, held.group);
  if (held.epoch > durable) {
    verdict_.fail(
        at, "Q2",
        node.short_text() + " obeys " + text_of(held.group, held.epoch) + " before it is durable");
  }
  if (held.epoch < durable) {
    verdict_.fail(at, "Q3",
                  node.short_text() + " obeys " + text_of(held.group, held.epoch) +
                      " though it knows " + std::to_string(durable));
  }
  const auto known = answered_.find({node, held.group});
  if (known != answered_.end() && held.epoch < known->second) {
    verdict_.fail(at, honest ? "Q3" : "Q8",
                  node.short_text() + " obeys " + text_of(held.group, held.epoch) +
                      " and has forgotten that it obeyed " + std::to_string(known->second));
  }
  if (!honest) return;
  Term& answered = answered_[{node, held.group}];
  answered = std::max(answered, held.epoch);
}

void ExecutorChecker::starts(Instant at, const NodeId& node, std::uint64_t life,
                             const SimDisk& disk, const StartProcess& start) {
  const Result<sched::ProcessLabel> label = decode<sched::ProcessLabel>(start.label);
  if (!label) return verdict_.fail(at, "Q3", "a process whose label cannot be read");
  const std::string who = node.short_text() + " starts " + label->job.text() + " at index " +
                          std::to_string(label->index) + " by an order of " +
                          text_of(label->group, label->attempt.epoch);
  if (label->attempt.epoch > epoch_on(disk, label->group)) {
    verdict_.fail(at, "Q2", who + " before that is durable");
  }
  if (!bound_[life].contains({label->job, label->index, label->attempt})) {
    verdict_.fail(at, "Q3", who + " that was outdated when it came");
  }
}

void ExecutorChecker::on_start(Instant at, const NodeId& node,
                               const std::map<std::string, Bytes>& facts) {
  for (auto known = answered_.lower_bound({node, GroupId{}});
       known != answered_.end() && known->first.first == node; ++known) {
    const auto fact = facts.find(epoch_fact(known->first.second));
    if (fact != facts.end() && decode<Term>(fact->second).value_or(0) >= known->second) continue;
    verdict_.fail(at, "Q2",
                  node.short_text() + " obeyed " + text_of(known->first.second, known->second) +
                      " and does not know it any more");
  }
}

}  // namespace dunlin::sim
