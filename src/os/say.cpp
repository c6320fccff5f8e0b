#include "os/say.h"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "os/clock.h"

namespace dunlin {

namespace {

std::atomic<bool> are_stamped = false;

// systemd names the device and inode of the journal's stream (systemd.exec(5), $JOURNAL_STREAM).
bool is_journal(int fd) {
  const char* const named = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (named == nullptr || ::fstat(fd, &status) != 0) return false;
  return named == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

}  // namespace

void stamp_lines() {
  are_stamped = !is_journal(STDERR_FILENO);
}

void say(const std::string& line) {
  const std::string stamp = are_stamped ? to_rfc3339(wall_now()) + " " : "";
  std::fprintf(stderr, "%sdunlin: %s\n", stamp.c_str(), line.c_str());
}

void say(const Error& error) {
  say(error.message + (error.hint.empty() ? "" : "; " + error.hint));
}

}  // namespace dunlin
