// What was asked for as a job's description, as far as this host alone can tell: files are looked
// at, nobody is asked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/entries.h"
#include "cli/job_input.h"
#include "cli/shipping.h"
#include "sched/requests.h"

namespace dunlin {

// What is piped into the command line as something for the tasks to read (cli/passed_input.h).
enum class PipedInput : std::uint8_t {
  kLeft,      // not passed on: not wanted, or read by another
  kPassedOn,  // unasked, by `run`
  kAskedFor,  // --stdin -
};

struct JobDraft {
  JobSpec spec;  // without files, entries, and what the cluster must be asked about
  std::vector<LocalFile> files;
  NextEntry entries;  // empty: there are none
  PipedInput piped = PipedInput::kLeft;
  std::string key;
  Arguments options;  // with the nodes and jobs as people write them
};

Result<JobDraft> draft_job(const JobInput& input);

// The name of what a task reads as its standard input, among the files that are shipped.
constexpr const char* kStdinName = ".dunlin-stdin";

// Where on this host a command is that another host has not found: in the directory, or in PATH;
// empty when nowhere.
std::string found_here(const std::string& word);

}  // namespace dunlin
