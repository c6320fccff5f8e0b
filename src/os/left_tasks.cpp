#include "os/left_tasks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <memory>

#include "os/file_descriptor.h"
#include "os/process_tree.h"
#include "os/runner_protocol.h"
#include "os/workdir.h"

namespace dunlin {

namespace {

// Only where there is no lock there is surely no runner: what cannot be opened may well be held.
bool may_have_runner(const std::string& directory, FileDescriptor& lock) {
  lock = open_file(directory + "/" + kRunnerLock, O_RDWR);
  if (!lock.is_open()) return errno != ENOENT;
  return flock(lock.get(), LOCK_EX | LOCK_NB) != 0;
}

bool is_directory(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// As those that the node gives.
bool is_numeric(const std::string& name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

void remove_left_tasks(const std::string& directory) {
  const std::unique_ptr<char, void (*)(void*)> real(realpath(directory.c_str(), nullptr), free);
  if (!real) return;
  const std::string tasks = std::string(real.get()) + "/tasks";
  FileDescriptor lock;
  if (!is_directory(tasks) || may_have_runner(directory, lock)) return;
  kill_strays("DUNLIN_WORKDIR", tasks, kStrayRounds);
  for (const std::string& path : entries_in(tasks)) {
    if (!is_numeric(path.substr(tasks.size() + 1))) continue;
    // What resists may still not be needed for a start.
    static_cast<void>(remove_tree(path));
  }
}

}  // namespace dunlin
