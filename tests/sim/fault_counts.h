// Faults by kind, counted when they took effect, not when they were ordered: a message that was
// dropped, a write that was lost.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace dunlin::sim {

enum class Fault : std::uint8_t {
  kLoss,              // a message vanished
  kDuplication,       // one arrived twice
  kReordering,        // one was held back, to be overtaken
  kDelay,             // one took much longer than the link's usual time
  kPartition,         // a message met a cut that separates hosts both ways
  kOneWayPartition,   // ... one way only
  kPartialPartition,  // ... between some pairs, while others reach both sides
  kPause,             // a node stood still and was given something meanwhile
  kProcessCrash,      // the node process died, its tasks went on
  kHostCrash,         // the host died, with its tasks and what was not durable
  kPowerCut,          // all hosts at once
  kLostWrites,        // a crash lost batches
  kTornWrite,         // a crash left a piece of one
  kDiskFull,
  kIoError,
  kHungDisk,
  kBitFlip,   // and the journal saw it
  kLostTail,  // rows vanished without an error
  kRestored,  // an older copy of a directory was put back
  kCloned,    // a copy of a directory ran beside its original
  kRetired,   // a host whose log was rotten came back as a new node
  kJoin,
  kLeave,
  kMissedReset,  // a process died and its peers were not told by a reset
  kLast = kMissedReset,
};
constexpr std::size_t kFaultKinds = static_cast<std::size_t>(Fault::kLast) + 1;

constexpr const char* name_of(Fault fault) {
  constexpr std::array<const char*, kFaultKinds> names = {"loss",
                                                          "duplication",
                                                          "reordering",
                                                          "delay",
                                                          "partition",
                                                          "one-way partition",
                                                          "partial partition",
                                                          "pause",
                                                          "process crash",
                                                          "host crash",
                                                          "power cut",
                                                          "lost writes",
                                                          "torn write",
                                                          "disk full",
                                                          "I/O error",
                                                          "hung disk",
                                                          "bit flip",
                                                          "lost tail",
                                                          "restored copy",
                                                          "cloned copy",
                                                          "retired node",
                                                          "join",
                                                          "leave",
                                                          "missed reset"};
  return names[static_cast<std::size_t>(fault)];
}

class FaultCounts {
 public:
  void note(Fault fault) { ++counts_[static_cast<std::size_t>(fault)]; }
  std::uint64_t count(Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }
  std::size_t kinds() const {
    std::size_t kinds = 0;
    for (const std::uint64_t count : counts_) kinds += count > 0 ? 1 : 0;
    return kinds;
  }
  void add(const FaultCounts& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  }
  // "loss 12, pause 1": kinds that took effect.
  std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) continue;
      if (!text.empty()) text += ", ";
      text += std::string(name_of(static_cast<Fault>(i))) + " " + std::to_string(counts_[i]);
    }
    return text;
  }

 private:
  std::array<std::uint64_t, kFaultKinds> counts_{};
};

}  // namespace dunlin::sim
