#include <algorithm>

#include "cli/commands.h"
#include "cli/node_ref.h"
#include "cli/table.h"
#include "cli/units.h"
#include "os/clock.h"
#include "os/json.h"

namespace dunlin {

namespace {

std::string of_total(std::uint64_t part, std::uint64_t total, bool is_known, bool is_size) {
  const auto text = [&](std::uint64_t n) { return is_size ? size_text(n) : std::to_string(n); };
  return (is_known ? text(part) : std::string("-")) + "/" + text(total);
}

void print_nodes(const std::vector<Member>& nodes) {
  Table table({"ID", "NAME", "ADDRESS", "STATE", "ZONE", ">CPUS FREE", ">MEM FREE", ">RUNNING",
               ">QUEUED", ">LOAD AGE", "VERSION"});
  for (const Member& node : nodes) {
    const bool is_known = node.load_at != Instant{};
    const std::string state =
        std::string(member_state_name(node.state)) + (node.load.draining ? ", draining" : "");
    table.add({node.facts.id.short_text(), node.facts.name, node.facts.address, state,
               node.facts.zone.empty() ? "-" : node.facts.zone,
               of_total(node.load.cpus_free, node.facts.cpus, is_known, false),
               of_total(node.load.memory_free, node.facts.memory, is_known, true),
               is_known ? std::to_string(node.load.running) : "-",
               is_known ? std::to_string(node.load.queued) : "-",
               is_known ? text_of(Instant{} - node.load_at) : "-", node.facts.version});
  }
  print(table.text(terminal_width()));
}

std::string headline(const client::Status& status) {
  const std::uint32_t hosts = status.alive;
  const std::string count = counted(hosts, "host");
  if (status.groups_with_quorum < status.groups) {
    return "broken: " + std::to_string(status.groups - status.groups_with_quorum) + " of " +
           std::to_string(status.groups) + " groups have no quorum";
  }
  if (status.blocks_missing > 0) {
    return "broken: " + std::to_string(status.blocks_missing) + " blocks are missing";
  }
  if (status.can_lose == 0) {
    if (hosts >= 3) return count + ": can lose none now; replicas are being made";
    return count + ": can lose none; add " + (hosts <= 1 ? "two" : "one");
  }
  // The dead are no part of it any more once others hold what they held.
  const bool is_well = status.suspect == 0 && status.groups_fully_replicated == status.groups &&
                       status.blocks_under_replicated == 0;
  return std::string(is_well ? "healthy" : "mending") + ": can lose any " +
         std::to_string(status.can_lose) + " of " + count;
}

std::string status_page(const client::Status& status) {
  const auto n = [](std::uint64_t number) { return std::to_string(number); };
  std::string text = headline(status) + "\n";
  text += "cluster  " + status.cluster.text() + "\n";
  text += "nodes    " + n(status.alive) + " alive, " + n(status.suspect) + " suspect, " +
          n(status.dead) + " dead, " + n(status.left) + " left, " + n(status.draining) +
          " draining\n";
  text += "groups   " + n(status.groups) + ", " + n(status.groups_with_quorum) +
          " with a quorum, " + n(status.groups_fully_replicated) + " fully replicated\n";
  text += "blocks   " + n(status.blocks) + ", " + n(status.blocks_under_replicated) +
          " under-replicated, " + n(status.blocks_missing) + " missing\n";
  text += "jobs     ";
  for (std::size_t i = 0; i < status.jobs_by_state.size(); ++i) {
    text +=
        (i == 0 ? "" : ", ") + n(status.jobs_by_state[i]) + " " + name_of(static_cast<JobState>(i));
  }
  return text + "\n";
}

}  // namespace

const OptionTable& leave_options() {
  static const OptionTable table = {
      {"now", 0, nullptr, Takes::kNothing, "even where data is lost by it"},
  };
  return table;
}

const OptionTable& drain_options() {
  static const OptionTable table = {
      {"deadline", 0, "TIME", Takes::kDuration, "what still runs then is run elsewhere (never)"},
      {"wait", 0, nullptr, Takes::kNothing, "until nothing runs there any more"},
  };
  return table;
}

int run_nodes(Invocation& call) {
  const auto answer = call.client.call("GET", "/v1/nodes?ask=1");
  if (!answer) return call.failed(answer.error());
  auto nodes = nodes_from_json(answer->body);
  if (!nodes) return call.failed(nodes.error());
  std::string body = answer->body;
  if (!call.args.words.empty()) {
    const auto node = find_node(*nodes, call.args.words[0]);
    if (!node) return call.failed(node.error());
    body = only_node(body, node->facts.id) + "\n";
    nodes = std::vector<Member>{*node};
  }
  if (call.json()) {
    print(body);
  } else if (call.quiet()) {
    std::string ids;
    for (const Member& node : *nodes) ids += node.facts.id.text() + "\n";
    print(ids);
  } else {
    print_nodes(*nodes);
  }
  return kExitWell;
}

int run_status(Invocation& call) {
  const auto answer = call.client.call("GET", "/v1/status");
  if (!answer) return call.failed(answer.error());
  const auto status = status_from_json(answer->body);
  if (!status) return call.failed(status.error());
  print(call.json() ? answer->body : status_page(*status));
  if (status->silent_groups == 0) return kExitWell;
  return call.failed({Code::kIncomplete,
                      "jobs of " + std::to_string(status->silent_groups) +
                          " groups are not counted: they have not answered",
                      ""});
}

namespace {

// The node that the command's first word means.
Result<Member> node_named(Invocation& call) {
  return find_node(call.client, call.args.words[0]);
}

constexpr std::int64_t kSayAgainMs = 5000;

// Lines that differ in their numbers alone are said now and then, others at once.
class ProgressLines {
 public:
  void say(const std::string& line) {
    std::string kind = line;
    std::erase_if(kind, [](char c) { return c >= '0' && c <= '9'; });
    if (kind == kind_ && monotonic_ms() < said_ms_ + kSayAgainMs) return;
    note(line);
    kind_ = std::move(kind);
    said_ms_ = monotonic_ms();
  }

 private:
  std::string kind_;
  std::int64_t said_ms_ = 0;
};

// Says how a node obeys, until it has.
int follow_order(Invocation& call, const char* target, const std::string& body) {
  Result<void> begun = call.client.begin("POST", target, body, Client::Life::kLive);
  std::string pending;
  ProgressLines lines;
  while (begun) {
    const auto more = call.client.more(pending, -1);
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos;) {
      const auto line = order_line_from_json(std::string_view(pending).substr(0, end));
      pending.erase(0, end + 1);
      if (!line) return call.failed(line.error());
      if (line->error) return call.failed(*line->error);
      if (line->done) return kExitWell;
      if (!line->progress.empty()) lines.say(line->progress);
    }
    if (!more) return call.failed(more.error());
    if (*more == Client::More::kEnd)
      begun = fail(Code::kUnreachable, "the node did not say how it ended");
  }
  return call.failed(begun.error());
}

}  // namespace

int run_leave(Invocation& call) {
  client::LeaveNode request;
  request.now = call.args.has("now");
  if (!call.args.words.empty()) {
    const auto node = node_named(call);
    if (!node) return call.failed(node.error());
    if (node->state == MemberState::kLeft) {
      note("dunlin: " + node->facts.name + " has left already");
      return kExitWell;
    }
    request.node = node->facts.id;
  }
  return follow_order(call, "/v1/leave", leave_request_json(request));
}

int run_drain(Invocation& call) {
  const auto node = node_named(call);
  if (!node) return call.failed(node.error());
  client::DrainNode request;
  request.node = node->facts.id;
  request.deadline = call.args.duration("deadline", {});
  request.wait = call.args.has("wait");
  return follow_order(call, "/v1/drain", drain_request_json(request));
}

int run_forget(Invocation& call) {
  const auto node = node_named(call);
  if (!node) return call.failed(node.error());
  const auto answer = call.client.call("POST", "/v1/forget", forget_request_json({node->facts.id}));
  return answer ? kExitWell : call.failed(answer.error());
}

int run_undrain(Invocation& call) {
  const auto node = node_named(call);
  if (!node) return call.failed(node.error());
  return follow_order(call, "/v1/undrain", undrain_request_json({node->facts.id}));
}

}  // namespace dunlin
