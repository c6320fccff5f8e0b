// A file system of so many bytes for one test.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace dunlin {

inline bool write_line(const char* path, const std::string& line) {
  std::ofstream file(path);
  file << line << std::flush;
  return file.good();
}

// Mounts one in a namespace of this process' own. Whoever is not root,
// or is not allowed to as root, becomes root of a user namespace first.
inline bool mount_tiny_disk(const std::string& at, std::uint64_t bytes) {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    if (!write_line("/proc/self/setgroups", "deny")) return false;
    if (!write_line("/proc/self/uid_map", "0 " + uid + " 1")) return false;
    if (!write_line("/proc/self/gid_map", "0 " + gid + " 1")) return false;
  }
  const std::string options = "size=" + std::to_string(bytes);
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tiny", at.c_str(), "tmpfs", 0, options.c_str()) == 0;
}

}  // namespace dunlin
