// A draft becomes a submission: what people name is looked up, what must be stored is stored, and
// the job gets its id.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/client.h"
#include "cli/job_draft.h"

namespace dunlin {

// Mints the id in a group that has a quorum, or from the key.
Result<SubmitJob> make_submission(Client& client, JobDraft draft);

// --dry-run: what would be submitted, byte for byte, for people or as JSON; nothing leaves this
// host but questions for the nodes and jobs that it names.
Result<std::string> dry_run(Client& client, JobDraft draft, bool json);

}  // namespace dunlin
