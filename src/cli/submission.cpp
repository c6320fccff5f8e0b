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

Result<JobId> whole_job(Client& client, const std::string& word) {
  const auto job = find_job(client, word);
  if (!job) return tl::unexpected(job.error());
  if (!job->tasks.empty()) {
    return fail(Code::kUsage, "'" + word + "': a job waits for whole jobs, not for tasks");
  }
  return job->id;
}

// That nobody answers is not the word's fault.
tl::unexpected<Error> wrong_word(const Arguments& options, const char* option, std::size_t index,
                                 const Error& why) {
  if (why.code != Code::kUsage && why.code != Code::kNotFound) return tl::unexpected(why);
  return options.wrong(option, index, why);
}

Result<void> add_dependencies(Client& client, const Arguments& options, const char* option,
                              bool any, std::vector<Dependency>& to) {
  const std::vector<std::string>& words = options.all(option);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto job = whole_job(client, words[i]);
    if (!job) return wrong_word(options, option, i, job.error());
    to.push_back({*job, any});
  }
  return {};
}

Result<void> add_nodes(Client& client, const Arguments& options, const char* option,
                       std::vector<NodeId>& to) {
  const std::vector<std::string>& words = options.all(option);
  if (words.empty()) return {};
  const auto nodes = all_nodes(client);
  if (!nodes) return tl::unexpected(nodes.error());
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto node = find_node(*nodes, words[i]);
    if (!node) return wrong_word(options, option, i, node.error());
    to.push_back(node->facts.id);
  }
  return {};
}

// What can be named in several ways gets its one name.
Result<void> look_up(Client& client, JobDraft& draft) {
  const Arguments& options = draft.options;
  JobSpec& spec = draft.spec;
  Result<void> fine = add_nodes(client, options, "node", spec.placement.nodes);
  if (fine) fine = add_nodes(client, options, "exclude", spec.placement.excluded);
  if (fine) fine = add_dependencies(client, options, "after", false, spec.after);
  if (fine) fine = add_dependencies(client, options, "afterany", true, spec.after);
  return fine;
}

// What is wrong with entries is wrong with where they come from.
Result<void> give_listed(const PutBlobs& put, const NextEntry& entries, const Arguments& options,
                         JobSpec& spec) {
  Result<void> given = give_entries(put, entries, spec);
  if (given) return given;
  for (const char* source : {"each-line", "from-json"}) {
    const bool is_theirs = given.error().code == Code::kUsage || given.error().code == Code::kLimit;
    if (is_theirs && options.has(source)) return options.wrong(source, given.error());
  }
  return given;
}

Result<void> give_content(const PutBlobs& put, const std::vector<LocalFile>& files,
                          const NextEntry& entries, const Arguments& options, JobSpec& spec) {
  if (!files.empty()) {
    auto shipped = ship(put, files);
    if (!shipped) return tl::unexpected(shipped.error());
    spec.files = std::move(*shipped);
  }
  return entries ? give_listed(put, entries, options, spec) : Result<void>();
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
  const Result<void> complete = give_content(into_cluster(client), draft.files, draft.entries,
                                             draft.options, submission.spec);
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
  fine = give_content(only_named(), draft.files, entries, draft.options, draft.spec);
  if (fine) fine = sched::validate(draft.spec);
  if (!fine) return tl::unexpected(fine.error());
  return json ? spec_json(draft.spec) + "\n" : dry_run_page(draft.spec, first_entries);
}

}  // namespace dunlin
