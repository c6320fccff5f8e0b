#include "os/escapees.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

namespace dunlin {

bool Escapees::sweep(const std::map<pid_t, Leader>& leaders) {
  bool killed = false;
  std::map<pid_t, Origin> alive;
  for (const pid_t pid : children_.list()) {
    if (leaders.contains(pid) || waitpid(pid, nullptr, WNOHANG) == pid) continue;
    const auto at = known_.find(pid);
    const Origin origin = at != known_.end() ? at->second : trace(pid, leaders);
    alive.emplace(pid, origin);
    if (may_live(origin, leaders)) continue;
    kill(pid, SIGKILL);
    killed = true;
  }
  known_ = std::move(alive);
  return killed;
}

Escapees::Origin Escapees::trace(pid_t pid, const std::map<pid_t, Leader>& leaders) {
  const auto directory = environment_of(pid, "DUNLIN_WORKDIR");
  const pid_t group = getpgid(pid);
  const pid_t session = getsid(pid);
  Origin origin;
  for (const auto& [leader, task] : leaders) {
    if ((directory && *directory == task.directory) || leader == group || leader == session) {
      return {leader, task.sequence};
    }
    origin.sequence = std::max(origin.sequence, task.sequence);
  }
  // Of a task that is no more: sequence 0 lets nobody answer for it.
  return directory ? Origin{} : origin;
}

bool Escapees::may_live(const Origin& origin, const std::map<pid_t, Leader>& leaders) {
  for (const auto& [leader, task] : leaders) {
    if (task.has_ended) continue;
    if (origin.leader == 0 ? task.sequence <= origin.sequence
                           : leader == origin.leader && task.sequence == origin.sequence) {
      return true;
    }
  }
  return false;
}

}  // namespace dunlin
