// The runner's processes: started, watched by one epoll set, their output kept until it is taken,
// their ends told once. Knows nothing of the connection to a node: reports are pulled by fill().
#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "os/cgroup.h"
#include "os/cores.h"
#include "os/disk_blame.h"
#include "os/disk_watch.h"
#include "os/escapees.h"
#include "os/held_process.h"
#include "os/runner_protocol.h"
#include "os/spawn.h"

namespace dunlin {

// Untaken output of all streams together; beyond it each stream may keep one piece only.
constexpr std::uint64_t kMaxUntakenTotal = 128 * 1024 * 1024;
// How long descendants may keep the output of an ended process open.
constexpr Duration kOutputGrace = milliseconds(200);
// How often is looked whether the group of an ended process, which has its grace, is gone.
constexpr Duration kGroupCheck = milliseconds(25);
constexpr Duration kMemoryWatch = milliseconds(500);
// The disk is nearly full, and no task is to blame, or the one that was is on its way out.
constexpr Duration kDiskWatchAgain = milliseconds(100);
// Output is looked for this long after the start, or when the process ends: registering the
// streams of a process that is over sooner would cost more than all else but its clone.
constexpr Duration kWatchDelay = milliseconds(5);

struct HeldOptions {
  std::string directory;    // the node's, whose disk tasks must not fill; empty: it is not watched
  std::string cgroup_name;  // empty: none are used
  std::optional<Account> account;
  bool may_pin = true;
};

class HeldProcesses {
 public:
  // Registers at `epoll_fd`, with event data of 2^32 and above.
  HeldProcesses(int epoll_fd, HeldOptions options);
  ~HeldProcesses();
  HeldProcesses(const HeldProcesses&) = delete;
  HeldProcesses& operator=(const HeldProcesses&) = delete;

  void start(Instant now, RunnerStart command);
  void signal(ProcessKey key, int signal);
  void take(ProcessKey key, bool is_stderr, std::uint64_t up_to);
  void release(ProcessKey key);

  void on_event(Instant now, std::uint64_t data);
  // After the events of one turn, and when next_deadline() has come.
  void tick(Instant now);
  Instant next_deadline() const;

  bool is_empty() const { return by_key_.empty(); }

  // What tasks are not kept from on this host; empty: all is enforced.
  std::string isolation_note() const;

  // A new node listens: appends what is held as RunnerLists, and has fill() tell all the rest.
  void list(Bytes& out);
  // Appends reports until `out` has `limit` bytes or there is no more to say.
  void fill(Bytes& out, std::size_t limit);
  bool has_reports() const { return !reporting_.empty(); }
  // Is there something a node waits for? That a process was started can wait for company.
  bool is_urgent() const { return is_urgent_; }

  // Kills every process below this one and waits until they are gone, but no longer than `limit`.
  void kill_all(Duration limit);

 private:
  HeldProcess& take_slot();
  bool prepare(HeldProcess& held, Instant now);
  int launch(HeldProcess& held, Instant now);
  void fail_to_start(HeldProcess& held, int error);
  void watch(HeldProcess& held, std::uint32_t kind, int fd);
  void watch_stream(HeldProcess& held, std::uint32_t which);
  void unwatch_stream(HeldStream& stream);
  void watch_grown(Instant now);
  void read_stream(HeldProcess& held, std::uint32_t which);
  void end_stream(HeldProcess& held, std::uint32_t which);
  void pause(HeldProcess& held, std::uint32_t which);
  void resume(HeldProcess& held, std::uint32_t which);
  std::uint64_t room(const HeldStream& stream) const;
  void on_exit(HeldProcess& held, Instant now);
  void cut(HeldProcess& held, Instant now);
  void cut_due(Instant now);
  void finish_if_done(HeldProcess& held, Instant now);
  void describe_end(HeldProcess& held, int status, const rusage& usage);
  void sweep(Instant now);
  void watch_memory(Instant now);
  void watch_disk(Instant now);
  bool kill_again();
  bool end_largest(const DiskWatch::Look& look);
  std::vector<DiskHolder> count_holders(std::vector<HeldProcess*>& running);
  bool kill_outright(HeldProcess& held);
  void settle_disk(HeldProcess& held, Instant now);
  void end_group(HeldProcess& held, Instant now);
  void queue_report(HeldProcess& held, bool is_urgent);
  bool report(HeldProcess& held, Bytes& out);
  HeldProcess* find(ProcessKey key);

  const int epoll_fd_;
  const HeldOptions options_;
  int null_fd_ = -1;
  rlimit open_files_{};
  rlim_t most_running_ = 0;  // as many as there are descriptors for
  Cores cores_;
  TaskCgroups cgroups_;
  ProgramSearch programs_;
  Escapees escapees_;
  DiskWatch disk_;
  DiskBlame blame_;

  std::vector<std::unique_ptr<HeldProcess>> slots_;  // the place in it is a part of the event data
  std::vector<std::uint32_t> free_slots_;
  std::map<ProcessKey, std::uint32_t> by_key_;
  std::map<pid_t, Leader> leaders_;
  std::uint32_t next_generation_ = 0;
  std::uint64_t next_sequence_ = 1;
  std::uint64_t untaken_ = 0;
  struct Young {
    Instant grown_at;
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
  };
  std::deque<Young> young_;  // their streams are not watched yet
  std::set<std::pair<std::uint32_t, std::uint32_t>> paused_;
  // Ended, with output still open or with others of the group that have their grace.
  std::set<std::pair<Instant, std::uint32_t>> cuts_;
  std::set<std::uint32_t> limited_;  // running with a memory limit
  std::deque<std::uint32_t> reporting_;
  bool is_urgent_ = false;
  Instant sweep_at_ = Instant::never();
  Instant watch_at_ = Instant::never();
  Instant disk_at_ = Instant::never();
  Bytes scratch_;
};

}  // namespace dunlin
