#include "os/left_tasks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include <memory>

#include "os/file_descriptor.h"
#include "os/process_tree.h"
#include "os/runner_protocol.h"
#include "os/workdir.h"

namespace dunlin {

void remove_left_tasks(const std::string& directory) {
  const std::unique_ptr<char, void (*)(void*)> real(realpath(directory.c_str(), nullptr), free);
  if (!real) return;
  const std::string tasks = std::string(real.get()) + "/tasks";
  const FileDescriptor lock = open_file(directory + "/" + kRunnerLock, O_RDWR);
  if (lock.is_open() && flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return;
  kill_strays("DUNLIN_WORKDIR", tasks, kStrayRounds);
  for (const std::string& path : entries_in(tasks)) {
    // What resists may still not be needed for a start.
    static_cast<void>(remove_tree(path));
  }
}

}  // namespace dunlin
