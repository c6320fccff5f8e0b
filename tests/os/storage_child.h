// A process of a test's own that writes to a disk until it is killed or ends.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <string>

#include "os/storage_life.h"

namespace dunlin {

// A child that says nothing for so long, in milliseconds, is killed.
inline constexpr int kChildPatience = 150'000;

// A forked process that runs `body` with the writing end of a pipe, its stderr in another. It ends
// with this one, and with this object, whatever it does.
class Child {
 public:
  explicit Child(const std::function<void(int)>& body) {
    int report[2];
    int errors[2];
    EXPECT_EQ(::pipe(report), 0);
    EXPECT_EQ(::pipe(errors), 0);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(99);
      ::dup2(errors[1], STDERR_FILENO);
      ::close(report[0]);
      body(report[1]);
      ::_exit(0);
    }
    ::close(report[1]);
    ::close(errors[1]);
    report_ = report[0];
    errors_ = errors[0];
  }
  ~Child() {
    kill();
    reap();
    ::close(report_);
    ::close(errors_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Reads one report; false at the end.
  bool next() {
    std::uint64_t message[2];
    pollfd waiting{report_, POLLIN, 0};
    if (::poll(&waiting, 1, kChildPatience) <= 0) {
      ADD_FAILURE() << "process " << pid_ << " neither speaks nor ends";
      kill();
      return false;
    }
    if (::read(report_, message, sizeof message) != sizeof message) return false;
    EXPECT_GT(message[0], row);
    row = message[0];
    was_full |= message[1] != 0;
    return true;
  }
  void kill() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
  }
  // Reads what there still is and waits; the exit code, or -1.
  int finish() {
    while (next()) {
    }
    // Its end of the pipe is closed: it has ended, or has been killed.
    const int status = reap();
    char buffer[1024];
    for (ssize_t n; (n = ::read(errors_, buffer, sizeof buffer)) > 0;) {
      stderr_text.append(buffer, static_cast<std::size_t>(n));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::uint64_t row = 0;  // acknowledged
  bool was_full = false;
  std::string stderr_text;

 private:
  int reap() {
    int status = 0;
    if (pid_ > 0) {
      EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    }
    pid_ = -1;
    return status;
  }

  pid_t pid_ = -1;
  int report_ = -1;
  int errors_ = -1;
};

inline void write_in_child(const std::string& directory, int report, std::uint64_t reserve = 0,
                           std::size_t padding = 0) {
  StorageLife life;
  if (!life.open(directory, reserve)) ::_exit(3);
  life.write_until_the_end(report, padding);
}

}  // namespace dunlin
