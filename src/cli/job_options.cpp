#include "cli/job_options.h"

namespace dunlin {

const OptionTable& job_options() {
  static const OptionTable table = {
      {"name", 'J', "NAME", Takes::kText, "what the job is called; default: the command's name"},
      {"cpus", 'c', "N", Takes::kPositive, "cores for each task (1)"},
      {"mem", 0, "SIZE", Takes::kSize, "memory for each task, as in 4G"},
      {"gpus", 0, "N", Takes::kCount, "gpus for each task (0)"},
      {"resource", 'r', "NAME=N", Takes::kAmount, "what nodes count by that name", true},
      {"array", 0, "RANGES", Takes::kTasks, "many tasks: 1-1000, 0-9:2, 1,4,7-9, ...%LIMIT"},
      {"each-line", 0, "FILE", Takes::kText, "a task for each line of FILE (- is stdin)"},
      {"from-json", 0, "FILE", Takes::kText, "a task for each value of an array (- is stdin)"},
      {"placeholder", 'I', "STR", Takes::kText, "what the entry replaces, instead of {}"},
      {"limit", 0, "N", Takes::kCount, "at most N tasks at once"},
      {"priority", 'p', "N", Takes::kNumber, "higher goes first (0)"},
      {"retries", 0, "N", Takes::kCount, "further attempts after a failure (0)"},
      {"backoff", 0, "TIME", Takes::kDuration, "before a retry, doubled each time: 10s"},
      {"max-fails", 0, "N", Takes::kCount, "with more than N failed tasks the job ends"},
      {"crash-limit", 0, "N", Takes::kPositive, "nodes lost under a task before it fails (3)"},
      {"time", 0, "TIME", Takes::kDuration, "limit for one attempt: 1h30m"},
      {"grace", 0, "TIME", Takes::kDuration, "between TERM and KILL (10s)"},
      {"file", 0, "PATH[:NAME]", Takes::kText, "ship this file into the task's directory", true},
      {"dir", 0, "PATH[:NAME]", Takes::kText, "ship what is in this directory", true},
      {"no-ship", 0, nullptr, Takes::kNothing, "do not ship the command itself"},
      {"chdir", 0, "DIR", Takes::kText, "run in this directory of the executing host"},
      {"out", 0, "GLOB", Takes::kText,
       "keep the files that match, as outputs (regular files, no links)", true},
      {"keep", 0, "TIME", Takes::kDuration, "how long all of it is kept once it ended (30d)"},
      {"log-limit", 0, "SIZE", Takes::kSize,
       "of stdout and of stderr; the middle is left out (1G)"},
      {"env", 0, "NAME[=VALUE]", Takes::kText, "set a variable, or pass it on", true},
      {"env-all", 0, nullptr, Takes::kNothing, "pass on all variables, but those dunlin sets"},
      {"stdin", 0, "FILE", Takes::kText, "what each task reads (- is stdin)"},
      {"zone", 0, "ZONE", Takes::kText, "only on nodes of this zone"},
      {"label", 0, "K=V", Takes::kPair, "only on nodes with this label", true},
      {"node", 0, "NODE", Takes::kText, "only on this node, or another one named so", true},
      {"exclude", 0, "NODE", Takes::kText, "not on this node", true},
      {"after", 0, "JOB", Takes::kText, "once this job is done; cancelled if it fails", true},
      {"afterany", 0, "JOB", Takes::kText, "once this job has ended, however it did", true},
      {"begin", 0, "TIME", Takes::kMoment, "not before: +1h, 14:30, 2030-01-31T14:30"},
      {"key", 0, "TOKEN", Takes::kText,
       "submit once: the same key is the same job, whenever it begins"},
      {"dry-run", 0, nullptr, Takes::kNothing, "show what would be submitted, and submit nothing"},
  };
  return table;
}

}  // namespace dunlin
