#include "cli/interrupts.h"

#include <time.h>

#include <csignal>

namespace dunlin {

namespace {
volatile std::sig_atomic_t g_interrupts = 0;
bool g_counting = false;
sigset_t g_mask_while_waiting;
}  // namespace

void count_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupts = g_interrupts + 1; };
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART: waiting must end.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigaddset(&blocked, SIGTERM);
  sigprocmask(SIG_BLOCK, &blocked, &g_mask_while_waiting);
  sigdelset(&g_mask_while_waiting, SIGINT);
  sigdelset(&g_mask_while_waiting, SIGTERM);
  g_counting = true;
}

int interrupts() {
  return g_interrupts;
}

int poll_counting(pollfd* fds, nfds_t count, int timeout_ms) {
  if (!g_counting) return poll(fds, count, timeout_ms);
  const timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1'000'000L};
  return ppoll(fds, count, timeout_ms < 0 ? nullptr : &timeout, &g_mask_while_waiting);
}

}  // namespace dunlin
