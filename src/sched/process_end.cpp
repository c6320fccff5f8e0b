#include "sched/process_end.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace dunlin::sched {

Reason reason_of(const ProcessExited& exit, bool timed_out) {
  if (exit.start_error != 0) {
    if (exit.lacks_directory) return Reason::kFileMissing;
    if (exit.exit_code == 127) return Reason::kMissingExecutable;
    return exit.exit_code == 126 ? Reason::kCannotExecute : Reason::kDisk;
  }
  if (exit.killed_for_memory) return Reason::kMemory;
  if (exit.killed_with > 0) return Reason::kDisk;
  if (timed_out) return Reason::kTimeLimit;
  if (exit.signal != 0) return Reason::kSignal;
  return exit.exit_code == 0 ? Reason::kNone : Reason::kExit;
}

bool lacks_means(const ProcessExited& exit) {
  constexpr int kLacking[] = {EAGAIN, ENOMEM, EMFILE, ENFILE};
  return std::find(std::begin(kLacking), std::end(kLacking), exit.start_error) !=
         std::end(kLacking);
}

bool is_over_time(const JobSpec& spec, const ProcessExited& exit) {
  const std::int64_t ms = exit.finished_at.ms - exit.started_at.ms;
  return spec.time_limit.us > 0 && ms >= spec.time_limit.milliseconds();
}

std::string start_trouble(const std::string& node, const JobSpec* spec, const ProcessExited& exit) {
  const std::string program =
      spec == nullptr ? "the command" : "'" + spec->argv.front().substr(0, kMaxDetail / 2) + "'";
  const std::string host = node.empty() ? "the host" : node;
  if (exit.lacks_directory) {
    const std::string directory =
        spec == nullptr ? "the directory" : spec->host_directory.substr(0, kMaxDetail / 2);
    return exit.start_error == ENOENT ? host + " has no directory " + directory
                                      : host + ": the task cannot enter " + directory + ": " +
                                            std::strerror(exit.start_error);
  }
  if (exit.exit_code == 127) return host + " has no executable " + program;
  const bool is_there = exit.exit_code == 126;
  const std::string what = is_there ? " cannot execute " : " cannot prepare the start of ";
  // What the kernel has not found is not the file itself.
  const std::string why = is_there && exit.start_error == ENOENT
                              ? "the interpreter that it names is not there"
                              : std::strerror(exit.start_error);
  return host + what + program + ": " + why;
}

std::string disk_trouble(const std::string& node, const ProcessExited& exit) {
  const std::string host = node.empty() ? "its host" : node;
  return "the disk of " + host + " was nearly full, and this task held the most of it, " +
         std::to_string(exit.killed_with >> 20) + " MiB in its directory: it was ended";
}

}  // namespace dunlin::sched
