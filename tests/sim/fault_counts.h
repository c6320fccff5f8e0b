// Faults by kind, counted when they took effect, not when they were ordered: a frame that its
// receiver would have taken and that did not come, a write that was lost, rot that a journal
// refused. Only while an injector is at work: founding a cluster and laying its rest to sleep in
// the end is no fault.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::sim {

enum class Fault : std::uint8_t {
  kLoss,              // a frame vanished on its way
  kDuplication,       // one was taken twice
  kReordering,        // one was held back, and a later one of that link was taken before it
  kDelay,             // one took much longer than the link's usual time
  kPartition,         // a frame met a cut that separates hosts both ways
  kOneWayPartition,   // ... one way only
  kPartialPartition,  // ... between some pairs, while others reach both sides
  kPause,             // a node stood still while a frame waited for it
  kHostCrash,         // the host died, with its tasks and what was not durable
  kPowerCut,          // several hosts at once
  kDiskFull,          // a batch went into the reserve, or a checkpoint had to wait
  kIoError,           // a write failed and ended the process
  kHungDisk,          // a batch had to wait
  kBitFlip,           // of the log, the facts or the state, and the journal refused it
  kPackRot,           // of a pack file, and a read came upon it
  kLostTail,          // a node started without rows it had had
  kLostLog,           // the whole log was gone, and the journal missed it
  kLostState,         // likewise the applied state
  kRestored,          // a node started on an older copy of its directory
  kCloned,            // a copy of a directory was heard beside its original
  // In each plan, and what follows from the others: told, but no merit of a seed.
  kProcessCrash,  // the node process died, its tasks went on
  kJoin,
  kLeave,
  kLostWrites,   // a crash lost batches
  kTornWrite,    // a crash left a piece of one
  kMissedReset,  // a process died and its peers were not told by a reset
  kRetired,      // a host whose log was rotten came back as a new node
  // What people do meanwhile, one at a time.
  kDrained,    // a node was told to take no tasks
  kForgotten,  // a dead node was given up by all, before its host came back
  kLast = kForgotten,
};
constexpr std::size_t kFaultKinds = static_cast<std::size_t>(Fault::kLast) + 1;
// Kinds that make a seed count.
constexpr std::size_t kMeritKinds = static_cast<std::size_t>(Fault::kProcessCrash);

constexpr const char* name_of(Fault fault) {
  constexpr std::array<const char*, kFaultKinds> names = {"loss",
                                                          "duplication",
                                                          "reordering",
                                                          "delay",
                                                          "partition",
                                                          "one-way partition",
                                                          "partial partition",
                                                          "pause",
                                                          "host crash",
                                                          "power cut",
                                                          "disk full",
                                                          "I/O error",
                                                          "hung disk",
                                                          "bit flip",
                                                          "pack rot",
                                                          "lost tail",
                                                          "lost log",
                                                          "lost state",
                                                          "restored copy",
                                                          "cloned copy",
                                                          "process crash",
                                                          "join",
                                                          "leave",
                                                          "lost writes",
                                                          "torn write",
                                                          "missed reset",
                                                          "retired node",
                                                          "drained node",
                                                          "forgotten node"};
  return names[static_cast<std::size_t>(fault)];
}

constexpr std::optional<Fault> fault_named(std::string_view name) {
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    if (name == name_of(static_cast<Fault>(i))) return static_cast<Fault>(i);
  }
  return std::nullopt;
}

// "loss, pause"
inline std::string names_of(const std::vector<Fault>& faults) {
  std::string text;
  for (const Fault fault : faults) {
    if (!text.empty()) text += ", ";
    text += name_of(fault);
  }
  return text;
}

class FaultCounts {
 public:
  // What is noted before begin() and after end() is nobody's fault.
  void begin() { is_counting_ = true; }
  void end() { is_counting_ = false; }
  bool is_counting() const { return is_counting_; }

  void note(Fault fault) {
    if (is_counting_) ++counts_[static_cast<std::size_t>(fault)];
  }
  std::uint64_t count(Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }
  // Kinds that took effect, of those that make a seed count.
  std::size_t kinds() const {
    std::size_t kinds = 0;
    for (std::size_t i = 0; i < kMeritKinds; ++i) kinds += counts_[i] > 0 ? 1 : 0;
    return kinds;
  }
  // "loss 12, pause 1": kinds that took effect.
  std::string text() const {
    std::string text;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) continue;
      if (!text.empty()) text += ", ";
      text += std::string(name_of(static_cast<Fault>(i))) + " " + std::to_string(counts_[i]);
    }
    return text.empty() ? "no faults" : text;
  }

 private:
  bool is_counting_ = false;
  std::array<std::uint64_t, kFaultKinds> counts_{};
};

}  // namespace dunlin::sim
