// POST and GET /v1/jobs; GET /v1/jobs/ID, /tasks, /watch, /explain.
#include "os/exchange.h"
#include "os/json.h"
#include "os/json_time.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kMaxListed = 1'000'000;  // jobs in one answer
constexpr std::uint64_t kMaxTasksListed = 10'000;
constexpr std::uint64_t kMaxHoldMs = 60'000;

client::Request of(JobRequest request) {
  return client::Request(std::move(request));
}

class Submit : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    auto submission = submission_of(request_, group_count());
    if (!submission) return tl::unexpected(submission.error());
    return of(std::move(*submission));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    return render_job<Submitted>(std::move(answer), group_count());
  }
};

class List : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    ListJobs list;
    list.user = target_.take("user");
    const auto mine = target_.take_flag("mine");
    if (!mine) return tl::unexpected(mine.error());
    if (*mine) list.user = request_.user;
    if (const auto state = target_.take("state")) {
      list.state = job_state_from(*state);
      if (!list.state) return fail(Code::kUsage, "'" + *state + "' is no state of a job");
    }
    list.id_prefix = target_.take("prefix").value_or("");
    list.name_glob = target_.take("name").value_or("");
    const auto all = target_.take_flag("all");
    if (!all) return tl::unexpected(all.error());
    list.unfinished_or_recent = !*all;
    if (const auto since = target_.take("since")) {
      const auto time = from_rfc3339(*since);
      if (!time) return fail(Code::kUsage, "'" + *since + "' is no time in RFC 3339");
      list.since = *time;
    }
    const auto limit = target_.take_number("limit", list.limit, kMaxListed);
    if (!limit) return tl::unexpected(limit.error());
    list.limit = static_cast<std::uint32_t>(*limit);
    return of(std::move(list));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto list = answer_as<JobList>(std::move(answer));
    if (!list) return tl::unexpected(list.error());
    return Rendered{jobs_json(list->jobs, group_count()),
                    {{"Dunlin-Silent-Groups", std::to_string(list->silent_groups)},
                     {"Dunlin-More", list->cut ? "1" : "0"}}};
  }
};

class Show : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto id = target_.job();
    if (!id) return tl::unexpected(id.error());
    const auto stale = target_.take_flag("stale");
    if (!stale) return tl::unexpected(stale.error());
    return of(ShowJob{*id, *stale});
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto view = answer_as<JobView>(std::move(answer));
    if (!view) return tl::unexpected(view.error());
    return Rendered{job_json(*view, group_count()), {}};
  }
};

class Tasks : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto id = target_.job();
    if (!id) return tl::unexpected(id.error());
    ListTasks list;
    list.id = *id;
    const auto tasks = target_.take_tasks();
    if (!tasks) return tl::unexpected(tasks.error());
    list.tasks = *tasks;
    if (const auto state = target_.take("state")) {
      list.state = task_state_from(*state);
      if (!list.state) return fail(Code::kUsage, "'" + *state + "' is no state of a task");
    }
    if (target_.has("after")) {
      const auto after = target_.take_number("after", 0, UINT32_MAX - 1);
      if (!after) return tl::unexpected(after.error());
      list.from = static_cast<std::uint32_t>(*after) + 1;
    }
    const auto limit = target_.take_number("limit", list.limit, kMaxTasksListed);
    if (!limit) return tl::unexpected(limit.error());
    list.limit = static_cast<std::uint32_t>(*limit);
    return of(std::move(list));
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto list = answer_as<TaskList>(std::move(answer));
    if (!list) return tl::unexpected(list.error());
    Rendered page{tasks_json(list->tasks), {}};
    if (list->next) page.headers.push_back({"Dunlin-After", std::to_string(*list->next - 1)});
    return page;
  }
};

class Explain : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto id = target_.job();
    if (!id) return tl::unexpected(id.error());
    ExplainTask explain{*id};
    if (target_.has("task")) {
      const auto task = target_.take_number("task", 0, UINT32_MAX);
      if (!task) return tl::unexpected(task.error());
      explain.task = static_cast<std::uint32_t>(*task);
    }
    return of(explain);
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    const auto explained = answer_as<Explained>(std::move(answer));
    if (!explained) return tl::unexpected(explained.error());
    return Rendered{explained_json(*explained), {}};
  }
};

class Watch : public SimpleExchange {
  using SimpleExchange::SimpleExchange;
  Result<client::Request> question() override {
    const auto id = target_.job();
    if (!id) return tl::unexpected(id.error());
    WatchJob watch;
    watch.id = *id;
    const auto seen = target_.take_number("seen", 0, ~std::uint64_t{0});
    const auto hold = target_.take_number(
        "hold_ms", static_cast<std::uint64_t>(watch.hold.milliseconds()), kMaxHoldMs);
    if (!seen) return tl::unexpected(seen.error());
    if (!hold) return tl::unexpected(hold.error());
    watch.seen = *seen;
    watch.hold = milliseconds(static_cast<std::int64_t>(*hold));
    return of(watch);
  }
  Result<Rendered> render(Result<client::Answer> answer) override {
    return render_job<JobChanged>(std::move(answer), group_count());
  }
};

}  // namespace

Result<SubmitJob> submission_of(const HttpRequest& request, std::uint16_t group_count) {
  auto submission = submission_from_json(as_text(request.body));
  if (!submission) return submission;
  submission->user = request.user;
  if (submission->id.is_none()) {
    return fail(Code::kUsage, "the submission has no id",
                "mint one: see GET /v1/pick-group, and docs/API.md");
  }
  const bool is_checkable = !submission->key.empty() && group_count != 0;
  if (is_checkable &&
      submission->id != job_id_for_key(request.user, submission->key, group_count)) {
    return fail(Code::kUsage, "the id is not the one that belongs to this key and user");
  }
  return submission;
}

const std::vector<Endpoint>& job_endpoints() {
  static const std::vector<Endpoint> all = {
      {"POST", "/v1/jobs", kMaxJsonBody, make_exchange<Submit>},
      {"GET", "/v1/jobs", 0, make_exchange<List>},
      {"GET", "/v1/jobs/{}", 0, make_exchange<Show>},
      {"GET", "/v1/jobs/{}/tasks", 0, make_exchange<Tasks>},
      {"GET", "/v1/jobs/{}/watch", 0, make_exchange<Watch>},
      {"GET", "/v1/jobs/{}/explain", 0, make_exchange<Explain>},
  };
  return all;
}

}  // namespace dunlin
