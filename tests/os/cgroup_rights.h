// What this process may do with control groups, found out by doing it: the measure of what a runner
// has to make of them.
#pragma once

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace dunlin {

struct CgroupRights {
  bool may_join = false;          // a group of its own (v2)
  bool may_limit_memory = false;  // of a group (v2, or else v1)
};

// The directory of our group in the hierarchy whose mount and whose line of /proc/self/cgroup
// match.
inline std::string group_directory(bool is_v2) {
  std::string own;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t colon = line.find(':');
    const std::size_t path = line.find(':', colon + 1) + 1;
    const std::string controllers = line.substr(colon + 1, path - colon - 2);
    if (is_v2 ? controllers.empty() : controllers == "memory") own = line.substr(path);
  }
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string device, point, type, options;
    words >> device >> point >> type >> options;
    options = "," + options + ",";
    const bool is_it = is_v2 ? type == "cgroup2"
                             : type == "cgroup" && options.find(",memory,") != std::string::npos;
    struct stat about {};
    if (is_it && !own.empty() && ::stat((point + own).c_str(), &about) == 0) {
      return own == "/" ? point : point + own;
    }
  }
  return {};
}

inline bool may_join(const std::string& group) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::ofstream procs(group + "/cgroup.procs");
    procs << "0" << std::flush;
    ::_exit(procs.good() ? 0 : 1);
  }
  int status = 1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

inline bool gives_memory_down(const std::string& group) {
  std::ifstream words(group + "/cgroup.subtree_control");
  for (std::string word; words >> word;) {
    if (word == "memory") return ::access(group.c_str(), W_OK) == 0;
  }
  return false;
}

inline CgroupRights cgroup_rights() {
  CgroupRights rights;
  const std::string name = "/dunlin-test-" + std::to_string(::getpid());
  std::string group = group_directory(true);
  if (!group.empty() && ::mkdir((group + name).c_str(), 0755) == 0) {
    rights.may_join = may_join(group + name);
    ::rmdir((group + name).c_str());
  }
  for (; rights.may_join && !rights.may_limit_memory && group.size() > 1;
       group.resize(group.rfind('/'))) {
    rights.may_limit_memory = gives_memory_down(group);
  }
  const std::string memory = group_directory(false);
  if (!memory.empty() && ::mkdir((memory + name).c_str(), 0755) == 0) {
    rights.may_limit_memory = true;
    ::rmdir((memory + name).c_str());
  }
  return rights;
}

}  // namespace dunlin
