#include "gossip/prober.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin::gossip {

bool Prober::is_probing(NodeId target) const {
  return std::ranges::any_of(probes_, [&](const auto& p) { return p.second.target == target; });
}

std::uint32_t Prober::begin(Instant now, NodeId target, std::uint8_t patience) {
  ASSERT(has_room());
  const std::int64_t factor = std::int64_t{health_.factor()} * (1 + patience);
  const std::uint32_t sequence = ++sequence_;
  Probe probe;
  probe.target = target;
  probe.begun_at = now;
  probe.ask_at = now + config_.ack_timeout * factor;
  probe.end_at = now + config_.probe_timeout * factor;
  probes_.emplace(sequence, std::move(probe));
  return sequence;
}

std::optional<std::uint32_t> Prober::run_errand(Instant now, NodeId asker,
                                                std::uint32_t asker_sequence, NodeId target,
                                                Duration wait) {
  if (errands_.size() >= kMaxErrands) return std::nullopt;
  const std::uint32_t sequence = ++sequence_;
  errands_.emplace(sequence, Errand{asker, asker_sequence, target, now, now + wait});
  return sequence;
}

std::optional<Prober::Errand> Prober::acknowledged(NodeId from, std::uint32_t sequence) {
  const auto found = errands_.find(sequence);
  if (found == errands_.end() || found->second.target != from) return std::nullopt;
  const Errand errand = found->second;
  errands_.erase(found);
  return errand;
}

void Prober::heard(Instant now, NodeId from) {
  std::erase_if(probes_, [&](const auto& entry) {
    const Probe& probe = entry.second;
    if (probe.target != from) return false;
    // An answer that came in only thanks to stretched times is no sign of recovery.
    if (now - probe.begun_at <= config_.ack_timeout) health_.improve();
    return true;
  });
}

void Prober::reported(NodeId helper, std::uint32_t sequence, bool answered) {
  const auto found = probes_.find(sequence);
  if (found == probes_.end()) return;
  Probe& probe = found->second;
  if (std::ranges::find(probe.helpers, helper) == probe.helpers.end()) return;
  if (answered) {
    probes_.erase(found);
  } else if (std::ranges::find(probe.witnesses, helper) == probe.witnesses.end()) {
    probe.witnesses.push_back(helper);
  }
}

void Prober::asked(std::uint32_t sequence, std::vector<NodeId> helpers) {
  const auto found = probes_.find(sequence);
  if (found != probes_.end()) found->second.helpers = std::move(helpers);
}

// A helper who reports nothing at all, not even failure, speaks against this node rather than
// against the target (Lifeguard 4.A). Once a probe: else the loss of half the cluster would make
// every survivor slow.
void Prober::judge_self(const Probe& failed) {
  if (failed.witnesses.size() < failed.helpers.size()) health_.worsen();
}

Prober::Due Prober::take_due(Instant now) {
  Due due;
  for (auto it = probes_.begin(); it != probes_.end();) {
    Probe& probe = it->second;
    if (probe.end_at <= now) {
      judge_self(probe);
      due.failures.push_back({probe.target, probe.begun_at, std::move(probe.witnesses)});
      it = probes_.erase(it);
      continue;
    }
    if (probe.ask_at <= now) {
      // Helpers report after four fifths of what is left, so that the report comes in time.
      due.to_ask.push_back({it->first, probe.target, (probe.end_at - now) * 4 / 5});
      probe.ask_at = Instant::never();
    }
    ++it;
  }
  std::erase_if(errands_, [&](const auto& entry) {
    if (entry.second.end_at > now) return false;
    due.vain_errands.push_back(entry.second);
    return true;
  });
  return due;
}

Instant Prober::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [sequence, probe] : probes_) next = std::min({next, probe.ask_at, probe.end_at});
  for (const auto& [sequence, errand] : errands_) next = std::min(next, errand.end_at);
  return next;
}

void Prober::postpone(Duration late) {
  for (auto& [sequence, probe] : probes_) {
    probe.ask_at = probe.ask_at + late;
    probe.end_at = probe.end_at + late;
  }
  for (auto& [sequence, errand] : errands_) errand.end_at = errand.end_at + late;
}

}  // namespace dunlin::gossip
