// How a command ends: its exit code, and the one line about what went wrong.
#pragma once

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
// Everything to stdout; false when nobody reads any more.
bool print(std::string_view text);

bool is_terminal(int fd);

}  // namespace dunlin
