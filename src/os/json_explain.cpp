#include "os/json.h"
#include "os/json_reader.h"

namespace dunlin {

namespace {

void write_supply(JsonWriter& out, const Supply& supply, const Supply& needs) {
  out.begin_object();
  out.field("cpus", supply.room.cpus);
  if (needs.room.memory > 0) {
    const bool is_known = supply.room.memory != UINT64_MAX;
    out.field("mem", is_known ? std::optional(supply.room.memory) : std::nullopt);
  }
  if (needs.room.devices.gpus > 0) out.field("gpus", supply.room.devices.gpus);
  if (!needs.room.devices.resources.empty()) {
    out.field("resources", supply.room.devices.resources);
  }
  if (!needs.zone.empty()) out.field_or_null("zone", supply.zone);
  if (!needs.labels.empty()) out.field("labels", supply.labels);
  out.end_object();
}

void write_verdict(JsonWriter& out, const NodeVerdict& node, const Supply& needs) {
  out.begin_object();
  out.field("node", node.node.text());
  out.field("name", node.name);
  out.field("verdict", name_of(node.verdict));
  out.key("needs");
  write_supply(out, needs, needs);
  out.key("has");
  if (node.has) write_supply(out, *node.has, needs);
  if (!node.has) out.literal("{}");
  out.field("ahead", node.ahead);
  out.field("asked_ms_ago", node.asked_ms_ago);
  out.field("since", node.since);
  out.field_or_null("detail", node.detail);
  out.field_or_null("note", node.note);
  out.end_object();
}

void write_attempt(JsonWriter& out, const AttemptView& attempt) {
  out.begin_object();
  out.field("attempt", attempt.attempt);
  out.field_or_null("node", attempt.node ? attempt.node->text() : "");
  out.field("outcome", attempt.outcome);
  out.field_or_null("reason", name_of(attempt.reason));
  out.field("exit_code", attempt.exit_code);
  out.field("signal", attempt.signal);
  out.field("started_at", attempt.started_at);
  out.field("finished_at", attempt.finished_at);
  out.field("duration_ms", attempt.duration_ms);
  out.field("max_rss", attempt.max_rss);
  out.field_or_null("detail", attempt.detail);
  out.end_object();
}

// `memory`: what it means that none is told.
Supply supply_from(const nlohmann::json& object, std::uint64_t memory) {
  JsonFields in(object, "supply");
  Supply supply;
  supply.room.memory = memory;
  in.read("cpus", supply.room.cpus);
  in.read("mem", supply.room.memory);
  in.read("gpus", supply.room.devices.gpus);
  in.read("resources", supply.room.devices.resources);
  in.read("zone", supply.zone);
  in.read_exact("labels", supply.labels);
  return supply;
}

void read_node_id(JsonFields& in, NodeId& to) {
  std::string text;
  in.read("node", text);
  if (const auto id = NodeId::from_text(text)) to = *id;
}

NodeVerdict verdict_from(const nlohmann::json& object, Supply& needs) {
  JsonFields in(object, "node");
  NodeVerdict node;
  std::string verdict;
  read_node_id(in, node.node);
  in.read("name", node.name);
  in.read("verdict", verdict);
  in.read("ahead", node.ahead);
  in.read("asked_ms_ago", node.asked_ms_ago);
  in.read("since", node.since);
  in.read("detail", node.detail);
  in.read("note", node.note);
  node.verdict = fit_verdict_from(verdict).value_or(FitVerdict::kRefused);
  if (const nlohmann::json* asked = in.find("needs")) needs = supply_from(*asked, 0);
  const nlohmann::json* has = in.find("has");
  if (has != nullptr && !has->empty()) node.has = supply_from(*has, UINT64_MAX);
  return node;
}

AttemptView attempt_from(const nlohmann::json& object) {
  JsonFields in(object, "attempt");
  AttemptView attempt;
  NodeId node;
  std::string reason;
  in.read("attempt", attempt.attempt);
  read_node_id(in, node);
  if (!node.is_none()) attempt.node = node;
  in.read("outcome", attempt.outcome);
  in.read("reason", reason);
  attempt.reason = reason_from(reason).value_or(Reason::kNone);
  in.read("exit_code", attempt.exit_code);
  in.read("signal", attempt.signal);
  in.read("started_at", attempt.started_at);
  in.read("finished_at", attempt.finished_at);
  in.read("duration_ms", attempt.duration_ms);
  in.read("max_rss", attempt.max_rss);
  in.read("detail", attempt.detail);
  return attempt;
}

}  // namespace

std::string explained_json(const Explained& explained) {
  std::string text;
  JsonWriter out(text);
  const TaskView& task = explained.task;
  out.begin_object();
  out.field("job", task.job.text());
  out.field("task", task.task);
  out.field("state", name_of(task.state));
  out.field_or_null("reason", name_of(task.reason));
  out.field_or_null("detail", task.detail);
  out.key("nodes");
  out.begin_array();
  for (const NodeVerdict& node : explained.nodes) write_verdict(out, node, explained.needs);
  out.end_array();
  out.key("attempts");
  out.begin_array();
  for (const AttemptView& attempt : explained.attempts) write_attempt(out, attempt);
  out.end_array();
  out.end_object();
  return text;
}

Result<Explained> explained_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "explanation");
  Explained explained;
  std::string job, state, reason;
  in.read("job", job);
  in.read("task", explained.task.task);
  in.read("state", state);
  in.read("reason", reason);
  in.read("detail", explained.task.detail);
  in.read_each("nodes", [&](const nlohmann::json& node) {
    explained.nodes.push_back(verdict_from(node, explained.needs));
  });
  in.read_each("attempts", [&](const nlohmann::json& attempt) {
    explained.attempts.push_back(attempt_from(attempt));
  });
  const auto id = JobId::from_text(job);
  const auto known = task_state_from(state);
  if (!id) in.complain("job", "is no job's id");
  if (!known) in.complain("state", "is no task's state");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  explained.task.job = *id;
  explained.task.state = *known;
  explained.task.reason = reason_from(reason).value_or(Reason::kNone);
  return explained;
}

}  // namespace dunlin
