#include "os/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

namespace dunlin {

namespace {

constexpr std::size_t kMaxSmallFile = 4 * 1024 * 1024;

// "pid (name) state ppid pgrp session ... rss": the name may hold blanks and parentheses.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
std::optional<ProcessStat> stat_of(pid_t pid) {
  const std::string text = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  ProcessStat process;
  process.pid = pid;
  std::uint64_t pages = 0;
  char state = 0;
  const int read = std::sscanf(text.c_str() + name_end + 1,
                               " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
                               "%*d %*d %*u %*u %lu",
                               &state, &process.parent, &process.group, &process.session, &pages);
  if (read != 5) return std::nullopt;
  process.is_zombie = state == 'Z' || state == 'X';
  process.resident = pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return process;
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  DIR* directory = opendir("/proc");
  if (directory == nullptr) return pids;
  while (const dirent* entry = readdir(directory)) {
    const int pid = atoi(entry->d_name);
    if (pid > 0) pids.push_back(pid);
  }
  closedir(directory);
  return pids;
}

bool lies_below(const std::string& path, const std::string& directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

std::string read_small_file(const std::string& path) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char piece[4096];
  ssize_t count;
  while (text.size() < kMaxSmallFile && (count = read(fd, piece, sizeof piece)) > 0) {
    text.append(piece, static_cast<std::size_t>(count));
  }
  close(fd);
  return text;
}

std::vector<ProcessStat> all_processes() {
  std::vector<ProcessStat> processes;
  for (const pid_t pid : all_pids()) {
    if (auto process = stat_of(pid)) processes.push_back(*process);
  }
  return processes;
}

std::set<pid_t> living_groups() {
  std::set<pid_t> groups;
  for (const ProcessStat& process : all_processes()) {
    if (!process.is_zombie) groups.insert(process.group);
  }
  return groups;
}

OwnChildren::OwnChildren() {
  const std::string self = std::to_string(getpid());
  fd_ = ::open(("/proc/self/task/" + self + "/children").c_str(), O_RDONLY | O_CLOEXEC);
}

OwnChildren::~OwnChildren() {
  if (fd_ >= 0) close(fd_);
}

std::vector<pid_t> OwnChildren::list() const {
  std::vector<pid_t> children;
  if (fd_ < 0) {
    for (const ProcessStat& process : all_processes()) {
      if (process.parent == getpid()) children.push_back(process.pid);
    }
    return children;
  }
  std::string text;
  char piece[4096];
  ssize_t count;
  do {
    count = pread(fd_, piece, sizeof piece, static_cast<off_t>(text.size()));
    if (count > 0) text.append(piece, static_cast<std::size_t>(count));
  } while (count > static_cast<ssize_t>(sizeof piece) / 2);  // a short one is the last
  const char* at = text.c_str();
  char* end = nullptr;
  for (long pid = strtol(at, &end, 10); end != at; pid = strtol(at, &end, 10)) {
    children.push_back(static_cast<pid_t>(pid));
    at = end;
  }
  return children;
}

std::optional<std::string> environment_of(pid_t pid, const std::string& name) {
  const std::string text = read_small_file("/proc/" + std::to_string(pid) + "/environ");
  const std::string prefix = name + "=";
  for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1) {
    const std::string_view rest = std::string_view(text).substr(at);
    if (rest.starts_with(prefix)) {
      return std::string(rest.substr(prefix.size(), rest.find('\0') - prefix.size()));
    }
    if (rest.find('\0') == std::string_view::npos) break;
  }
  return std::nullopt;
}

std::uint64_t tree_resident(const std::vector<ProcessStat>& processes, pid_t root) {
  std::set<pid_t> tree{root};
  // Parents do not always come before their children in /proc: pids wrap around.
  for (bool grew = true; grew;) {
    grew = false;
    for (const ProcessStat& process : processes) {
      if (tree.contains(process.parent) || process.group == root) {
        grew |= tree.insert(process.pid).second;
      }
    }
  }
  std::uint64_t sum = 0;
  for (const ProcessStat& process : processes) {
    if (tree.contains(process.pid)) sum += process.resident;
  }
  return sum;
}

void kill_strays(const std::string& name, const std::string& directory, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    bool found = false;
    for (const pid_t pid : all_pids()) {
      if (pid == getpid()) continue;
      const auto value = environment_of(pid, name);
      if (!value || !lies_below(*value, directory)) continue;
      found = true;
      kill(pid, SIGKILL);
    }
    if (!found) return;
    const timespec pause{0, 5'000'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace dunlin
