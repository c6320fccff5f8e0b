#include "os/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sstream>

#include "os/process_tree.h"

namespace dunlin {

namespace {

constexpr int kMaxKillRounds = 100;  // of 5 ms

bool write_file(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return written;
}

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string each; words >> each;) {
    if (each == word) return true;
  }
  return false;
}

// The number behind `name` in lines of "name number".
std::uint64_t number_after(const std::string& text, const std::string& name) {
  std::istringstream words(text);
  for (std::string each; words >> each;) {
    std::uint64_t number = 0;
    if (each == name && words >> number) return number;
  }
  return 0;
}

// Our path in a hierarchy, as /proc says it; `controller` empty means v2.
std::string own_path(const std::string& controller) {
  std::istringstream lines(read_small_file("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string names = line.substr(first + 1, second - first - 1);
    for (char& c : names) c = c == ',' ? ' ' : c;
    if (controller.empty() ? names.empty() : has_word(names, controller)) {
      return line.substr(second + 1);
    }
  }
  return {};
}

// Our group's directory in a hierarchy, or nothing when it is not mounted. A line of mountinfo is:
// id parent device root mount-point options [optional...] - type source super-options.
std::string find_place(const std::string& controller, std::string& mount) {
  std::istringstream lines(read_small_file("/proc/self/mountinfo"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream front(line), back(line.substr(dash + 3));
    std::string id, parent, device, root, point, type, source, options;
    front >> id >> parent >> device >> root >> point;
    back >> type >> source >> options;
    for (char& c : options) c = c == ',' ? ' ' : c;
    if (controller.empty() ? type != "cgroup2"
                           : type != "cgroup" || !has_word(options, controller)) {
      continue;
    }
    std::string path = own_path(controller);
    if (path.empty()) return {};
    // In a container the mount may show only a part of the hierarchy.
    if (root != "/" && path.starts_with(root)) path.erase(0, root.size());
    mount = point;
    return path == "/" || path.empty() ? point : point + path;
  }
  return {};
}

// Ends all processes of the group and of those below it, other than this one, and removes those.
void clear_group(const std::string& group) {
  DIR* directory = opendir(group.c_str());
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    clear_group(group + "/" + entry->d_name);
    rmdir((group + "/" + entry->d_name).c_str());
  }
  closedir(directory);
  for (int round = 0; round < kMaxKillRounds; ++round) {
    bool found = false;
    std::istringstream pids(read_small_file(group + "/cgroup.procs"));
    for (pid_t pid = 0; pids >> pid;) {
      if (pid == getpid() || pid <= 0) continue;
      found = true;
      kill(pid, SIGKILL);
    }
    if (!found) return;
    const timespec pause{0, 5'000'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace

TaskCgroups::TaskCgroups(const std::string& name) {
  if (name.empty()) return;
  std::string mount;
  home_ = find_place("", mount);
  if (!home_.empty()) {
    // The nearest group from ours upwards that gives memory to its children; else our own.
    std::string base = home_;
    std::string above = home_;
    for (;;) {
      if (access(above.c_str(), W_OK) == 0 &&
          has_word(read_small_file(above + "/cgroup.subtree_control"), "memory")) {
        base = above;
        break;
      }
      if (above.size() <= mount.size()) break;
      above.resize(above.rfind('/'));
    }
    all_ = base + "/" + name;
    clear_group(all_);
    mkdir(all_.c_str(), 0755);
    mkdir((all_ + "/run").c_str(), 0755);
    if (!write_file(all_ + "/run/cgroup.procs", "0")) {
      rmdir((all_ + "/run").c_str());
      rmdir(all_.c_str());
      all_.clear();
    } else if (write_file(all_ + "/cgroup.subtree_control", "+memory")) {
      memory_ = Memory::kV2;
      limited_ = all_;
    }
  }
  if (memory_ != Memory::kNone) return;
  const std::string v1 = find_place("memory", mount);
  if (v1.empty()) return;
  const std::string group = v1 + "/" + name;
  clear_group(group);
  if (mkdir(group.c_str(), 0755) == 0 || (errno == EEXIST && access(group.c_str(), W_OK) == 0)) {
    memory_ = Memory::kV1;
    limited_ = group;
  }
}

TaskCgroups::~TaskCgroups() {
  for (auto& [id, group] : groups_) remove(id, group);
  if (!all_.empty()) {
    write_file(home_ + "/cgroup.procs", "0");
    rmdir((all_ + "/run").c_str());
    rmdir(all_.c_str());
  }
  if (memory_ == Memory::kV1) rmdir(limited_.c_str());
}

std::string TaskCgroups::path_of(std::uint64_t id) const {
  return limited_ + "/task-" + std::to_string(id);
}

Result<int> TaskCgroups::open(std::uint64_t id, std::uint64_t memory_limit) {
  const std::string path = path_of(id);
  const std::string bytes = std::to_string(memory_limit);
  bool made = mkdir(path.c_str(), 0755) == 0 || errno == EEXIST;
  if (memory_ == Memory::kV2) {
    made = made && write_file(path + "/memory.max", bytes);
    // Swap counts too, and the group dies as one; where the kernel has no such files, it is less.
    write_file(path + "/memory.swap.max", "0");
    write_file(path + "/memory.oom.group", "1");
  } else {
    made = made && write_file(path + "/memory.limit_in_bytes", bytes);
    write_file(path + "/memory.memsw.limit_in_bytes", bytes);
  }
  const int fd = made ? ::open((path + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC) : -1;
  if (fd < 0) {
    const std::string why = strerror(errno);
    rmdir(path.c_str());
    return fail(Code::kFailed, "cannot limit memory by a cgroup at " + path + ": " + why);
  }
  groups_[id].procs_fd = fd;
  return fd;
}

bool TaskCgroups::ran_out(std::uint64_t id) const {
  const char* file = memory_ == Memory::kV2 ? "/memory.events" : "/memory.oom_control";
  return number_after(read_small_file(path_of(id) + file), "oom_kill") > 0;
}

std::uint64_t TaskCgroups::peak(std::uint64_t id) const {
  const char* file = memory_ == Memory::kV2 ? "/memory.peak" : "/memory.max_usage_in_bytes";
  return strtoull(read_small_file(path_of(id) + file).c_str(), nullptr, 10);
}

bool TaskCgroups::remove(std::uint64_t id, Group& group) {
  if (group.procs_fd >= 0) ::close(group.procs_fd);
  group.procs_fd = -1;
  const std::string path = path_of(id);
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
  if (write_file(path + "/cgroup.kill", "1")) return false;
  std::istringstream pids(read_small_file(path + "/cgroup.procs"));
  for (pid_t pid = 0; pids >> pid;) {
    if (pid > 0) kill(pid, SIGKILL);
  }
  return false;
}

void TaskCgroups::close(std::uint64_t id) {
  const auto at = groups_.find(id);
  if (at == groups_.end()) return;
  at->second.is_closed = true;
  if (remove(id, at->second)) groups_.erase(at);
}

bool TaskCgroups::tidy() {
  bool clean = true;
  for (auto at = groups_.begin(); at != groups_.end();) {
    if (!at->second.is_closed) {
      ++at;
    } else if (remove(at->first, at->second)) {
      at = groups_.erase(at);
    } else {
      clean = false;
      ++at;
    }
  }
  return clean;
}

}  // namespace dunlin
