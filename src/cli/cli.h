// The command line: one function, so that tests can call it as a shell would.
#pragma once

namespace dunlin {

constexpr const char* kVersion = DUNLIN_VERSION;

// Runs one command to its end; the process's exit code. Data goes to stdout, all else to stderr.
int run_cli(int argc, char** argv);

}  // namespace dunlin
