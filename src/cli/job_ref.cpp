#include "cli/job_ref.h"

#include <algorithm>

#include "os/json.h"
#include "os/task_ranges.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxNamed = 10;  // of the jobs that a prefix could mean

bool is_prefix(std::string_view text) {
  if (text.empty() || text.size() > 10 || text[0] < 'a' || text[0] > 'z') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

Error no_job(std::string_view text, const HttpAnswer& answer) {
  const std::string silent = silent_groups(answer);
  if (!silent.empty()) {
    return {Code::kIncomplete,
            "no job '" + std::string(text) + "' is known, but " + silent +
                " groups of jobs have not answered",
            "try again later, or give the whole id"};
  }
  return {Code::kNotFound, "there is no job '" + std::string(text) + "'", "see: dunlin jobs --all"};
}

Result<JobId> find_last(Client& client) {
  const auto answer = client.call("GET", "/v1/jobs?mine=1&all=1&limit=1");
  if (!answer) return tl::unexpected(answer.error());
  const auto jobs = jobs_from_json(answer->body);
  if (!jobs) return tl::unexpected(jobs.error());
  if (jobs->empty()) return tl::unexpected(no_job("last", *answer));
  return jobs->front().id;
}

Result<JobId> find_by_prefix(Client& client, const std::string& prefix) {
  const auto answer = client.call(
      "GET", "/v1/jobs?all=1&prefix=" + prefix + "&limit=" + std::to_string(kMaxNamed + 1));
  if (!answer) return tl::unexpected(answer.error());
  const auto jobs = jobs_from_json(answer->body);
  if (!jobs) return tl::unexpected(jobs.error());
  if (jobs->empty()) return tl::unexpected(no_job(prefix, *answer));
  if (jobs->size() == 1) return jobs->front().id;
  std::string known;
  for (std::size_t i = 0; i < std::min(jobs->size(), kMaxNamed); ++i) {
    known += (known.empty() ? "" : ", ") + (*jobs)[i].id.text();
  }
  if (jobs->size() > kMaxNamed) known += ", ...";
  return fail(Code::kUsage, "'" + prefix + "' could mean " + known, "give more of the id");
}

}  // namespace

std::string silent_groups(const HttpAnswer& answer) {
  const std::string count = answer.header("dunlin-silent-groups");
  return count == "0" ? std::string() : count;
}

Error jobs_may_lack(const std::string& silent) {
  return {Code::kIncomplete, "the list may lack jobs: " + silent + " groups have not answered",
          "see: dunlin status"};
}

Result<JobWords> job_words_from(std::string_view text) {
  JobWords words;
  const std::size_t dot = text.find('.');
  words.job = std::string(text.substr(0, dot));
  if (!is_prefix(words.job)) {
    return fail(Code::kUsage, "'" + std::string(text) + "' names no job",
                "give an id like k3v9x2m4pq, its beginning, or last");
  }
  if (dot != std::string_view::npos) {
    auto tasks = task_ranges_from(text.substr(dot + 1));
    if (!tasks) return tl::unexpected(tasks.error());
    words.tasks = std::move(*tasks);
  }
  return words;
}

Result<JobRef> find_job(Client& client, std::string_view text) {
  auto words = job_words_from(text);
  if (!words) return tl::unexpected(words.error());
  Result<JobId> id = JobId{};
  if (words->job == "last") {
    id = find_last(client);
  } else if (const auto whole = JobId::from_text(words->job)) {
    id = *whole;
  } else {
    id = find_by_prefix(client, words->job);
  }
  if (!id) return tl::unexpected(id.error());
  return JobRef{*id, std::move(words->tasks)};
}

Result<bool> is_whole_job(Client& client, const JobRef& job) {
  if (job.tasks.empty()) return true;
  if (count_of(job.tasks) != 1 || job.tasks.front().first != 1) return false;
  const auto answer = client.call("GET", "/v1/jobs/" + job.id.text());
  if (!answer) return tl::unexpected(answer.error());
  const auto summary = job_from_json(answer->body);
  if (!summary) return tl::unexpected(summary.error());
  return summary->tasks.total == 1;
}

std::string tasks_query(const JobRef& job) {
  return job.tasks.empty() ? std::string() : "tasks=" + url_encoded(text_of(job.tasks));
}

}  // namespace dunlin
