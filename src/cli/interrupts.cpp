#include "cli/interrupts.h"

#include <csignal>

namespace dunlin {

namespace {
volatile std::sig_atomic_t g_interrupts = 0;
}  // namespace

void count_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupts = g_interrupts + 1; };
  sigemptyset(&action.sa_mask);
  // Without SA_RESTART: waiting must end.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int interrupts() {
  return g_interrupts;
}

}  // namespace dunlin
