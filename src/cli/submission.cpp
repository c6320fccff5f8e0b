#include "cli/submission.h"

#include <array>

#include "base/crypto.h"
#include "cli/job_ref.h"
#include "cli/node_ref.h"
#include "cli/shell_words.h"
#include "cli/spec_page.h"
#include "os/chance.h"
#include "os/json.h"
#include "sched/sched.h"

namespace dunlin {

namespace {

constexpr std::size_t kShownTasks = 5;

Result<void> add_dependencies(Client& client, const std::vector<std::string>& words, bool any,
                              std::vector<Dependency>& to) {
  for (const std::string& word : words) {
    const auto job = find_job(client, word);
    if (!job) return tl::unexpected(job.error());
    if (!job->tasks.empty()) {
      return fail(Code::kUsage, "'" + word + "': a job waits for whole jobs, not for tasks");
    }
    to.push_back({job->id, any});
  }
  return {};
}

// What can be named in several ways gets its one name.
Result<void> look_up(Client& client, JobDraft& draft) {
  auto nodes = find_nodes(client, draft.nodes);
  if (!nodes) return tl::unexpected(nodes.error());
  auto excluded = find_nodes(client, draft.excluded);
  if (!excluded) return tl::unexpected(excluded.error());
  draft.spec.placement.nodes = std::move(*nodes);
  draft.spec.placement.excluded = std::move(*excluded);
  Result<void> fine = add_dependencies(client, draft.after, false, draft.spec.after);
  if (fine) fine = add_dependencies(client, draft.after_any, true, draft.spec.after);
  return fine;
}

Result<void> give_content(const PutBlobs& put, const std::vector<LocalFile>& files,
                          const NextEntry& entries, JobSpec& spec) {
  if (!files.empty()) {
    auto shipped = ship(put, files);
    if (!shipped) return tl::unexpected(shipped.error());
    spec.files = std::move(*shipped);
  }
  return entries ? give_entries(put, entries, spec) : Result<void>();
}

std::string dry_run_page(const JobSpec& spec, const std::vector<std::string>& first_entries) {
  std::string text = "would be submitted:\n" + spec_page(spec);
  if (!spec.many) return text;
  text += "the first commands:\n";
  std::size_t shown = 0;
  for (const TaskRange& range : spec.tasks) {
    for (std::uint64_t n = range.first; n <= range.last && shown < kShownTasks; n += range.step) {
      sched::TaskNames names;
      names.number = static_cast<std::uint32_t>(n);
      names.entry = shown < first_entries.size() ? first_entries[shown] : std::to_string(n);
      ++shown;
      text += "  " + std::to_string(n) + "  " + shell_line(sched::task_argv(spec, names)) + "\n";
    }
  }
  if (spec.task_count() > shown) {
    text += "  and " + std::to_string(spec.task_count() - shown) + " more\n";
  }
  return text;
}

}  // namespace

Result<SubmitJob> make_submission(Client& client, JobDraft draft) {
  SubmitJob submission;
  submission.key = draft.key;
  if (const Result<void> fine = look_up(client, draft); !fine) return tl::unexpected(fine.error());
  submission.spec = std::move(draft.spec);
  // Before the uploads, which go to the node that has answered this.
  const auto answer = client.call("GET", "/v1/pick-group");
  if (!answer) return tl::unexpected(answer.error());
  const auto choice = group_choice_from_json(answer->body);
  if (!choice) return tl::unexpected(choice.error());
  submission.user = choice->user;
  const Result<void> complete =
      give_content(into_cluster(client), draft.files, draft.entries, submission.spec);
  if (!complete) return tl::unexpected(complete.error());
  if (!submission.key.empty()) {
    initialise_crypto();
    submission.id = job_id_for_key(choice->user, submission.key, choice->group_count);
  } else {
    std::array<std::uint8_t, 10> chance;
    fill_with_chance(chance);
    submission.id = JobId::make(choice->group, choice->group_count, chance);
  }
  return submission;
}

Result<std::string> dry_run(Client& client, JobDraft draft, bool json) {
  Result<void> fine = look_up(client, draft);
  if (!fine) return tl::unexpected(fine.error());
  std::vector<std::string> first_entries;
  NextEntry entries;
  if (draft.entries) {
    entries = [&]() -> Result<std::optional<std::string>> {
      auto entry = draft.entries();
      const bool is_shown = entry && *entry && first_entries.size() < kShownTasks;
      if (is_shown) first_entries.push_back(**entry);
      return entry;
    };
  }
  fine = give_content(only_named(), draft.files, entries, draft.spec);
  if (fine) fine = sched::validate(draft.spec);
  if (!fine) return tl::unexpected(fine.error());
  return json ? spec_json(draft.spec) + "\n" : dry_run_page(draft.spec, first_entries);
}

}  // namespace dunlin
