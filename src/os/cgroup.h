// Control groups of a runner: one that holds the runner and all its tasks, so that the runner that
// comes after a killed one can end what that left behind; and one for each task with a memory
// limit. v2 is used where a group above ours already hands the memory controller down (as under
// systemd), else v1, else nothing: limits_memory() is then false and the caller must watch.
// No controller is ever switched on in a group that is not ours: systemd could then not start a
// service in it again. https://docs.kernel.org/admin-guide/cgroup-v2.html
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"

namespace dunlin {

class TaskCgroups {
 public:
  // `name` belongs to one runner directory on this host; empty means no cgroups. Ends all processes
  // in groups of that name and joins the new one.
  explicit TaskCgroups(const std::string& name);
  // Leaves and removes the groups, as far as they are empty.
  ~TaskCgroups();
  TaskCgroups(const TaskCgroups&) = delete;
  TaskCgroups& operator=(const TaskCgroups&) = delete;

  bool limits_memory() const { return memory_ != Memory::kNone; }

  // A group with this limit: writing "0" to the descriptor (kept by this) makes the writer join.
  Result<int> open(std::uint64_t id, std::uint64_t memory_limit);
  // Did the kernel kill a process in it for want of memory?
  bool ran_out(std::uint64_t id) const;
  std::uint64_t peak(std::uint64_t id) const;  // bytes
  // Kills all in it and removes it; when that cannot be done at once, tidy() tries again.
  void close(std::uint64_t id);
  // True when nothing closed is left.
  bool tidy();

 private:
  enum class Memory { kNone, kV1, kV2 };
  struct Group {
    int procs_fd = -1;
    bool is_closed = false;
  };

  std::string path_of(std::uint64_t id) const;
  bool remove(std::uint64_t id, Group& group);

  std::string all_;      // the v2 group of everything; empty: none
  std::string home_;     // the v2 group that the runner came from
  std::string limited_;  // the group above those of tasks with a limit; empty: none
  Memory memory_ = Memory::kNone;
  std::map<std::uint64_t, Group> groups_;
};

}  // namespace dunlin
