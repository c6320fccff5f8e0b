// The replicated state of the groups' jobs: what the log says, entry by entry, the same on every
// replica. It reads no clock and draws no chance; wall times come inside the entries.
//
// The rules (Q4), in log order: the first success of a task in the open round closes it; a
// failure or loss counts only for an attempt that none counted before supersedes; everything else
// is discarded. Entries may come twice, or from a coordinator that lost its lead: harmless.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "sched/commands.h"
#include "sched/job_events.h"
#include "sched/job_record.h"

namespace dunlin::sched {

using Rows = std::map<std::string, std::optional<Bytes>>;

class JobMachine {
 public:
  using Jobs = std::map<JobId, std::unique_ptr<Job>>;

  // The command, once applied. An error for a payload that makes no sense: then nothing changed.
  Result<Command> apply(GroupId group, LogIndex index, ByteView payload);

  const Job* find(GroupId group, const JobId& job) const;
  // Null when this node has no replica that ever held a job.
  const Jobs* jobs(GroupId group) const;
  const std::map<GroupId, Jobs>& groups() const { return groups_; }
  // About how long a snapshot of the group is.
  std::uint64_t bytes(GroupId group) const;
  // Jobs of the group that are not final.
  const std::set<JobId>& open_jobs(GroupId group) const;
  // What the entries changed. No part of the state: memory of this life alone.
  EventLog& events() { return events_; }
  const EventLog& events() const { return events_; }

  // ---- checkpoints and snapshots: rows under "job/<group>/" --------------------------------
  Result<void> recover_row(std::string_view key, ByteView value);
  void take_dirty(Rows& rows);
  Bytes snapshot(GroupId group) const;
  Result<void> restore(GroupId group, ByteView snapshot);
  void drop_group(GroupId group);

 private:
  // Rows of a job whose head or spec has not been met yet.
  struct Partial {
    std::optional<Bytes> head, spec;
    std::map<std::uint32_t, Bytes> chunks;
  };

  Job* changeable(GroupId group, const JobId& job);
  Result<void> check(const SubmitCommand& command) const;
  void apply(GroupId group, LogIndex index, const SubmitCommand& command);
  void apply(GroupId group, LogIndex index, const ProbeCommand& command);
  void apply(GroupId group, LogIndex index, const CompleteCommand& command);
  void apply(GroupId group, LogIndex index, const LostCommand& command);
  void apply(GroupId group, LogIndex index, const CancelCommand& command);
  void apply(GroupId group, LogIndex index, const LogsCommand& command);
  void apply(GroupId group, LogIndex index, const DeleteCommand& command);
  // job_orders.cpp
  void apply(GroupId group, LogIndex index, const HoldCommand& command);
  void apply(GroupId group, LogIndex index, const RetryCommand& command);
  void apply(GroupId group, LogIndex index, const ChangeCommand& command);
  void apply(GroupId group, LogIndex index, const WatcherCommand& command);
  void apply(GroupId group, LogIndex index, const OutcomeCommand& command);
  Result<void> assemble(GroupId group, const JobId& job, Partial& partial);
  void erase_rows(GroupId group, const Job& job);
  // Ends a command's change of a job: final or not, counted or not.
  void note_change(GroupId group, LogIndex index, Job& job);
  void grow(GroupId group, Job& job, std::uint64_t bytes);
  void resize(GroupId group, Job& job, std::uint64_t before, std::uint64_t after);
  void erase(GroupId group, const JobId& job);
  void note_end(const Job& job);

  std::map<GroupId, Jobs> groups_;
  std::map<GroupId, std::set<JobId>> open_;
  std::map<GroupId, std::uint64_t> bytes_;
  std::map<std::pair<GroupId, JobId>, Partial> partial_;
  Rows erased_;  // rows to be erased by the next checkpoint
  EventLog events_;
};

}  // namespace dunlin::sched
