// What a job may be given, and how it becomes a submission: options to a draft (pure, but for the
// looks it takes at files), the draft's files and entries into the cluster, and an id.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"
#include "cli/entries.h"
#include "cli/options.h"
#include "cli/shipping.h"
#include "sched/requests.h"

namespace dunlin {

// The options of `run` and `submit`.
const OptionTable& job_options();

struct JobDraft {
  JobSpec spec;  // without files and entries
  std::vector<LocalFile> files;
  std::optional<NextEntry> entries;
  std::string key;
};

// `words` of the arguments are the command. `may_be_script`: a script of this directory may be
// named without a '/', as `submit` allows.
Result<JobDraft> draft_job(const Arguments& args, bool may_be_script);

// Where on this host a command is that another host has not found: in the directory, or in PATH;
// empty when nowhere.
std::string found_here(const std::string& word);

// Uploads what must be uploaded, and mints the id: in a group that has a quorum, or from the key.
Result<SubmitJob> make_submission(Client& client, JobDraft draft);

}  // namespace dunlin
