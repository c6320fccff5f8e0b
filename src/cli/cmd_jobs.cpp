#include <array>
#include <set>
#include <utility>

#include "cli/commands.h"
#include "cli/job_text.h"
#include "cli/node_ref.h"
#include "cli/spec_page.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::uint32_t kTaskPage = 10'000;
constexpr std::uint32_t kMaxListed = 200'000;  // jobs in one answer, as a node has it

Result<std::string> jobs_query(const Arguments& args) {
  std::string query = "/v1/jobs?";
  const auto add = [&](const std::string& key, const std::string& value) {
    query += (query.back() == '?' ? "" : "&") + key + "=" + url_encoded(value);
  };
  if (args.has("user") && args.has("all-users")) {
    return fail(Code::kUsage, "--user and --all-users exclude each other");
  }
  if (args.has("user")) add("user", args.text("user"));
  if (!args.has("user") && !args.has("all-users")) add("mine", "1");
  if (args.has("state")) {
    if (!job_state_from(args.text("state"))) {
      return fail(Code::kUsage, "--state " + args.text("state") + " is no state of a job",
                  "waiting running paused done failed cancelled");
    }
    add("state", args.text("state"));
  }
  if (args.has("name")) add("name", args.text("name"));
  if (args.has("since")) {
    const WallTime now = wall_now();
    add("since", to_rfc3339({now.ms - args.duration("since", {}).milliseconds()}));
  }
  if (args.has("all") || args.has("since")) add("all", "1");
  if (args.number("limit", 1) == 0) return fail(Code::kUsage, "--limit 0 would list nothing");
  add("limit", std::to_string(args.number("limit", 1000)));
  return query;
}

void print_jobs(const Invocation& call, const std::vector<JobSummary>& jobs) {
  if (call.quiet()) {
    std::string ids;
    for (const JobSummary& job : jobs) ids += job.id.text() + "\n";
    print(ids);
    return;
  }
  const WallTime now = wall_now();
  Table table({"JOB", "NAME", "USER", "STATE", ">DONE", ">FAILED", ">RUNNING", ">TASKS", ">TIME",
               ">AGE", "REASON"});
  for (const JobSummary& job : jobs) {
    table.add({job.id.text(), job.name, job.user, name_of(job.state),
               std::to_string(job.tasks.done), std::to_string(job.tasks.failed),
               std::to_string(job.tasks.running), std::to_string(job.tasks.total),
               time_between(job.started_at, job.finished_at, now), age_of(job.submitted_at, now),
               name_of(job.reason)});
  }
  print(table.text(terminal_width()));
}

// The pages of an array as one array.
class JsonArray {
 public:
  void add(std::string_view page) {
    const std::size_t first = page.find('[');
    const std::size_t last = page.rfind(']');
    if (first == std::string_view::npos || last <= first + 1) return;
    text_ += text_.empty() ? "[" : ",";
    text_ += page.substr(first + 1, last - first - 1);
  }
  std::string text() const { return text_.empty() ? "[]\n" : text_ + "]\n"; }

 private:
  std::string text_;
};

std::vector<std::string> row_of(const TaskView& task, const std::string& name,
                                const NodeNames& names) {
  return {name,
          name_of(task.state),
          name_in(names, task.node),
          task.attempt == 0 ? "-" : std::to_string(task.attempt),
          time_between(task.started_at, task.finished_at, wall_now()),
          task.max_rss ? size_text(*task.max_rss) : "-",
          why_of(task),
          task.entry};
}

std::string time_text(WallTime time) {
  return time.ms == 0 ? std::string() : to_rfc3339(time);
}

std::string job_page(const JobSummary& job, const NodeNames& names) {
  std::string text;
  add_line(text, "job", job.id.text());
  add_line(text, "name", job.name);
  add_line(text, "user", job.user);
  add_line(text, "state",
           std::string(name_of(job.state)) +
               (job.reason == Reason::kNone || job.reason == Reason::kCancelled
                    ? ""
                    : std::string(" (") + name_of(job.reason) + ")"));
  add_line(text, "tasks", progress_of(job));
  if (job.priority != 0) add_line(text, "priority", std::to_string(job.priority));
  add_line(text, "coordinator", job.coordinator ? name_in(names, job.coordinator) : "");
  add_line(text, "submitted", time_text(job.submitted_at));
  add_line(text, "started", time_text(job.started_at));
  add_line(text, "finished", time_text(job.finished_at));
  if (job.started_at.ms != 0) {
    add_line(text, "time", time_between(job.started_at, job.finished_at, wall_now()));
  }
  if (job.exit_code) add_line(text, "exit code", std::to_string(*job.exit_code));
  return text;
}

}  // namespace

const OptionTable& jobs_options() {
  static const OptionTable table = {
      {"user", 'u', "USER", Takes::kText, "of this user, not yours"},
      {"all-users", 0, nullptr, Takes::kNothing, "of everybody"},
      {"state", 0, "STATE", Takes::kText, "in this state", false, true,
       "waiting running paused done failed cancelled"},
      {"name", 0, "GLOB", Takes::kText, "whose names match"},
      {"since", 0, "TIME", Takes::kDuration, "submitted at most so long ago"},
      {"limit", 0, "N", Takes::kCount, "the newest N (1000)"},
      {"all", 0, nullptr, Takes::kNothing, "also those that ended more than a day ago"},
  };
  return table;
}

const OptionTable& show_options() {
  static const OptionTable table = {
      {"stale", 0, nullptr, Takes::kNothing, "the last state known, if nobody knows the current"},
  };
  return table;
}

const OptionTable& tasks_options() {
  static const OptionTable table = {
      {"state", 0, "STATE", Takes::kText, "in this state", false, true,
       "waiting queued running paused done failed cancelled"},
      {"node", 0, "NODE", Takes::kText, "on this node; without JOB: what runs there now"},
  };
  return table;
}

int run_jobs(Invocation& call) {
  const auto query = jobs_query(call.args);
  if (!query) return call.failed(query.error());
  const auto answer = call.client.call("GET", *query, {}, seconds(60));
  if (!answer) return call.failed(answer.error());
  if (call.json()) {
    print(answer->body);
  } else {
    const auto jobs = jobs_from_json(answer->body);
    if (!jobs) return call.failed(jobs.error());
    print_jobs(call, *jobs);
  }
  // Whoever reads a list should know that it is cut, in whatever form he wanted it.
  if (answer->header("dunlin-more") == "1") {
    note("dunlin: there are more jobs; --limit N shows them");
  }
  const std::string silent = silent_groups(*answer);
  return silent.empty() ? int{kExitWell} : call.failed(jobs_may_lack(silent));
}

int run_show(Invocation& call) {
  const auto job = find_job(call.client, call.args.words[0]);
  if (!job) return call.failed(job.error());
  const auto is_whole = is_whole_job(call.client, *job);
  if (!is_whole) return call.failed(is_whole.error());
  if (!*is_whole) return call.usage("show takes a whole job", "for tasks: dunlin tasks");
  const std::string target =
      "/v1/jobs/" + job->id.text() + (call.args.has("stale") ? "?stale=1" : "");
  const auto answer = call.client.call("GET", target);
  if (!answer) return call.failed(answer.error());
  if (call.json()) {
    print(answer->body);
    return kExitWell;
  }
  const auto summary = job_from_json(answer->body);
  if (!summary) return call.failed(summary.error());
  if (call.quiet()) {
    print(summary->id.text() + "\n");
    return kExitWell;
  }
  const auto names = node_names(call.client);
  std::string page = job_page(*summary, names);
  // A newer node may describe what this program cannot read: then the rest is shown.
  if (const auto spec = spec_of_job_json(answer->body)) page += spec_details(*spec);
  // Of a single task the reader wants to know where it is and what became of it, too.
  if (summary->tasks.total == 1 && !call.args.has("stale")) {
    const auto tasks = call.client.call("GET", "/v1/jobs/" + job->id.text() + "/tasks");
    const auto views = tasks ? tasks_from_json(tasks->body)
                             : Result<std::vector<TaskView>>(tl::unexpected(tasks.error()));
    if (views && !views->empty()) {
      add_line(page, "node", views->front().node ? name_in(names, views->front().node) : "");
      add_line(page, "why", why_of(views->front()));
    }
  }
  print(page);
  return kExitWell;
}

namespace {

// Prints tasks in the form that was asked for, page by page.
class TaskPrinter {
 public:
  explicit TaskPrinter(Invocation& call, bool of_many_jobs) : call_(call), of_many_(of_many_jobs) {
    if (is_table()) names_ = node_names(call.client);
  }

  // All pages of a job's tasks; with `node` those that it holds, or held last, each but once: one
  // that changes its state meanwhile is on two lists.
  Result<void> add(const JobId& job, const std::string& filter, const std::optional<NodeId>& node) {
    const std::string path = "/v1/jobs/" + job.text() + "/tasks?limit=" + std::to_string(kTaskPage);
    std::string target = path + filter;  // the first page has no `after`: tasks may begin at 0
    while (true) {
      const auto answer = call_.client.call("GET", target);
      if (!answer) return tl::unexpected(answer.error());
      const std::string last = answer->header("dunlin-after");
      target = std::string(path).append("&after=").append(last).append(filter);
      if (!last.empty()) call_.client.ask_ahead(target);
      if (Result<void> fine = take(answer->body, node); !fine) return fine;
      if (last.empty()) return {};
    }
  }
  void finish() {
    if (call_.json()) print(array_.text());
    if (is_table()) print(table_.take(terminal_width()));
  }
  bool found_any() const { return found_any_; }

 private:
  bool is_table() const { return !call_.json() && !call_.quiet(); }

  Result<void> take(const std::string& page, const std::optional<NodeId>& node) {
    // JSON goes on as it came, unless some of it is left out.
    if (call_.json() && !node) {
      array_.add(page);
      found_any_ = found_any_ || page.find('{') != std::string::npos;
      return {};
    }
    auto tasks = tasks_from_json(page);
    if (!tasks) return tl::unexpected(tasks.error());
    if (node) {
      std::erase_if(*tasks, [&](const TaskView& task) {
        return task.node != node || !listed_.emplace(task.job, task.task).second;
      });
    }
    found_any_ = found_any_ || !tasks->empty();
    if (call_.json()) {
      array_.add(tasks_json(*tasks));
    } else {
      print_some(*tasks);
    }
    return {};
  }

  void print_some(const std::vector<TaskView>& tasks) {
    std::string lines;
    for (const TaskView& task : tasks) {
      const std::string number = std::to_string(task.task);
      const std::string whole = task.job.text() + "." + number;
      if (call_.quiet()) lines += whole + "\n";
      if (is_table()) table_.add(row_of(task, of_many_ ? whole : number, names_));
    }
    // A long list is read while it comes; what stays below a page is kept for one table.
    if (is_table() && tasks.size() >= kTaskPage / 2) lines = table_.take(terminal_width());
    print(lines);
  }

  Invocation& call_;
  bool of_many_;
  NodeNames names_;
  std::set<std::pair<JobId, std::uint32_t>> listed_;
  JsonArray array_;
  Table table_{
      {of_many_ ? "TASK" : ">TASK", "STATE", "NODE", ">ATTEMPT", ">TIME", ">MEM", "WHY", "ENTRY"}};
  bool found_any_ = false;
};

// What runs on the node, or is stopped there, of whatever job.
int list_node(Invocation& call, const NodeId& node) {
  TaskPrinter list(call, true);
  std::string silent;
  constexpr std::array<const char*, 2> kHeld = {"running", "paused"};  // of jobs and of tasks
  for (const char* state : kHeld) {
    const auto answer = call.client.call(
        "GET", "/v1/jobs?all=1&limit=" + std::to_string(kMaxListed) + "&state=" + state, {},
        seconds(60));
    if (!answer) return call.failed(answer.error());
    const auto jobs = jobs_from_json(answer->body);
    if (!jobs) return call.failed(jobs.error());
    if (const std::string now = silent_groups(*answer); !now.empty()) silent = now;
    for (const JobSummary& job : *jobs) {
      for (const char* held : kHeld) {
        const Result<void> fine = list.add(job.id, std::string("&state=") + held, node);
        // One that was deleted meanwhile has no tasks.
        if (!fine && fine.error().code != Code::kNotFound) return call.failed(fine.error());
      }
    }
  }
  list.finish();
  return silent.empty() ? int{kExitWell} : call.failed(jobs_may_lack(silent));
}

}  // namespace

int run_tasks(Invocation& call) {
  const std::string state = call.args.text("state");
  if (!state.empty() && !task_state_from(state)) {
    return call.usage("--state " + state + " is no state of a task",
                      "waiting queued running paused done failed cancelled");
  }
  std::optional<NodeId> node;
  if (call.args.has("node")) {
    const auto found = find_node(call.client, call.args.text("node"));
    if (!found) return call.failed(found.error());
    node = found->facts.id;
  }
  if (call.args.words.empty()) {
    if (!node) return call.usage("tasks needs a job, or --node NODE");
    if (!state.empty()) return call.usage("--state needs a job: what a node holds is running");
    return list_node(call, *node);
  }
  const auto job = find_job(call.client, call.args.words[0]);
  if (!job) return call.failed(job.error());
  std::string filter;
  if (!job->tasks.empty()) filter += "&" + tasks_query(*job);
  if (!state.empty()) filter += "&state=" + state;
  TaskPrinter list(call, false);
  if (const Result<void> fine = list.add(job->id, filter, node); !fine) {
    return call.failed(fine.error());
  }
  if (!list.found_any() && !job->tasks.empty() && state.empty() && !node) {
    return call.failed({Code::kNotFound, "job " + job->id.text() + " has no such task",
                        "see: dunlin tasks " + job->id.text()});
  }
  list.finish();
  return kExitWell;
}

}  // namespace dunlin
