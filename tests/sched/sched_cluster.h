// A deterministic cluster of Schedulers for tests: one seeded queue of events, perfect groups whose
// leader the test chooses, a blob store that never fails, simulated processes, and messages that
// may be lost, late, doubled or overtaken. Checkers stand outside the schedulers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/effects.h"
#include "base/fields.h"
#include "base/random.h"
#include "sched/job_machine.h"
#include "sched/process_label.h"
#include "sched/sched.h"

namespace dunlin::sched::testing {

// How a simulated process behaves, by the words of its command:
//   work MS | exit CODE MS | print BYTES MS | slow-print BYTES MS | flaky FAILS MS | stubborn MS
//   fails-on HOST MS | lacks-means-on HOST MS | missing | make NAME BYTES | make-many FILES
//   NAME_LENGTH
struct SimProcess {
  ProcessKey key = 0;
  Bytes label;
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  WallTime started_at;
  std::int32_t pid = 0;
  std::uint64_t life = 0;  // events of an earlier life of the host find nothing
  std::array<Bytes, 2> output;
  std::array<std::uint64_t, 2> output_from{};  // of `output`'s first byte
  std::array<std::uint64_t, 2> delivered{};
  std::uint64_t to_write = 0;
  bool writes_at_once = true;
  bool is_frozen = false;
  std::optional<std::pair<std::int32_t, std::int32_t>>
      frozen_end;  // code and signal: once it goes on
  std::optional<ProcessExited> exit;
  bool exit_told = false;
  bool told_to_end = false;
  std::map<std::string, Bytes> files;
};

struct ClusterOptions {
  std::size_t nodes = 3;
  std::uint16_t groups = 4;
  std::uint32_t cpus = 2;
  std::uint64_t seed = 1;
  double loss = 0;
  double duplication = 0;
  Duration least_delay = microseconds(100);
  Duration most_delay = microseconds(300);
  bool check = true;
  Duration time_to_end = {};                  // of a process that was told to
  std::set<std::size_t> root_jobs_only = {};  // hosts whose tasks run as root
  bool root_jobs_only_is_told = true;         // to the other hosts
  std::uint64_t most_group_bytes = SchedConfig{}.most_group_bytes;
  // Hosts that have more, or lie elsewhere.
  std::map<std::size_t, Devices> devices = {};
  std::map<std::size_t, std::map<std::string, std::string>> labels = {};
  std::map<std::size_t, std::string> zones = {};
};

// What happened to attempts, seen from outside: keyed by job, task index, attempt.
struct StartRecord {
  std::size_t host = 0;
  Instant at;
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions options);
  ~Cluster();

  Instant now() const { return now_; }
  WallTime wall() const { return {1'800'000'000'000 + now_.us / 1000}; }
  // Runs until the condition holds; false when the time is over first.
  bool run_until(const std::function<bool()>& condition, Duration most);
  void run_for(Duration time);

  // ---- clients --------------------------------------------------------------------------------
  JobId make_id(GroupId group);
  std::uint64_t ask(std::size_t host, JobRequest what);
  std::uint64_t count(std::size_t host);
  // Asks and runs until the answer comes.
  Result<JobAnswer> call(std::size_t host, JobRequest what, Duration most = seconds(40));
  JobSpec spec(std::vector<std::string> argv, std::uint32_t tasks = 1);
  // Submits and expects success.
  JobId submit(std::size_t host, GroupId group, const JobSpec& spec, const std::string& user = "u");
  JobSummary show(const JobId& job);
  bool is_final(const JobId& job) const;
  // Runs until it is.
  bool ends(const JobId& job, Duration most = seconds(60));
  // Of one of its tasks, by number; of one that it does not have: nothing.
  TaskView task(const JobId& job, std::uint32_t number);
  // By the groups' logs, wherever they were applied first.
  const Job* job(const JobId& job) const;
  // What the groups' logs make when each entry is applied once, from the first on.
  const JobMachine& reference() const { return reference_; }
  std::string read_log(std::size_t host, const JobId& job, std::uint32_t task,
                       bool is_stderr = false);
  std::map<std::uint64_t, Result<JobAnswer>> answers;
  std::map<std::uint64_t, JobsCounted> counted;
  // Asks for events and runs until the answer comes.
  std::uint64_t ask_events(std::size_t host, const ListEvents& query);
  Result<EventList> events(std::size_t host, const ListEvents& query, Duration most = seconds(40));
  std::map<std::uint64_t, Result<EventList>> listed;

  // ---- faults ---------------------------------------------------------------------------------
  void lead(GroupId group, std::optional<std::size_t> host);
  std::optional<std::size_t> leader(GroupId group) const;
  // The whole host: processes, unsynced writes, messages to it. Leaders fail over after 1 s, it is
  // suspected after 1 s and declared dead after `dead_after`.
  void crash(std::size_t host, Duration dead_after = seconds(4));
  // The node process alone; its runner and processes go on.
  void crash_process(std::size_t host, std::optional<Duration> dead_after = {});
  // By all, though it goes on.
  void suspect(std::size_t host);
  void restart(std::size_t host);
  // All that it has applied is in its next life's state.
  void checkpoint_now(std::size_t host) { checkpoint(host); }
  void hand_back(std::size_t host);
  void set_draining(std::size_t host, bool draining);
  // The runner dies with all processes, and another takes its place.
  void lose_runner(std::size_t host);
  void set_disk(std::size_t host, std::uint64_t total, std::uint64_t free);
  // What this host is told when it wants a piece of a file.
  void trouble_staging(std::size_t host, std::optional<Error> error);
  void slow_staging(std::size_t host, Duration time) { hosts_[host].staging_time = time; }
  void set_loss(double loss) { options_.loss = loss; }
  void cut(std::size_t a, std::size_t b, bool is_cut);
  // The id of a dead host is banned for good.
  void forget(std::size_t host);
  // The group's leader goes on leading, and takes no proposal.
  void refuse(GroupId group, bool refuses) { groups_[group].refuses = refuses; }
  BlobRef store(const Bytes& blob);

  // ---- what is to be seen ---------------------------------------------------------------------
  // Each frame that sets out for another host, and each entry that is in a group's log.
  std::function<void(std::size_t from, std::size_t to, ByteView frame)> on_frame;
  std::function<void(std::size_t leader, GroupId group, ByteView payload)> on_entry;
  const std::vector<SimProcess>& processes(std::size_t host) const { return hosts_[host].running; }
  std::size_t running(const JobId& job) const;
  std::size_t starts() const { return starts_.size(); }
  std::size_t starts(const JobId& job) const;
  // Under that task of the job under which the most did.
  std::size_t hosts_that_died_under_a_task(const JobId& job) const;
  std::size_t entries(GroupId group) const;
  std::size_t messages() const { return messages_; }
  NodeId id(std::size_t host) const { return hosts_[host].id; }
  bool is_up(std::size_t host) const { return hosts_[host].scheduler != nullptr; }
  std::size_t put_bytes() const { return put_bytes_; }
  std::size_t most_localizing() const { return most_localizing_; }
  std::size_t fetches() const { return fetches_; }
  const std::vector<std::string>& violations() const { return violations_; }
  // Every replica that applied everything holds the same state.
  void check_replicas();
  // For the test of the checkers themselves.
  void check_entry(GroupId group, const Bytes& payload);
  void check_epoch(std::size_t host, const std::string& key, Term epoch);
  void check_start(std::size_t host, const ProcessLabel& label);

 private:
  struct Host {
    NodeId id;
    Boot boot = 0;
    std::uint64_t life = 0;
    std::unique_ptr<Scheduler> scheduler;
    std::map<std::string, Bytes> facts;
    StateRows rows;  // of the last checkpoint
    std::map<GroupId, std::size_t> checkpointed;
    std::map<GroupId, std::size_t> applied;
    std::vector<SimProcess> running;  // in the runner
    SchedMemberState state = SchedMemberState::kAlive;
    bool is_retired = false;
    Instant ticked = Instant::never();
    Instant tick_at = Instant::never();
    Instant durable_at;
    std::size_t localizing = 0;
    Duration staging_time = microseconds(500);
    std::optional<Error> staging_trouble;
  };
  struct Group {
    std::vector<std::pair<Term, Bytes>> log;
    Term term = 0;
    std::optional<std::size_t> leader;
    bool refuses = false;
  };
  struct Ask {
    std::size_t host = 0;
    std::uint64_t life = 0;
    AskGroup question;
    bool done = false;
  };

  void at(Instant when, std::function<void()> what);
  void after(Duration time, std::function<void()> what) { at(now_ + time, std::move(what)); }
  void declare_dead(std::size_t host, Duration delay);
  void start(std::size_t host);
  void stop(std::size_t host);
  void enter(std::size_t host, const std::function<void(Scheduler&, Effects&)>& input);
  void perform(std::size_t host, Effects& effects);
  void send(std::size_t from, const Send& message);
  void forward(std::size_t host, const SchedEvent& event);
  void later(std::size_t host, Duration time, std::function<void(Scheduler&, Effects&)> input);
  void on(std::size_t host, const Answer& answer);
  void on(std::size_t host, const JobsCounted& counts);
  void on(std::size_t host, const EventsListed& answer);
  void on(std::size_t host, const AppliedWanted& wanted);
  void on(std::size_t host, const AskGroup& question);
  void on(std::size_t host, const ReplyGroup& reply);
  void on(std::size_t host, const ReadGroup& read);
  void on(std::size_t host, const Propose& proposal);
  void on(std::size_t host, const FetchBlob& fetch);
  void on(std::size_t host, const LocalizeBlob& local);
  void on(std::size_t host, const PutBlob& put);
  void on(std::size_t, const WatchPeers&) {}
  void on(std::size_t, const Unfinished&) {}
  void on(std::size_t, const LoadChanged&) {}
  void on(std::size_t, const SchedFatal& fatal) { violations_.push_back(fatal.text); }
  void try_ask(std::uint64_t ask);
  void apply_next(GroupId group, std::size_t host);
  void note_reopened(GroupId group, const RetryCommand& command);
  void tell_members();
  void checkpoint(std::size_t host);
  void tick(std::size_t host);
  std::size_t index_of(const NodeId& id) const;

  SimProcess* find(std::size_t host, ProcessKey key);
  void perform_runner(std::size_t host, const Effects& effects);
  void find_outputs(std::size_t host, const FindOutputs& search);
  void read_output(std::size_t host, const ReadOutput& read);
  void start_process(std::size_t host, const StartProcess& start);
  void thaw(std::size_t host, SimProcess& process);
  void end_process(std::size_t host, ProcessKey key, std::int32_t code, std::int32_t signal);
  void write(std::size_t host, SimProcess& process, bool is_stderr, ByteView bytes);
  void deliver(std::size_t host, ProcessKey key);
  void tell(std::size_t host, ProcessEvent event);

  ClusterOptions options_;
  Random random_;
  Instant now_;
  std::uint64_t sequence_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> queue_;
  std::vector<Host> hosts_;
  std::map<GroupId, Group> groups_;
  std::map<BlobId, Bytes> blobs_;
  std::map<std::uint64_t, Ask> asks_;
  std::map<std::uint64_t, std::uint64_t> handles_;  // reply handle -> ask
  std::set<std::pair<std::size_t, std::size_t>> cuts_;
  std::uint64_t next_request_ = 1;
  std::uint64_t next_handle_ = 1;
  std::uint64_t next_ask_ = 1;
  std::int32_t next_pid_ = 1000;
  std::size_t messages_ = 0;
  std::size_t put_bytes_ = 0;
  std::size_t most_localizing_ = 0;
  std::size_t fetches_ = 0;

  // Checkers.
  JobMachine reference_;
  std::map<GroupId, std::size_t> reference_applied_;
  std::map<std::pair<JobId, std::uint32_t>, Closed> closed_;
  std::map<std::tuple<JobId, std::uint32_t, Attempt>, StartRecord> starts_;
  std::map<std::pair<JobId, std::uint32_t>, std::set<std::size_t>> died_under_;
  std::map<std::pair<std::size_t, std::string>, std::uint64_t> epochs_;
  std::vector<std::string> violations_;
};

}  // namespace dunlin::sched::testing
