// The coordinator: for each group that this node leads, it brings the group's jobs to their end. It
// probes nodes, binds tasks to those that pull, commits what they report, and orders them to end
// what is wanted no more. What it knows beyond the log is soft, and found again after a takeover by
// asking exactly the nodes that the log names. (Late binding: Sparrow, SOSP 2013, section 3.)
//
// Every order carries the group's term as epoch. Nothing here is safe because of a clock: timers
// only repeat.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "sched/job_machine.h"
#include "sched/led_job.h"
#include "sched/members.h"
#include "sched/messages.h"
#include "sched/reservation_queue.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kLeastBreadth = 4;  // nodes probed for the smallest job
// Nodes that one round probes for a job with few tasks; the next round probes those behind them.
constexpr std::size_t kMaxRound = 256;
constexpr Duration kFirstProbeInterval = milliseconds(100);
constexpr Duration kLastProbeInterval = seconds(10);
constexpr std::size_t kMaxFlights = 2;           // batches of results on their way into a log
constexpr std::size_t kMaxQueuedResults = 4096;  // batches that wait for a flight; then dropped
constexpr std::size_t kMaxQueuedBytes = 64 * 1024 * 1024;
constexpr std::uint32_t kMaxBind = 16 * 1024;     // tasks that answer one pull
constexpr std::size_t kMaxJobsOfGroup = 200'000;  // kept, finished ones included
// A job's output rides in its results until its record has grown so long; then only what is shorter
// than the note of where else it lies.
constexpr std::uint64_t kMostInlineOfJob = 16 * 1024 * 1024;
constexpr std::uint32_t kLeastInline = 64;
// A node named in a log that no member list knows (forgotten since) counts as gone after this.
constexpr Duration kUnknownPatience = seconds(60);
constexpr std::size_t kMaxDoubters = 1024;  // of one group; who is not heard asks again
constexpr Duration kFirstAskInterval = milliseconds(250);  // grows while a node does not answer
// A node process that is back this soon after its death goes on with its tasks: so long does the
// runner keep them.
constexpr Duration kReturnPatience = seconds(60);
constexpr Duration kAttendance = seconds(30);   // an attended job nobody asks for ends then
constexpr Duration kNextQuestion = seconds(5);  // from the answer to one until a watcher's next
constexpr Duration kLeastKeep = seconds(120);   // of a finished job, however short it is to be kept

class Coordinator {
 public:
  Coordinator(NodeId self, const SchedConfig& config, const JobMachine& machine,
              const Members& members, std::uint64_t first_token);

  // ---- leadership -----------------------------------------------------------------------------
  void lead(Turn& turn, GroupId group, Term term);
  void follow(GroupId group);
  // Established: it has read everything committed before its term.
  bool leads(GroupId group) const;
  Term term(GroupId group) const;
  void on_read_ready(Turn& turn, GroupId group, std::uint64_t token, bool ok);
  void on_refused(Turn& turn, GroupId group, std::uint64_t token);
  // After the machine applied it; `term` is the entry's.
  void applied(Turn& turn, GroupId group, Term term, const Command& command);

  // ---- orders of clients: the command to be proposed ------------------------------------------
  SubmitCommand submission(const SubmitJob& request, const JobSpec& spec, WallTime at) const;
  CancelCommand cancellation(GroupId group, const Job& job, std::vector<IndexRun> tasks,
                             WallTime at, std::string by) const;
  // kConflict where it makes no sense now, kLimit where it was ordered too often.
  Result<Command> retry(GroupId group, const Job& job, std::vector<IndexRun> tasks, bool all) const;
  // A client asked for the job then, and waits for the answer until then.
  void attend(GroupId group, const JobId& job, Instant from, Instant until);
  // A group's jobs must fit into a snapshot. Half of it filled, the group accepts no more of them;
  // with three quarters filled its jobs wait: until some are deleted, or kept no longer.
  bool may_accept(GroupId group) const {
    return machine_.bytes(group) <= config_.most_group_bytes / 2;
  }

  // ---- other jobs' groups -----------------------------------------------------------------------
  // This watcher of the job has forgotten how it ended, if it was told: no answer of before counts.
  void tell_again(Instant now, GroupId group, const JobId& job, const JobId& watcher);
  // True when the token is one of this coordinator's.
  bool on_group_reply(Turn& turn, std::uint64_t token, const Result<Bytes>& reply);

  // ---- executors ------------------------------------------------------------------------------
  void on(Turn& turn, NodeId from, const Pull& message);
  void on(Turn& turn, NodeId from, Results message, std::size_t bytes);
  void on(Turn& turn, NodeId from, Logs message, std::size_t bytes);
  void on(Turn& turn, NodeId from, const HeldList& message);
  void on(Turn& turn, NodeId from, const Status& message);
  void on(Turn& turn, NodeId from, const AskLead& message);

  void members_changed(Turn& turn);
  void peer_restarted(Turn& turn, NodeId node);

  void tick(Turn& turn);
  Instant next_deadline() const;

  // ---- what only the leader knows -------------------------------------------------------------
  void complete(const Job& job, GroupId group, JobSummary& summary) const;
  // Why a job's queued tasks wait: the same for all of them.
  struct Waiting {
    Reason reason = Reason::kNone;
    std::string detail;
  };
  // What is found out once for all tasks of a list. Of one job, and for one input.
  struct Found {
    std::optional<Waiting> why;
    std::optional<LedJob::Holders> holders;
  };
  void complete(const Job& job, GroupId group, std::uint32_t index, TaskView& view,
                Found& found) const;
  TaskState state(const Job& job, GroupId group, std::uint32_t index, Found& found) const;
  std::optional<std::pair<NodeId, Attempt>> holder(GroupId group, const JobId& job,
                                                   std::uint32_t index) const;
  // Valid as long as the job is, and led.
  Wanted wanted_by(GroupId group, const Job& job) const;
  // Nodes that hold tasks of this coordinator, or may.
  void add_watched(std::set<NodeId>& peers) const;
  // Jobs that changed in a way that a client could want to know, since the last call.
  std::set<JobId> take_touched();

 private:
  struct Ask {
    Instant next;
    Duration interval;
    Instant since;
    JobId after;  // the list is known up to this job
  };
  struct BatchKey {
    JobId job;
    NodeId node;
    std::uint64_t sequence = 0;
    auto operator<=>(const BatchKey&) const = default;
  };
  struct Flight {
    std::uint64_t token = 0;
    std::vector<BatchKey> batches;
    std::vector<std::vector<IndexRun>> tasks;  // that each of them ends
  };
  struct Queued {
    NodeResults results;
    std::size_t bytes = 0;
  };
  struct Telling {
    Instant next;             // when the watcher is told (again)
    std::uint64_t token = 0;  // of the question whose answer counts; 0: none was asked
  };
  struct LedGroup {
    Term term = 0;
    bool established = false;
    std::uint64_t read_token = 0;
    Instant read_at = Instant::never();  // when the reading that establishes it is tried again
    std::map<JobId, std::unique_ptr<LedJob>> jobs;  // once established: every job not final
    std::map<NodeId, Ask> asks;                     // nodes whose list is wanted
    std::map<NodeId, Instant> heard;
    std::map<NodeId, std::uint64_t> doubters;  // lives that ask whether this lead stands
    std::map<NodeId, std::uint64_t> assured;   // those of them whom the reading under way answers
    std::uint64_t stands_token = 0;            // of that reading
    std::deque<Queued> queue;
    std::size_t queue_bytes = 0;
    std::deque<Flight> flights;
    std::set<BatchKey> pipeline;             // queued or in flight
    std::map<BatchKey, std::uint64_t> logs;  // in flight, with their tokens
    // Jobs that are over, with those that must hear how they ended.
    std::map<std::pair<JobId, JobId>, Telling> untold;
    Instant check_at = Instant::never();  // for silent holders
    Instant sweep_at = Instant::never();  // for jobs kept long enough
  };
  struct Led {  // one job, as looked up
    LedGroup& group;
    GroupId id;
    const Job& job;
    LedJob& led;
  };

  static Instant attended_until(const LedJob& led);
  LedGroup* led_group(GroupId group);
  // Some group has something to do then, apart from its jobs' timers: groups are looked through
  // only when that time has come.
  void due(Instant at) { groups_due_ = std::min(groups_due_, at); }
  std::optional<Led> find(GroupId group, const JobId& job);
  std::uint64_t propose(Turn& turn, GroupId group, const LedGroup& led, const Command& command);
  void changed(Turn& turn, Led& at);

  // coordinator.cpp
  void applied_submit(Turn& turn, GroupId group, const SubmitCommand& command);
  void applied_probe(Turn& turn, GroupId group, const ProbeCommand& command);
  void applied_results(Turn& turn, GroupId group, Term term, const CompleteCommand& command);
  void applied_batch(Turn& turn, Led& at, const NodeResults& results);
  void judge_host(Turn& turn, Led& at, const NodeResults& results);
  void applied_loss(Turn& turn, GroupId group, const LostCommand& command);
  void applied_cancel(Turn& turn, GroupId group, const CancelCommand& command);
  void applied_logs(Turn& turn, GroupId group, const LogsCommand& command);
  void applied_deletion(GroupId group, const DeleteCommand& command);

  // coordinator_orders.cpp
  Reason hold_of(const Turn& turn, const Led& at) const;
  void review_hold(Turn& turn, Led& at);
  void start_again(Turn& turn, Led& at);
  void applied_hold(Turn& turn, GroupId group, const HoldCommand& command);
  void applied_retry(Turn& turn, GroupId group, const RetryCommand& command);
  void applied_change(Turn& turn, GroupId group, const ChangeCommand& command);
  void freeze(Turn& turn, const Led& at, NodeId node) const;
  void describe(Turn& turn, const Led& at, NodeId node) const;

  // coordinator_dependencies.cpp
  void applied_watcher(Turn& turn, GroupId group, const WatcherCommand& command);
  void applied_outcome(Turn& turn, GroupId group, const OutcomeCommand& command);
  void await_others(Turn& turn, Led& at);
  void ask_others(Turn& turn, Led& at);
  void note_watchers(Turn& turn, LedGroup& led, const Job& job);
  void tell_watchers(Turn& turn, GroupId group, LedGroup& led);
  void flush_results(Turn& turn, GroupId group, LedGroup& led);
  void mark_committing(Led& at, NodeId from, ResultBatch& batch);
  void unmark_committing(Turn& turn, Led& at, const std::vector<IndexRun>& tasks);

  // coordinator_probes.cpp
  void probe_round(Turn& turn, Led& at);
  void probe(Turn& turn, Led& at, const std::vector<NodeId>& nodes);
  void send_probes(Turn& turn, Led& at, const std::vector<NodeId>& nodes);
  void offer(Turn& turn, Led& at, NodeId node, std::uint32_t allowed);
  void withdraw_offers(Turn& turn, Led& at);
  void offer_to_hungry(Turn& turn, Led& at);
  void ask_for_bound(Turn& turn, Led& at);
  static Wanted wanted_by(const Job& job);
  static Wanted wanted_by(const Led& at);

  // coordinator_takeover.cpp
  void begin_reading(Turn& turn, GroupId group, LedGroup& led);
  void assure_doubters(Turn& turn, GroupId group, LedGroup& led);
  void establish(Turn& turn, GroupId group, LedGroup& led);
  void ask(LedGroup& led, NodeId node, Instant at);
  void listed(Turn& turn, LedGroup& led, NodeId from, const HeldList& part);
  void reconcile(Turn& turn, Led& at, NodeId from, const HeldList& list, const JobHeld& held);
  bool adopt(Turn& turn, Led& at, NodeId from, const TaskRun& one, std::vector<NodeId>& losers);
  static bool prevails(const Led& at, const Holding& from, const TaskRun& run,
                       const Attempt& holder, Instant now);
  static void give_up(Led& at, NodeId node, const TaskRun& run, bool node_lost);
  void stop_awaiting(Turn& turn, Led& at, NodeId node);
  void end_awaiting(Turn& turn, Led& at);
  void lose_recorded(Turn& turn, Led& at);
  void lose(Turn& turn, Led& at, NodeId node, const std::vector<TaskRun>& runs, bool node_lost);
  void propose_loss(Turn& turn, Led& at, NodeId node, Holding& holding);
  void drop(Turn& turn, Led& at, NodeId node, const std::vector<TaskRun>& runs);
  void restore(Turn& turn, Led& at, std::vector<IndexRun> tasks);
  void finish_job(Turn& turn, Led& at);
  void node_gone(Turn& turn, NodeId node, bool left);

  // coordinator_timers.cpp
  void tick_group(Turn& turn, GroupId group, LedGroup& led);
  void tick_job(Turn& turn, Led& at);
  static std::uint32_t ending_of(const Job& job, const LedJob& led);
  const LedJob* led_job(GroupId group, const JobId& job) const;
  Waiting why_queued(const Job& job, const LedJob& led) const;
  static const LedJob::Holders& holders_of(const LedJob& led, Found& found);
  static void note_begun(const Led& at, Holding& holding, const JobStatus& status);
  void check_holders(Turn& turn, LedGroup& led);
  void sweep(Turn& turn, GroupId group, LedGroup& led);

  const NodeId self_;
  const SchedConfig& config_;
  const JobMachine& machine_;
  const Members& members_;
  std::uint64_t next_token_;
  std::map<GroupId, LedGroup> groups_;
  std::map<NodeId, Room> usable_;  // nodes that take tasks, with all that they have
  Instant groups_due_ = Instant::never();
  std::set<std::tuple<Instant, GroupId, JobId>> timers_;
  std::set<JobId> touched_;
  // Questions to other groups under way: about one job of a group led here, and the other one.
  struct Question {
    GroupId group;
    JobId job;
    JobId other;
    bool tells = false;  // how `job` ended; else `other` is to tell how it ends
  };
  std::map<std::uint64_t, Question> questions_;
};

}  // namespace dunlin::sched
