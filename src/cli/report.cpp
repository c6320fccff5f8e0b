#include "cli/report.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cli/interrupts.h"
#include "os/json.h"

namespace dunlin {

namespace {

int g_print_error = 0;

}  // namespace

int write_whole(int fd, std::string_view text, const std::function<void()>& interrupted) {
  while (!text.empty()) {
    if (interrupted) {
      // Waits here rather than in write(), so that an interrupt is heard of.
      pollfd waiting{fd, POLLOUT, 0};
      (void)poll_counting(&waiting, 1, -1);
      if (interrupts() > 0) interrupted();
    }
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EAGAIN) {
      pollfd waiting{fd, POLLOUT, 0};
      (void)poll_counting(&waiting, 1, -1);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return 0;
}

int exit_code_of(Code code) {
  switch (code) {
    case Code::kUsage: return kExitUsage;
    case Code::kUnreachable: return kExitUnreachable;
    case Code::kNotFound: return kExitNotFound;
    case Code::kRefused:
    case Code::kLimit:
    case Code::kConflict: return kExitRefused;
    case Code::kTimeout: return kExitTimeout;
    case Code::kIncomplete: return kExitIncomplete;
    case Code::kCorrupt:
    case Code::kFailed: return kExitFailed;
  }
  return kExitFailed;
}

int complain(const Error& error, bool json) {
  if (json) {
    note(error_json(error));
    return exit_code_of(error.code);
  }
  std::string line = "dunlin: " + error.message;
  if (!error.hint.empty()) line += "; " + error.hint;
  // One line, whatever a message quotes.
  std::replace(line.begin(), line.end(), '\n', ' ');
  note(line);
  return exit_code_of(error.code);
}

void note(std::string_view line) {
  (void)write_whole(STDERR_FILENO, std::string(line) + "\n");
}

bool print(std::string_view text) {
  if (g_print_error == 0) g_print_error = write_whole(STDOUT_FILENO, text);
  return g_print_error == 0;
}

int print_error() {
  return g_print_error;
}

Error unprinted(int error) {
  return {Code::kFailed, std::string("stdout cannot be written: ") + std::strerror(error), ""};
}

bool is_terminal(int fd) {
  return isatty(fd) == 1;
}

}  // namespace dunlin
