// One process of the runner, from its start to its release. Internal to HeldProcesses.
#pragma once

#include <sched.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "os/runner_protocol.h"
#include "os/spawn.h"
#include "os/untaken_output.h"

namespace dunlin {

struct HeldStream {
  int fd = -1;  // -1: nothing more will be read
  bool is_watched = false;
  bool is_paused = false;
  std::uint64_t sent = 0;
  UntakenOutput output;
};

// All of a process that is none of the next one's in its slot.
struct HeldState {
  enum class Phase {
    kRunning,
    kExited,    // a zombie, whose output is still being read
    kFinished,  // reaped, or never started: only kept until released
  };

  RunnerStart command;
  std::optional<cpu_set_t> cores;

  Phase phase = Phase::kRunning;
  pid_t pid = 0;
  int pidfd = -1;
  bool has_cgroup = false;
  bool is_cut = false;  // its descendants were killed: an empty pipe is at its end
  // Told to end by TERM, not yet by KILL: its whole group may take its time.
  bool has_grace = false;
  bool told_to_end = false;
  bool killed_for_memory = false;
  std::uint64_t killed_with = 0;  // bytes on the nearly full disk; 0: not for that, or not by that
  std::uint64_t peak = 0;
  std::array<HeldStream, 2> streams;
  ProcessExited end;

  bool is_queued = false;
  bool told_start = false;
  bool told_end = false;
};

struct HeldProcess : HeldState {
  // For another process in this slot: strings and vectors keep their memory.
  void reset() { static_cast<HeldState&>(*this) = {}; }
  bool is_read() const { return streams[0].fd < 0 && streams[1].fd < 0; }

  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // of the slot: an event of an earlier process is told by it
  std::uint64_t sequence = 0;    // of all starts: names its cgroup

  // What the child reads on its way to exec; must stay until the process has ended.
  SpawnSlot slot;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::vector<std::string> candidates;
  std::vector<const char*> candidate_pointers;
  std::string path;
};

}  // namespace dunlin
