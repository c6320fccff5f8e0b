// What /proc knows about processes. All answers are snapshots, and may be stale when they arrive:
// who kills by them looks again until nothing is left.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace dunlin {

struct ProcessStat {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  bool is_zombie = false;
  std::uint64_t resident = 0;  // bytes
};

std::vector<ProcessStat> all_processes();

// Process groups in which anything lives; zombies do not.
std::set<pid_t> living_groups();

// The children of this process, which must be single-threaded and not fork away from this object.
class OwnChildren {
 public:
  OwnChildren();
  ~OwnChildren();
  OwnChildren(const OwnChildren&) = delete;
  OwnChildren& operator=(const OwnChildren&) = delete;
  std::vector<pid_t> list() const;

 private:
  int fd_;  // -1: the kernel has no CONFIG_PROC_CHILDREN
};

// The value of a variable in the environment that `pid` was executed with; nothing when there is
// none, or it may not be read.
std::optional<std::string> environment_of(pid_t pid, const std::string& name);

// The resident memory of the tree below `root`, it included, and of all in its process group.
// Shared pages count in each process.
std::uint64_t tree_resident(const std::vector<ProcessStat>& processes, pid_t root);

// Kills all processes (other than this one) that were started with the variable `name` set to a
// path at or below `directory`, until none is found or `rounds` are over. Those are the tasks of a
// runner that died before it could do so.
constexpr int kStrayRounds = 200;
void kill_strays(const std::string& name, const std::string& directory, int rounds);

// The whole of a small file such as /proc has; empty when it cannot be read.
std::string read_small_file(const std::string& path);

}  // namespace dunlin
