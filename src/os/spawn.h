// Starting a task's process, fast: clone3 with CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND and
// *without* CLONE_VFORK, so that the caller goes on while the child is still on its way to exec
// (docs: 1.25 of a posix_spawn loop, with no thread and no zygote). The price: the child shares
// this process's memory, thread pointer and errno, so it makes raw system calls only, runs on a
// stack of its own, and everything it reads must stay until the process has ended. Where that is
// not possible (sanitizers, other processors, a kernel without clone3) or not wise (a task of
// another user, or with a memory limit) the same child code runs after a plain fork.
//
// The caller must be single-threaded, have no signal handlers, and keep descriptors 0-2 open.
#pragma once

#include <sched.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace dunlin {

// The user that tasks run as, when it is not the runner's own.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

// All pointers must stay valid until the process has ended.
struct SpawnRequest {
  const char* directory = nullptr;  // becomes the working directory
  // Becomes it instead, as far as the account may enter it; nullptr: `directory` does.
  const char* host_directory = nullptr;
  char* const* argv = nullptr;  // ended by nullptr, as is the next
  char* const* environment = nullptr;
  const char* const* candidates = nullptr;  // files to try as the program, in this order
  int stdin_fd = -1;                        // all descriptors given are above 2 and close-on-exec
  int stdout_fd = -1;
  int stderr_fd = -1;
  int cgroup_procs_fd = -1;            // joined by writing "0" to it; -1: none
  const cpu_set_t* cpus = nullptr;     // nullptr: the caller's
  const rlimit* open_files = nullptr;  // nullptr: the caller's
  const Account* account = nullptr;    // nullptr: the caller's
};

// What the child says before it becomes the program. Valid once the process has ended.
struct SpawnReport {
  std::int32_t error = 0;        // errno; 0: exec succeeded
  bool is_missing = false;       // the error means: there is no such file at all
  bool before_exec = false;      // the error is not exec's, but of a step of ours before it
  bool lacks_directory = false;  // that step was to enter host_directory
  std::uint32_t candidate = 0;   // the one that was executed, or tried last
};

struct Spawned {
  pid_t pid = 0;
  int pidfd = -1;  // close-on-exec; the caller's to close
};

// Memory that one child needs on its way to exec. Reused for another when that one has ended.
class SpawnSlot {
 public:
  SpawnSlot();
  ~SpawnSlot();
  SpawnSlot(const SpawnSlot&) = delete;
  SpawnSlot& operator=(const SpawnSlot&) = delete;

  // Starts a process that leads a group of its own and dies with the caller (PDEATHSIG). An error
  // (errno) means that there is no process; what goes wrong later is in report().
  tl::expected<Spawned, int> start(const SpawnRequest& request);
  SpawnReport report() const;

 private:
  struct Shared;
  Shared* shared_;
};

// Where a program may lie: its path as it stands when it has a `/`, else each directory of `path`,
// with the one that served last time first. A hit is trusted for a second, so that a program that
// begins to shadow another is found.
class ProgramSearch {
 public:
  std::vector<std::string> candidates(const std::string& program, const std::string& path,
                                      Instant now) const;
  void found(const std::string& program, const std::string& path, const std::string& file,
             Instant now);

 private:
  static constexpr std::size_t kMaxHits = 1024;
  struct Hit {
    std::string file;
    Instant until;
  };
  std::map<std::pair<std::string, std::string>, Hit> hits_;
};

}  // namespace dunlin
