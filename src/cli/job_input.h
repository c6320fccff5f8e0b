// What is to be submitted, in whatever way it was put down: options of the command line, the keys
// of a job file, the first lines of a script.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/options.h"

namespace dunlin {

struct JobInput {
  Arguments options;                              // of submit's table, or of run's
  std::vector<std::string> command;               // its first word may name a file of this host
  std::vector<std::vector<std::string>> sources;  // of entries: what stands behind each :::
  std::string name;                               // of the job, when no option gives one
  bool is_script = false;    // the command's first word is a script to be shipped
  bool is_shell = false;     // the command is `sh -c TEXT`: no entry is appended to it
  bool is_attended = false;  // of `run`: a client stays with the job, and passes its stdin on
  // Of #SBATCH: memory is this times --cpus, if --mem is not given.
  std::optional<std::uint64_t> memory_per_cpu;
  std::string slurm_directory;  // not empty: a script with #SBATCH lines
};

// What was typed behind `run`: options, and a command with its entries.
Result<JobInput> input_of_words(const Arguments& args);
// Behind `submit`: that, or a job file, or a script whose lines stand behind what was typed.
// `table`: the options of submit.
Result<JobInput> input_of_submission(const Arguments& args, const OptionTable& table);

// What `typed` says stands in place of what `written` says. Variables are mixed: those that were
// typed win. Whoever types an array or entries means his own, and none of what was written.
void overlay(JobInput& typed, JobInput written, const OptionTable& table);

// A job file in TOML (job_file.cpp). kUsage: file, line, key, what was expected.
Result<JobInput> read_job_file(const std::string& path, const OptionTable& table);
// The #DUNLIN and #SBATCH lines of a script, up to its first line of code (job_script.cpp); nothing
// when the file does not begin with #!. What it cannot honour but may pass over is noted on stderr.
Result<std::optional<JobInput>> read_job_script(const std::string& path, const OptionTable& table);

}  // namespace dunlin
