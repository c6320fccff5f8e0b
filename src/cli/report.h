// How a command ends: its exit code, and the one line about what went wrong.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace dunlin {

enum ExitCode : int {
  kExitWell = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitUnreachable = 3,
  kExitNotFound = 4,
  kExitRefused = 5,
  kExitTimeout = 6,
  kExitIncomplete = 7,
  // Of `run`, whose other codes are the command's own.
  kExitTimeLimit = 124,
  kExitOwnFailure = 125,
  kExitCannotRun = 126,
  kExitCommandMissing = 127,
  kExitInterrupted = 130,
};

int exit_code_of(Code code);

// Says it on stderr, as one line or with `json` as an object, and returns the exit code.
int complain(const Error& error, bool json);
// A line on stderr that is no error.
void note(std::string_view line);
// Everything to stdout; false when it takes no more, which run_cli() makes a failure of the
// command.
bool print(std::string_view text);
// Why stdout takes no more, as an errno; 0: it does.
int print_error();
// "stdout cannot be written: ...".
Error unprinted(int error);
// Everything to the descriptor, be it one that does not block; 0, or the errno of what failed. If
// an interrupt comes meanwhile, `interrupted` is called, once or more.
int write_whole(int fd, std::string_view text, const std::function<void()>& interrupted = {});

bool is_terminal(int fd);

}  // namespace dunlin
