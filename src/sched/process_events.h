// What a node's runner tells it, as data: the answers to StartProcess, SignalProcess, OutputTaken,
// FindOutputs, ReadOutput and ReleaseProcess of base/effects.h. src/os/runner delivers them from
// real processes, tests/sim from pretended ones; the executor cannot tell which.
//
// Order. RunnerReady comes first, before any command is given. For one key: ProcessStarted, then
// ProcessOutput with each stream's offsets rising without gap, then ProcessExited exactly once,
// when no more output can come. Commands for keys that the runner does not hold are ignored.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/effects.h"
#include "base/fields.h"
#include "base/time.h"

namespace dunlin {

// A process that outlived the last life of the node process (or is merely still unreleased).
struct RunnerHeld {
  ProcessKey key = 0;
  Bytes label;  // as given in StartProcess
  std::int32_t pid = 0;
  WallTime started_at;
  bool exited = false;             // its ProcessExited follows, after the untaken output
  std::uint64_t stdout_taken = 0;  // ProcessOutput goes on from these offsets: what lies before
  std::uint64_t stderr_taken = 0;  // was acknowledged by OutputTaken
  bool told_to_end = false;        // it was sent TERM or KILL while it ran
  static constexpr std::size_t kRequiredFields = 7;
  static constexpr auto fields() {
    using H = RunnerHeld;
    return Fields<&H::key, &H::label, &H::pid, &H::started_at, &H::exited, &H::stdout_taken,
                  &H::stderr_taken, &H::told_to_end>{};
  }
};

// The whole truth about what is held: a key that is not in the list is gone, and so are its files.
// Comes at start, after each RunnerLost, and again when the connection to the same runner was
// renewed; then untaken output is delivered again from the offsets above. New keys must differ
// from those held.
struct RunnerReady {
  std::vector<RunnerHeld> held;
  std::string note = {};  // for people: what tasks are not kept from; empty: all is enforced
};

// The runner died, and all processes with it. Commands are ignored until the next RunnerReady.
struct RunnerLost {};

// The signals that an executor orders, by Linux's numbers.
constexpr std::int32_t kSignalKill = 9;
constexpr std::int32_t kSignalTerm = 15;
constexpr std::int32_t kSignalContinue = 18;
constexpr std::int32_t kSignalStop = 19;

struct ProcessStarted {
  ProcessKey key = 0;
  std::int32_t pid = 0;
  static constexpr auto fields() { return Fields<&ProcessStarted::key, &ProcessStarted::pid>{}; }
};

// At most kMaxOutputPiece bytes. The runner keeps what is not taken, up to kMaxUntaken a stream,
// and then reads no more: the process waits in its write().
struct ProcessOutput {
  ProcessKey key = 0;
  bool is_stderr = false;
  std::uint64_t offset = 0;
  Bytes bytes;
  static constexpr auto fields() {
    return Fields<&ProcessOutput::key, &ProcessOutput::is_stderr, &ProcessOutput::offset,
                  &ProcessOutput::bytes>{};
  }
};
constexpr std::uint64_t kMaxUntaken = 1024 * 1024;
constexpr std::uint64_t kMaxOutputPiece = 64 * 1024;

// The process ended, and everything else of its group with it. Where descendants kept the output
// open, it was cut 200 ms after the exit, or with the end of a group that had its grace.
struct ProcessExited {
  ProcessKey key = 0;
  // 0-255. With a start_error: 127 there is no such executable, 126 it cannot be executed (also: a
  // directory, no x bit, its interpreter is missing), 125 dunlin could not prepare the start.
  std::int32_t exit_code = 0;
  std::int32_t signal = 0;       // that ended it, or 0; exit_code is then 128 + signal
  std::int32_t start_error = 0;  // errno; 0: it was started
  bool killed_for_memory = false;
  WallTime started_at;
  WallTime finished_at;
  std::uint64_t cpu_ms = 0;   // user and system, with the descendants it waited for
  std::uint64_t max_rss = 0;  // bytes; of the whole tree where a cgroup or the watcher knows it
  std::uint64_t stdout_end = 0;
  std::uint64_t stderr_end = 0;
  bool lacks_directory = false;  // the start_error is about StartProcess::host_directory
  // Killed since the node's disk was nearly full, and this one's directory held most: so many
  // bytes. They are gone. 0: not for that.
  std::uint64_t killed_with = 0;
  // A runner of an earlier version says no more.
  static constexpr std::size_t kRequiredFields = 12;
  static constexpr auto fields() {
    return Fields<&ProcessExited::key, &ProcessExited::exit_code, &ProcessExited::signal,
                  &ProcessExited::start_error, &ProcessExited::killed_for_memory,
                  &ProcessExited::started_at, &ProcessExited::finished_at, &ProcessExited::cpu_ms,
                  &ProcessExited::max_rss, &ProcessExited::stdout_end, &ProcessExited::stderr_end,
                  &ProcessExited::lacks_directory, &ProcessExited::killed_with>{};
  }
};

struct FoundOutput {
  std::string name;  // relative to the task's directory, `/` separated
  std::uint64_t size = 0;
  std::uint32_t mode = 0;  // permission bits
};

// Sorted by name; regular files only, at most kMaxOutputs.
struct OutputsFound {
  ProcessKey key = 0;
  std::vector<FoundOutput> files;
  std::string error;  // empty: well
};
constexpr std::size_t kMaxOutputs = 10'000;

// Fewer bytes than asked for: the file ends there. At most kMaxOutputRead are given at once.
struct OutputData {
  ProcessKey key = 0;
  std::string name;
  std::uint64_t offset = 0;
  Bytes bytes;
  std::string error;  // empty: well
};
constexpr std::uint32_t kMaxOutputRead = 1024 * 1024;

// The runner does not answer, stopped or hung; or does again. What it holds may well go on.
struct RunnerSilence {
  bool is_silent = false;
};

using ProcessEvent = std::variant<RunnerReady, RunnerLost, ProcessStarted, ProcessOutput,
                                  ProcessExited, OutputsFound, OutputData, RunnerSilence>;

}  // namespace dunlin
