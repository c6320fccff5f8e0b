// Descendants that left their task: a daemon that forked twice or took a session of its own is
// adopted by the runner (PR_SET_CHILD_SUBREAPER). Each is traced to the task it came from by the
// DUNLIN_WORKDIR in its environment, its process group or its session, and killed when that task
// has ended. One that hides all three ends when the last task has ended that was running when it
// was first seen.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

#include "os/process_tree.h"

namespace dunlin {

// A task's first process; in the table from its start until it is reaped.
struct Leader {
  std::string directory;       // its DUNLIN_WORKDIR
  std::uint64_t sequence = 0;  // rises with each start
  bool has_ended = false;
};

class Escapees {
 public:
  // Reaps adopted processes that died and kills those whose task has ended. True when something
  // was killed, so that there may be more to see (its children are adopted in turn).
  bool sweep(const std::map<pid_t, Leader>& leaders);
  // Are there any that live?
  bool has_any() const { return !known_.empty(); }

 private:
  struct Origin {
    pid_t leader = 0;            // 0: not known
    std::uint64_t sequence = 0;  // of that leader; else of the newest task at first sight
  };

  static Origin trace(pid_t pid, const std::map<pid_t, Leader>& leaders);
  static bool may_live(const Origin& origin, const std::map<pid_t, Leader>& leaders);

  OwnChildren children_;
  std::map<pid_t, Origin> known_;
};

}  // namespace dunlin
