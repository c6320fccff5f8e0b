// The executor: runs tasks for whatever coordinators probe this node. It queues their offers, pulls
// tasks when there is room, stages files, starts processes through the node's runner, brings their
// output to safety, and reports ends until they are committed. It obeys the durable epoch of each
// group and no lower one, and goes on with its processes whoever coordinates.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sched/attempt_counts.h"
#include "sched/epoch_gate.h"
#include "sched/job_record.h"
#include "sched/log_writer.h"
#include "sched/process_events.h"
#include "sched/reservation_queue.h"
#include "sched/sched.h"
#include "sched/staging.h"
#include "sched/task_command.h"
#include "sched/turn.h"
#include "sched/user_shares.h"

namespace dunlin::sched {

constexpr Duration kShortTask = milliseconds(50);    // below it tasks are fetched ahead
constexpr Duration kAhead = milliseconds(40);        // of work
constexpr Duration kBatchTarget = milliseconds(20);  // a batch of `:` grows while it takes less
constexpr std::uint32_t kMaxAhead = 256;             // tasks of a job
constexpr std::size_t kMaxUnacknowledged = 4;        // batches of `:` of a job
constexpr Duration kResultDelay = milliseconds(20);
constexpr Duration kLongestRepeat = seconds(8);   // of a batch of results
constexpr Duration kUsagePatience = seconds(60);  // what dropped attempts have used is told so long
constexpr Duration kPullRepeat = milliseconds(500);
constexpr Duration kPullPatience = seconds(2);
constexpr Duration kIdleJob = seconds(30);  // until a job without work here is forgotten
// A job whose files cannot be had here now, or that the host lacks the means to start, is not taken
// for so long, doubled each time until a task of it has run.
constexpr Duration kFirstRefusal = seconds(5);
constexpr Duration kLastRefusal = seconds(120);
constexpr std::size_t kMaxTails = 256;       // readers waiting for output
constexpr std::size_t kMaxUncommitted = 64;  // batches of other results of a job

class Executor {
 public:
  Executor(NodeId self, Boot boot, const SchedConfig& config, EpochGate& gates,
           std::uint64_t first_token);

  void obey(Turn& turn, const Probe& message);
  void obey(Turn& turn, const Bind& message);
  void obey(Turn& turn, const Describe& message);
  void obey(Turn& turn, const Committed& message);
  void obey(Turn& turn, const LogsCommitted& message);
  void obey(Turn& turn, const Drop& message);
  void obey(Turn& turn, const Freeze& message);
  void obey(Turn& turn, NodeId from, const AskHeld& message);
  void on(Turn& turn, NodeId from, const TailLog& message);
  void on(Turn& turn, NodeId from, const AskFit& message);

  void on_process(Turn& turn, ProcessEvent event);
  bool on_blob_local(Turn& turn, std::uint64_t token, const Result<FileExtent>& extent);
  bool on_blob_fetched(Turn& turn, std::uint64_t token, const Result<Bytes>& content);
  bool on_blob_stored(Turn& turn, std::uint64_t token, const Result<BlobRef>& blob);
  // Tasks that would write to a disk as full as this are left to other nodes.
  void set_disk_full(bool is_full) { is_disk_full_ = is_full; }
  // None is taken any more, and what has not begun is given back.
  void set_draining(Turn& turn, bool draining);
  // Besides, what runs is ended and given back: the node goes, or may drain no longer.
  void hand_back(Turn& turn);
  bool has_tasks() const;
  // When the last of what runs gets KILL, once it was handed back.
  Instant last_kill() const;
  // Another node leads the group now: what waits for an answer is sent there at once.
  void leader_changed(Turn& turn, GroupId group);

  void tick(Turn& turn);
  Instant next_deadline() const;

  LoadChanged load() const;
  Devices devices_free() const { return free_room().devices; }
  const std::string& isolation_note() const { return isolation_note_; }
  const AttemptCounts& counts() const { return counts_; }
  void add_watched(std::set<NodeId>& peers) const;

 private:
  struct PendingPull {
    std::uint64_t id = 0;
    std::uint32_t want = 0;
    std::uint32_t reserved = 0;  // tasks for which room is kept
    Instant sent, repeat_at;
  };
  struct Sent {  // a batch of results that is not committed yet
    ResultBatch batch;
    std::vector<ProcessKey> processes;
    Instant first, repeat_at;
    Duration interval = seconds(1);
  };
  struct Finished {  // an end that waits for its batch
    TaskResult result;
    ProcessKey key = 0;
    bool is_plain = false;
  };
  struct HeldJob {
    GroupId group;
    std::string user;
    std::int32_t priority = 0;
    Room task;  // what one takes
    std::uint32_t allowed = 0;
    Term allowed_by = 0;
    std::shared_ptr<const JobSpec> spec;
    std::shared_ptr<const TaskNumbers> numbers;
    std::optional<PendingPull> pull;
    std::uint64_t pull_seen = 0;
    AttemptRuns held;                               // everything bound here and not committed
    std::deque<TaskRun> ready;                      // bound, not started
    bool is_staging = false;                        // `ready` waits for files or entries
    std::map<std::uint32_t, ProcessKey> processes;  // by task index, of its newest attempt here
    std::set<ProcessKey> keys;  // of all its processes, older attempts that are being ended too
    std::uint32_t running = 0;
    std::vector<Finished> finished;
    std::vector<DroppedUsage> used;  // told with the next batch
    Instant flush_at = Instant::never();
    std::map<std::uint64_t, Sent> sent;  // by sequence
    Duration typical{0};                 // of its tasks here; 0: none has ended yet
    std::uint32_t batch = 64;            // of `:`
    Duration refusal{0};                 // how long the job is not taken after trouble here
    Instant refused_until;
    std::string trouble;    // why it is refused: "could not ..."
    LogIndex accepted = 0;  // which job of this id; 0: not told yet
    std::uint32_t most_inline = kMaxInlineOutput;
    LogIndex revised = 0;  // of `spec`
    LogIndex held_at = 0;  // of the last Freeze obeyed; by which all of it may not begin, or these:
    bool is_paused = false;
    std::vector<IndexRun> paused;
    Instant idle_since = Instant::never();
  };
  struct Process {
    JobId job;
    std::uint32_t index = 0;
    Attempt attempt;
    Room room;
    std::vector<std::uint32_t> gpus;  // their numbers
    std::string user;
    Instant started;
    WallTime started_at;
    Instant kill_at = Instant::never();
    // Stands still since then, with so much of its time limit left; of an adopted one nobody knows
    // yet.
    std::optional<bool> is_frozen = false;
    Instant frozen_at;
    Duration time_left;
    bool has_room = true;    // its room is counted as used
    bool is_ending = false;  // has had its TERM
    bool timed_out = false;
    bool told_before = false;  // to end, by an earlier life of the node, which is why unknown
    bool dropped = false;
    bool tells_usage = false;  // dropped by its coordinator, for which this is kept
    std::optional<ProcessExited> exit;
    // Collection of outputs, one file and one piece at a time.
    bool wants_outputs = false;
    bool outputs_done = false;
    std::vector<FoundOutput> found;
    std::vector<OutputFile> outputs;
    std::uint64_t put_token = 0;
    Bytes put_data;
    Instant put_again = Instant::never();
    std::string output_error;
    bool reported = false;
  };
  struct Tail {
    NodeId from;
    TailLog request;
    Instant until;
  };

  // executor.cpp: offers, pulls, room
  HeldJob& job_of(const JobId& id, GroupId group);
  bool is_current(Turn& turn, const JobId& id, HeldJob& job, LogIndex accepted);
  void forget_former(Turn& turn, HeldJob& job);
  void claim(Turn& turn, const JobId& id, HeldJob& job);
  bool is_eligible(const JobId& id) const;
  bool start_staged(Turn& turn);
  void fill(Turn& turn);
  bool use_room(Turn& turn, const JobId& id);
  void pull(Turn& turn, const JobId& id, HeldJob& job, std::uint32_t want, std::uint32_t reserved);
  void send_pull(Turn& turn, const JobId& id, HeldJob& job);
  void end_pull(Instant now, HeldJob& job);
  void pull_ahead(Turn& turn, const JobId& id, HeldJob& job);
  void describe(Turn& turn, HeldJob& job, const Bytes& spec, LogIndex revised);
  Room free_room() const;
  Room room_to_pull() const;
  void take_room(Instant now, const std::string& user, const Room& task, std::uint32_t times = 1);
  void give_room(Instant now, const std::string& user, const Room& task, std::uint32_t times = 1);
  void give_room(Instant now, const Process& process);
  std::vector<std::uint32_t> take_gpus(std::uint32_t count);
  void tick_jobs(Turn& turn);
  void tick_processes(Turn& turn);
  void tick_job(Turn& turn, const JobId& id, HeldJob& job);
  Instant deadline_of(const HeldJob& job) const;
  // Some job has something to do then: jobs are looked through only when that time has come.
  void due(Instant at) { jobs_due_ = std::min(jobs_due_, at); }
  void process_due(Instant at) { processes_due_ = std::min(processes_due_, at); }

  // executor_start.cpp: attempts come to this node's processes
  void start_next(Turn& turn, const JobId& id, HeldJob& job);
  void start(Turn& turn, const JobId& id, HeldJob& job, const TaskRun& task, TaskNames names,
             const std::vector<StagedFile>& files);
  Process& enter(Turn& turn, ProcessKey key, const JobId& id, HeldJob& job, const TaskRun& task,
                 std::vector<std::uint32_t> gpus);
  void adopt(Turn& turn, const RunnerHeld& held);
  void give_back(Turn& turn, const JobId& id, HeldJob& job, std::string trouble);
  void wake_staged();
  void run_no_ops(Turn& turn, const JobId& id, HeldJob& job);
  void fail_start(Turn& turn, const JobId& id, HeldJob& job, const TaskRun& task,
                  const Error& error);

  // executor_tasks.cpp: what the runner says of them, until their results
  void on(Turn& turn, const RunnerReady& event);
  void on(Turn& turn, const RunnerLost& event);
  void on(Turn& turn, const RunnerSilence& event);
  void on(Turn& turn, const ProcessStarted& event);
  void on(Turn& turn, const ProcessOutput& event);
  void on(Turn& turn, const ProcessExited& event);
  void give_up(Turn& turn, ProcessKey key);
  void forget_process(Turn& turn, ProcessKey key, bool release);
  void terminate(Turn& turn, ProcessKey key, Process& process);
  void conclude(Turn& turn, ProcessKey key);
  void conclude_dropped(Turn& turn, ProcessKey key, Process& process);
  TaskResult result_of(const Process& process) const;
  void tick_process(Turn& turn, ProcessKey key, Process& process);

  // executor_outputs.cpp: the files they leave
  void on(Turn& turn, const OutputsFound& event);
  void on(Turn& turn, const OutputData& event);
  void next_output(Turn& turn, ProcessKey key, Process& process);
  void put_output(Turn& turn, ProcessKey key, Process& process);

  // executor_freezing.cpp
  void set_time_limit(const HeldJob& job, Process& process);
  void set_frozen(Turn& turn, ProcessKey key, Process& process, bool is_frozen);
  void give_back_paused(Turn& turn, HeldJob& job);
  void give_back_ready(Turn& turn);

  // executor_reports.cpp: what coordinators and readers are told
  void finish(Turn& turn, const JobId& id, HeldJob& job, Finished finished);
  void plan_flush(Turn& turn, const JobId& id, HeldJob& job);
  void flush(Turn& turn, const JobId& id, HeldJob& job);
  void send_batch(Turn& turn, const JobId& id, HeldJob& job, ResultBatch batch,
                  std::vector<ProcessKey> processes);
  void send_to_coordinator(Turn& turn, GroupId group, const SchedMessage& message);
  HeldList held_list(GroupId group, const JobId& after) const;
  std::vector<TaskStart> starts_of(const HeldJob& job) const;
  void send_status(Turn& turn);
  bool may_pull(const HeldJob& job) const;
  bool may_start() const { return has_runner_ && !is_runner_silent_; }
  std::string refusal_of(Instant now, const JobId& id) const;
  bool answer_tail(Turn& turn, const Tail& tail, bool is_last_chance);
  void answer_tails(Turn& turn, const JobId& job);

  const NodeId self_;
  const Boot boot_;
  const SchedConfig config_;
  const Room all_;  // that tasks may use; memory that is not known has no end
  EpochGate& gates_;
  std::uint64_t next_token_;
  std::uint64_t next_pull_;
  std::uint64_t next_sequence_;
  ProcessKey next_key_;

  bool is_ready_ = false;  // the runner has said what it holds, at least once
  bool has_runner_ = false;
  bool is_runner_silent_ = false;
  std::string isolation_note_;  // of the runner
  std::map<JobId, HeldJob> jobs_;
  std::map<ProcessKey, Process> processes_;
  std::map<std::uint64_t, ProcessKey> puts_;  // of outputs, by token
  ReservationQueue queue_;
  Staging staging_;
  LogWriter logs_;
  std::set<JobId>
      unstaged_;  // jobs with ready tasks that lack files or entries, as far as is known
  bool is_disk_full_ = false;
  Room used_;
  std::multiset<std::uint32_t> used_gpus_;
  UserShares shares_;
  std::vector<Tail> tails_;
  std::set<GroupId> lists_due_;  // to be sent unasked
  Instant status_at_ = Instant::never();
  Instant jobs_due_ = Instant::never();
  Instant processes_due_ = Instant::never();
  AttemptCounts counts_;
  bool takes_none_ = false;
  bool keeps_none_ = false;
};

}  // namespace dunlin::sched
