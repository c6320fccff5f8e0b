// dunlin explain JOB[.TASK]

#include <map>

#include "cli/commands.h"
#include "cli/job_text.h"
#include "cli/node_ref.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxDependenciesNamed = 20;  // each is asked about

void add(std::string& text, const std::string& part) {
  text += (text.empty() ? "" : ", ") + part;
}

std::string mem_text(std::uint64_t bytes) {
  return bytes == UINT64_MAX ? "?" : size_text(bytes);
}

// What of the needs this verdict is about: what is short, or where nothing is, all of it.
struct Columns {
  std::string needs, has;
};

Columns columns_of(const NodeVerdict& node, const Supply& needs) {
  Columns shown;
  if (!node.has) return {"-", "-"};
  const Supply& has = *node.has;
  const bool is_short = node.verdict == FitVerdict::kFull || node.verdict == FitVerdict::kLacks;
  const auto amount = [&](std::uint64_t wanted, std::uint64_t there, const std::string& unit,
                          bool is_size = false) {
    if (wanted == 0 || (is_short && there >= wanted)) return;
    add(shown.needs, (is_size ? mem_text(wanted) : std::to_string(wanted)) + " " + unit);
    add(shown.has, (is_size ? mem_text(there) : std::to_string(there)) + " " + unit);
  };
  amount(needs.room.cpus, has.room.cpus, "cpus");
  amount(needs.room.memory, has.room.memory, "mem", true);
  amount(needs.room.devices.gpus, has.room.devices.gpus, "gpus");
  for (const auto& [name, count] : needs.room.devices.resources) {
    amount(count, has.room.resource(name), name);
  }
  const auto place = [&](const std::string& name, const std::string& wanted,
                         const std::string& there) {
    if (is_short && wanted == there) return;
    add(shown.needs, name + "=" + wanted);
    add(shown.has, name + "=" + there);
  };
  if (!needs.zone.empty()) place("zone", needs.zone, has.zone);
  for (const auto& [name, value] : needs.labels) {
    const auto at = has.labels.find(name);
    place(name, value, at == has.labels.end() ? "" : at->second);
  }
  return shown;
}

std::string note_of(const NodeVerdict& node, WallTime now) {
  return node.since.ms != 0 ? "since " + age_of(node.since, now) : node.detail;
}

// What hosts cannot enforce is mostly the same for all of them, and no reason to wait.
std::string what_is_not_enforced(const Explained& explained) {
  std::map<std::string, std::string> nodes_by_note;
  for (const NodeVerdict& node : explained.nodes) {
    if (!node.note.empty()) add(nodes_by_note[node.note], node.name);
  }
  std::string text;
  for (const auto& [note, nodes] : nodes_by_note) {
    text += "on " + printable(nodes) + ": " + printable(note) + "\n";
  }
  return text;
}

std::string first_line_of(const Explained& explained) {
  const TaskView& task = explained.task;
  std::string line =
      "task " + task.job.text() + "." + std::to_string(task.task) + " is " + name_of(task.state);
  if (task.reason != Reason::kNone) line += std::string(" (") + name_of(task.reason) + ")";
  if (!task.detail.empty()) line += ": " + printable(task.detail);
  return line + "\n";
}

void print_verdicts(const Explained& explained, WallTime now) {
  Table table({"NODE", "VERDICT", "NEEDS", "HAS", ">AHEAD", "NOTE"});
  for (const NodeVerdict& node : explained.nodes) {
    const Columns shown = columns_of(node, explained.needs);
    table.add({node.name, name_of(node.verdict), shown.needs, shown.has,
               node.ahead ? std::to_string(*node.ahead) : "-", note_of(node, now)});
  }
  print(table.text(terminal_width()) + what_is_not_enforced(explained));
}

void print_attempts(const Explained& explained, const NodeNames& names, WallTime now) {
  Table table({">ATTEMPT", "NODE", "OUTCOME", "REASON", ">EXIT", ">TIME", ">MEM", "DETAIL"});
  for (const AttemptView& attempt : explained.attempts) {
    const std::string exit = attempt.exit_code ? std::to_string(*attempt.exit_code)
                             : attempt.signal  ? "signal " + std::to_string(*attempt.signal)
                                               : "-";
    const WallTime end = attempt.outcome == "running" ? WallTime{} : attempt.finished_at;
    table.add({std::to_string(attempt.attempt), name_in(names, attempt.node), attempt.outcome,
               name_of(attempt.reason), exit, time_between(attempt.started_at, end, now),
               attempt.max_rss ? size_text(*attempt.max_rss) : "-", attempt.detail});
  }
  print(table.text(terminal_width()));
}

// How a job is that another waits for, or was to wait for; it may be a moment old, so that a group
// without a leader takes no time.
std::string state_of(Client& client, const JobId& id) {
  const auto answer = client.call("GET", "/v1/jobs/" + id.text() + "?stale=1");
  if (!answer) {
    return answer.error().code == Code::kNotFound ? "which is not there any more"
                                                  : "whose group does not answer";
  }
  const auto job = job_from_json(answer->body);
  return job ? std::string("which is ") + name_of(job->state) : "of an unknown state";
}

void print_dependencies(Client& client, const JobId& id) {
  const auto answer = client.call("GET", "/v1/jobs/" + id.text());
  const auto spec = answer ? spec_of_job_json(answer->body) : tl::unexpected(answer.error());
  if (!spec) return;
  std::size_t named = 0;
  for (const Dependency& each : spec->after) {
    if (named++ == kMaxDependenciesNamed) {
      print("and " + std::to_string(spec->after.size() - kMaxDependenciesNamed) + " more\n");
      return;
    }
    print((each.any ? "after the end of job " : "after job ") + each.job.text() + ", " +
          state_of(client, each.job) + "\n");
  }
}

}  // namespace

int run_explain(Invocation& call) {
  const auto job = find_job(call.client, call.args.words[0]);
  if (!job) return call.failed(job.error());
  std::string target = "/v1/jobs/" + job->id.text() + "/explain";
  if (!job->tasks.empty()) {
    const TaskRange& first = job->tasks.front();
    if (job->tasks.size() > 1 || first.first != first.last) {
      return call.usage("explain takes a job or one of its tasks",
                        "for many tasks: dunlin tasks " + job->id.text());
    }
    target += "?task=" + std::to_string(first.first);
  }
  const auto answer = call.client.call("GET", target);
  if (!answer) return call.failed(answer.error());
  if (call.json()) {
    print(answer->body);
    return kExitWell;
  }
  const auto explained = explained_from_json(answer->body);
  if (!explained) return call.failed(explained.error());
  if (call.quiet()) {
    print(job->id.text() + "." + std::to_string(explained->task.task) + "\n");
    return kExitWell;
  }
  print(first_line_of(*explained));
  const Reason reason = explained->task.reason;
  if (reason == Reason::kDependency || reason == Reason::kDependencyFailed) {
    print_dependencies(call.client, job->id);
  }
  const WallTime now = wall_now();
  if (!explained->nodes.empty()) print_verdicts(*explained, now);
  if (!explained->attempts.empty()) print_attempts(*explained, node_names(call.client), now);
  return kExitWell;
}

}  // namespace dunlin
