#include "cli/report.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/json.h"

namespace dunlin {

namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

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
  write_all(STDERR_FILENO, std::string(line) + "\n");
}

bool print(std::string_view text) {
  return write_all(STDOUT_FILENO, text);
}

bool is_terminal(int fd) {
  return isatty(fd) == 1;
}

}  // namespace dunlin
