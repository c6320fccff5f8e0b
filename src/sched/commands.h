// What a coordinator writes into its group's log, and nothing else changes a job. The payload of an
// entry is one byte of version and the msgpack of `Command`.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/codec.h"
#include "base/fields.h"
#include "sched/requests.h"
#include "sched/results.h"
#include "sched/task_numbers.h"

namespace dunlin::sched {

constexpr std::uint8_t kCommandVersion = 4;
constexpr std::size_t kMaxCommandBytes = 960 * 1024;  // an entry of a group holds 1 MiB
constexpr std::size_t kMaxProbed = 4096;              // nodes named by one job

// Accepts a job. `probed` are named before any of them is asked; tasks from index `bound_below` on
// are bound to nobody before a later entry raises it.
struct SubmitCommand {
  JobId job;
  std::string user;
  std::string key;
  Bytes spec;  // encoded JobSpec
  WallTime at;
  std::vector<NodeId> probed;
  std::uint32_t bound_below = 0;
  static constexpr auto fields() {
    using S = SubmitCommand;
    return Fields<&S::job, &S::user, &S::key, &S::spec, &S::at, &S::probed, &S::bound_below>{};
  }
};

// Further nodes that are about to be probed, and a higher bound.
struct ProbeCommand {
  JobId job;
  std::vector<NodeId> nodes;
  std::uint32_t bound_below = 0;
  static constexpr auto fields() {
    return Fields<&ProbeCommand::job, &ProbeCommand::nodes, &ProbeCommand::bound_below>{};
  }
};

// One batch that one node reported of one job; `sequence` is the node's name for it.
struct NodeResults {
  JobId job;
  NodeId node;
  std::uint64_t sequence = 0;
  std::uint32_t bound_below = 0;
  ResultBatch batch;
  static constexpr auto fields() {
    using N = NodeResults;
    return Fields<&N::job, &N::node, &N::sequence, &N::bound_below, &N::batch>{};
  }
};
struct CompleteCommand {
  std::vector<NodeResults> results;
  static constexpr auto fields() { return Fields<&CompleteCommand::results>{}; }
};

// These attempts will bring no result: their node is gone or has forgotten them. `node_lost` counts
// toward the crash limit, once for each node and not for what was `waiting` to be started; a retry
// is never used up. More runs travel in further commands.
constexpr std::size_t kMaxLostRuns = 16 * 1024;
struct LostCommand {
  JobId job;
  NodeId node;
  bool node_lost = false;
  std::vector<TaskRun> attempts;
  WallTime at;
  std::vector<TaskRun> waiting;
  WallTime since{};  // when the first of those that had begun did; 0: not known
  static constexpr auto fields() {
    using L = LostCommand;
    return Fields<&L::job, &L::node, &L::node_lost, &L::attempts, &L::at, &L::waiting, &L::since>{};
  }
};

// Attempts that ran when their tasks were cancelled, on one node, since then.
struct CancelledOn {
  NodeId node;
  WallTime since;
  std::vector<TaskRun> attempts;
  static constexpr auto fields() {
    return Fields<&CancelledOn::node, &CancelledOn::since, &CancelledOn::attempts>{};
  }
};

// Ends open tasks; nothing listed means the whole job, whose round is then closed. What ran of them
// is named for the record, as far as it is no more than kMaxCancelledRuns.
constexpr std::size_t kMaxCancelRuns = 16 * 1024;
constexpr std::size_t kMaxCancelledRuns = 8 * 1024;
struct CancelCommand {
  JobId job;
  std::vector<IndexRun> tasks;
  WallTime at;
  std::string by;
  std::vector<CancelledOn> running;
  std::uint64_t order = 0;  // CancelTasks::number
  static constexpr auto fields() {
    using C = CancelCommand;
    return Fields<&C::job, &C::tasks, &C::at, &C::by, &C::running, &C::order>{};
  }
};

struct LogsCommand {
  JobId job;
  NodeId node;
  std::uint64_t sequence = 0;
  std::vector<AttemptLogs> logs;
  static constexpr auto fields() {
    using L = LogsCommand;
    return Fields<&L::job, &L::node, &L::sequence, &L::logs>{};
  }
};

// A finished job whose time to be kept is over.
struct DeleteCommand {
  JobId job;
  WallTime at{};
  static constexpr std::size_t kRequiredFields = 1;
  static constexpr auto fields() { return Fields<&DeleteCommand::job, &DeleteCommand::at>{}; }
};

// Pauses, freezes or releases tasks; none listed: the whole job.
struct HoldCommand {
  JobId job;
  std::vector<IndexRun> tasks;
  Hold hold = Hold::kNone;
  std::uint64_t order = 0;  // OrderJob::number
  WallTime at{};
  static constexpr std::size_t kRequiredFields = 4;
  static constexpr auto fields() {
    using H = HoldCommand;
    return Fields<&H::job, &H::tasks, &H::hold, &H::order, &H::at>{};
  }
};

// Opens failed and cancelled tasks anew, with `all` every closed one; none listed: of the whole
// job. The nodes and the bound are as in SubmitCommand.
struct RetryCommand {
  JobId job;
  std::vector<IndexRun> tasks;
  bool all = false;
  std::vector<NodeId> probed;
  std::uint32_t bound_below = 0;
  std::uint64_t order = 0;  // OrderJob::number
  WallTime at{};
  static constexpr std::size_t kRequiredFields = 6;
  static constexpr auto fields() {
    using R = RetryCommand;
    return Fields<&R::job, &R::tasks, &R::all, &R::probed, &R::bound_below, &R::order, &R::at>{};
  }
};

// What may change of a job's description once it is accepted.
struct ChangeCommand {
  JobId job;
  ChangeJob change;
  std::uint64_t order = 0;  // OrderJob::number
  WallTime at{};
  static constexpr std::size_t kRequiredFields = 3;
  static constexpr auto fields() {
    using C = ChangeCommand;
    return Fields<&C::job, &C::change, &C::order, &C::at>{};
  }
};

// Another job must hear how this one ends; or has heard it, and need not be told any more.
struct WatcherCommand {
  JobId job;
  JobId watcher;
  bool has_heard = false;
  static constexpr auto fields() {
    using W = WatcherCommand;
    return Fields<&W::job, &W::watcher, &W::has_heard>{};
  }
};

// How a job that this one waits for has ended: well enough, or this one is cancelled.
struct OutcomeCommand {
  JobId job;
  JobId dependency;
  bool is_met = false;
  WallTime at;
  static constexpr auto fields() {
    using O = OutcomeCommand;
    return Fields<&O::job, &O::dependency, &O::is_met, &O::at>{};
  }
};

using Command = std::variant<SubmitCommand, ProbeCommand, CompleteCommand, LostCommand,
                             CancelCommand, LogsCommand, DeleteCommand, HoldCommand, RetryCommand,
                             ChangeCommand, WatcherCommand, OutcomeCommand>;

Bytes encode_command(const Command& command);
// kCorrupt for anything else.
Result<Command> decode_command(ByteView payload);

}  // namespace dunlin::sched
