#include "cli/interrupts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

namespace dunlin {

namespace {

volatile std::sig_atomic_t g_interrupts = 0;
volatile std::sig_atomic_t g_signal = SIGINT;
int g_wake[2] = {-1, -1};  // holds a byte for each interrupt that poll_counting() has not told

void on_interrupt(int signal) {
  g_signal = signal;
  g_interrupts = g_interrupts + 1;
  if (g_interrupts > 1) _exit(128 + signal);
  const int error = errno;
  (void)!::write(g_wake[1], "", 1);
  errno = error;
}

}  // namespace

void count_interrupts() {
  // Without the pipe the signals end the process, as they do where nobody asks otherwise.
  if (pipe2(g_wake, O_CLOEXEC | O_NONBLOCK) != 0) return;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART: waiting must end.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupts() {
  return g_interrupts;
}

int interrupted_exit_code() {
  return 128 + g_signal;
}

int poll_counting(pollfd* fds, nfds_t count, int timeout_ms) {
  if (g_wake[0] < 0) return poll(fds, count, timeout_ms);
  std::vector<pollfd> all(fds, fds + count);
  all.push_back({g_wake[0], POLLIN, 0});
  const int ready = poll(all.data(), all.size(), timeout_ms);
  if (ready <= 0) return ready;
  if (all.back().revents != 0) {
    std::array<char, 16> told;
    (void)!::read(g_wake[0], told.data(), told.size());
    errno = EINTR;
    return -1;
  }
  std::copy(all.begin(), all.end() - 1, fds);
  return ready;
}

}  // namespace dunlin
