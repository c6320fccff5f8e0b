// The scheduler of one node: its replicas of jobs, its part as coordinator of the jobs whose group
// it leads, its part as executor of tasks, and what clients ask of it about jobs. A plain protocol
// class: inputs in, Effects out, events taken.
//
// What it promises (docs/ARCHITECTURE.md: Q3, Q4):
//  - A job acknowledged is in its group's log; in log order the first success of the open round
//    closes a task, a failure counts only for an attempt not yet superseded, all else is discarded.
//  - A task is bound late: nodes are probed, named in the log before they are, and pull when they
//    have room (Sparrow, SOSP 2013). Attempts may run twice, effects count once.
//  - An executor obeys the highest epoch of a group that it has made durable, and no lower one.
//  - A new coordinator counts every task as possibly running until each node that the log names
//    has answered or is dead; what they hold goes on under the new epoch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/effects.h"
#include "base/random.h"
#include "base/result.h"
#include "dht/dht.h"
#include "sched/attempt_counts.h"
#include "sched/job.h"
#include "sched/job_events.h"
#include "sched/process_events.h"
#include "sched/requests.h"
#include "sched/sched_events.h"
#include "sched/task_command.h"
#include "sched/validate.h"

namespace dunlin {

struct SchedConfig {
  std::uint32_t cpus = 1;    // that tasks may use; 0: coordinates, runs nothing
  std::uint64_t memory = 0;  // bytes that tasks may use; 0: not known, not counted
  std::uint16_t group_count = 256;
  std::string node_name;  // DUNLIN_NODE of tasks
  std::string server;     // DUNLIN_SERVER of tasks
  // Tasks run as root here: only jobs of root himself are taken.
  bool root_jobs_only = false;
  Devices devices = {};  // that tasks may use; gpus bear the numbers from 0 on
  // Of the records of a group's jobs: a snapshot of them must not be longer than Groups takes.
  std::uint64_t most_group_bytes = Groups::kMaxSnapshot;
};

constexpr std::uint64_t kDiskShare = 20;  // one part in so many

enum class SchedMemberState : std::uint8_t { kAlive, kSuspect, kDead, kLeft };

struct SchedMember {
  SchedMemberState state = SchedMemberState::kAlive;
  bool draining = false;
  Boot boot = 0;
  std::uint32_t cpus = 0;
  std::uint64_t memory = 0;     // bytes; 0: not known
  std::uint32_t cpus_free = 0;  // as gossiped; says what is feasible, never who is best
  std::string zone;
  std::string name;
  bool root_jobs_only = false;
  std::map<std::string, std::string> labels = {};
  Devices devices = {};
  Instant since = {};       // of the state, by this node's clock
  bool is_retired = false;  // its id is banned for good: known only for what the log names
};

// A row of applied state for Node's checkpoint; no value erases it. Keys: "job/<group>/<job>" and
// below it.
using StateRows = std::map<std::string, std::optional<Bytes>>;

class Scheduler {
 public:
  Scheduler(NodeId self, Boot boot, SchedConfig config, Random random);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // ---- recovery: facts under "epoch/" and rows under "job/", in any order, before all else ------
  Result<void> recover_fact(std::string_view key, ByteView value);
  Result<void> recover_row(std::string_view key, ByteView value);
  // Up to where the rows of the group go.
  void recover_applied(GroupId group, LogIndex index);

  // ---- protocol -----------------------------------------------------------------------------
  void receive(Instant now, NodeId from, ByteView frame, Effects& out);
  // `wall` is remembered: other inputs reckon the wall time from it.
  void tick(Instant now, WallTime wall, Effects& out);
  Instant next_deadline() const;
  void on_durable(Instant now, const Ticket& ticket, Effects& out);
  void on_process(Instant now, WallTime wall, ProcessEvent event, Effects& out);

  // ---- replicated state -----------------------------------------------------------------------
  // Every committed payload of a group in log order, each once after restore or recovery. One that
  // makes no sense raises SchedFatal.
  void apply(Instant now, GroupId group, LogIndex index, Term term, ByteView payload, Effects& out);
  Bytes snapshot(GroupId group) const;
  // Replaces all state of the group.
  Result<void> restore(GroupId group, LogIndex index, ByteView snapshot);
  void drop_group(GroupId group);
  // Rows that changed since the last call, for one checkpoint with the applied indices.
  void take_dirty(StateRows& rows);

  // ---- leadership -----------------------------------------------------------------------------
  void leading(Instant now, GroupId group, Term term, Effects& out);
  void following(Instant now, GroupId group, Effects& out);
  void learn_leader(Instant now, GroupId group, std::optional<NodeId> leader, Effects& out);
  void on_read_ready(Instant now, GroupId group, std::uint64_t token, bool ok, Effects& out);
  void on_propose_refused(Instant now, GroupId group, std::uint64_t token, Effects& out);

  // ---- members --------------------------------------------------------------------------------
  void set_members(Instant now, std::map<NodeId, SchedMember> members, Ring ring, Effects& out);
  void peer_suspected(Instant now, NodeId node, Effects& out);
  void peer_recovered(Instant now, NodeId node, Effects& out);
  void peer_restarted(Instant now, NodeId node, Boot boot, Effects& out);
  void peer_dead(Instant now, NodeId node, Effects& out);

  // The node is to end: its tasks get TERM, grace, KILL and run again elsewhere, without using up a
  // retry. It may go once has_tasks() is false: nothing runs, and every result is committed.
  void hand_back(Instant now, Effects& out);
  // While it drains the node takes no task, and gives back those that have not begun; what runs
  // goes on, unless it is handed back too. Not draining any more ends both.
  void set_draining(Instant now, bool draining, Effects& out);
  bool has_tasks() const;
  LoadChanged load() const;  // as it is now
  Devices devices_free() const;
  // What tasks here cannot be kept from, for people; empty: all that is promised is enforced.
  std::string isolation_note() const;
  AttemptCounts attempt_counts() const;
  // When the longest grace of what was handed back is over; long past when nothing runs.
  Instant hand_back_until() const;

  // ---- clients --------------------------------------------------------------------------------
  void request(Instant now, WallTime wall, std::uint64_t request, JobRequest what, Effects& out);
  void count_jobs(Instant now, WallTime wall, std::uint64_t request, Effects& out);
  // Events of jobs: answered by EventsListed, once; not after forget_events. With hurry_events at
  // once, as something else is to be told besides.
  void list_events(Instant now, WallTime wall, std::uint64_t request, const ListEvents& query,
                   Effects& out);
  void hurry_events(Instant now, std::uint64_t request, Effects& out);
  void forget_events(std::uint64_t request);
  // Answers AppliedWanted: up to where each of the groups that have a replica here is applied.
  void on_applied(Instant now, std::uint64_t token,
                  const std::vector<std::pair<GroupId, LogIndex>>& applied, Effects& out);
  void on_group_reply(Instant now, std::uint64_t token, const Result<Bytes>& reply, Effects& out);
  // `from` is the node whose client asks. Kept (long polls) until answered or no longer leading.
  void on_group_request(Instant now, WallTime wall, std::uint64_t handle, NodeId from,
                        GroupId group, ByteView body, Effects& out);

  // ---- blobs ----------------------------------------------------------------------------------
  // Of the file system that tasks write to: below kDiskShare of free space none is taken any more.
  void set_disk(std::uint64_t total, std::uint64_t free);
  void on_blob_fetched(Instant now, std::uint64_t token, const Result<Bytes>& content,
                       Effects& out);
  void on_blob_local(Instant now, std::uint64_t token, const Result<FileExtent>& extent,
                     Effects& out);
  void on_blob_stored(Instant now, std::uint64_t token, const Result<BlobRef>& blob, Effects& out);

  std::vector<SchedEvent> take_events();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dunlin
