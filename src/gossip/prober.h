// Probes under way: own ones, and those run for others. It decides what is due; Detector sends.
// SWIM 3.1: ping; after a while ask helpers to ping; after another it has failed. After
// Lifeguard the times are stretched by the local health, and helpers report failure as well.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "gossip/config.h"
#include "gossip/health.h"

namespace dunlin::gossip {

constexpr std::size_t kMaxProbes = 16;    // own ones at a time
constexpr std::size_t kMaxErrands = 256;  // run for others at a time

class Prober {
 public:
  // Both must outlive it. The sequence should differ between lives.
  Prober(const GossipConfig& config, LocalHealth& health, std::uint32_t first_sequence)
      : config_(config), health_(health), sequence_(first_sequence) {}

  bool has_room() const { return probes_.size() < kMaxProbes; }
  bool is_probing(NodeId target) const;

  // Both return the sequence to ping the target with. `patience`: of the target's standing.
  std::uint32_t begin(Instant now, NodeId target, std::uint8_t patience);
  // Nothing when too many errands are under way.
  std::optional<std::uint32_t> run_errand(Instant now, NodeId asker, std::uint32_t asker_sequence,
                                          NodeId target, Duration wait);

  struct Errand {
    NodeId asker;
    std::uint32_t asker_sequence = 0;
    NodeId target;
    Instant begun_at;
    Instant end_at;
  };
  // An ack. When it ends an errand, the asker wants to know.
  std::optional<Errand> acknowledged(NodeId from, std::uint32_t sequence);
  // Any frame from a node ends the own probes of it.
  void heard(Instant now, NodeId from);
  void reported(NodeId helper, std::uint32_t sequence, bool answered);
  // Which helpers are asked about the probe.
  void asked(std::uint32_t sequence, std::vector<NodeId> helpers);

  struct Step {
    std::uint32_t sequence = 0;
    NodeId target;
    Duration wait;  // that helpers have
  };
  struct Failure {
    NodeId target;
    Instant begun_at;
    std::vector<NodeId> witnesses;  // helpers who got no answer either
  };
  struct Due {
    std::vector<Step> to_ask;  // not yet answered: try the stream and helpers
    std::vector<Failure> failures;
    std::vector<Errand> vain_errands;
  };
  Due take_due(Instant now);
  Instant next_deadline() const;
  void postpone(Duration late);

 private:
  struct Probe {
    NodeId target;
    Instant begun_at;
    Instant ask_at;  // never once asked
    Instant end_at;
    std::vector<NodeId> helpers;
    std::vector<NodeId> witnesses;
  };

  void judge_self(const Probe& failed);

  const GossipConfig& config_;
  LocalHealth& health_;
  std::uint32_t sequence_;
  std::map<std::uint32_t, Probe> probes_;
  std::map<std::uint32_t, Errand> errands_;
};

}  // namespace dunlin::gossip
