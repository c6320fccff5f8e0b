#include "os/json.h"
#include "os/json_reader.h"

namespace dunlin {

namespace {

constexpr Code kCodes[] = {Code::kUsage,    Code::kUnreachable, Code::kNotFound,
                           Code::kRefused,  Code::kLimit,       Code::kTimeout,
                           Code::kConflict, Code::kIncomplete,  Code::kFailed};

std::optional<MemberState> member_state_from(std::string_view name) {
  for (const auto state :
       {MemberState::kAlive, MemberState::kSuspect, MemberState::kDead, MemberState::kLeft}) {
    if (name == member_state_name(state)) return state;
  }
  return std::nullopt;
}

// Gossip says nothing of gpus and named resources: a node knows its own, and one on which nothing
// runs has all of them.
std::optional<Devices> devices_free(const Member& member, const client::NodeList& list) {
  const auto told = list.devices_free.find(member.facts.id);
  if (told != list.devices_free.end()) return told->second;
  const bool is_idle = member.load_at != Instant{} && member.load.running == 0;
  if (!is_idle || !is_present(member)) return std::nullopt;
  return devices_of(member.facts);
}

void write_load(JsonWriter& out, const Member& member, const client::NodeList& list) {
  // What a host had when it died or left is nobody's any more.
  const bool is_known = member.load_at != Instant{} && is_present(member);
  const std::optional<Devices> free = devices_free(member, list);
  const auto known = [&](auto value) { return is_known ? std::optional(value) : std::nullopt; };
  out.field("cpus_total", member.facts.cpus);
  out.field("cpus_free", known(member.load.cpus_free));
  out.field("mem_total", member.facts.memory);
  out.field("mem_free", known(member.load.memory_free));
  out.field("gpus_total", member.facts.gpus);
  out.field("gpus_free", free ? std::optional(free->gpus) : std::nullopt);
  out.key("resources");
  out.begin_object();
  for (const auto& [name, total] : member.facts.resources) {
    out.key(name);
    out.begin_object();
    out.field("total", total);
    const auto left = free ? free->resources.find(name) : decltype(free->resources.find(name)){};
    const bool is_left = free && left != free->resources.end();
    out.field("free", is_left ? std::optional(left->second) : std::nullopt);
    out.end_object();
  }
  out.end_object();
  out.field("disk_total", member.facts.disk_total);
  out.field("disk_free", known(member.load.disk_free));
  out.field("running", known(member.load.running));
  out.field("queued", known(member.load.queued));
  out.field("load_age_ms", known((list.now - member.load_at).milliseconds()));
}

void write_member(JsonWriter& out, const Member& member, const client::NodeList& list) {
  out.begin_object();
  out.field("id", member.facts.id.text());
  out.field("name", member.facts.name);
  out.field("address", member.facts.address);
  out.field("state", member_state_name(member.state));
  out.field("draining", is_present(member) && member.load.draining);
  out.field_or_null("zone", member.facts.zone);
  out.field("labels", member.facts.labels);
  write_load(out, member, list);
  out.field("version", member.facts.version);
  out.field_or_null("note", member.facts.id == list.self ? list.isolation_note : "");
  out.end_object();
}

Result<Member> member_from(const nlohmann::json& object) {
  JsonFields in(object, "node");
  Member member;
  std::string id, state;
  std::optional<std::int64_t> age_ms;
  in.read("id", id);
  in.read("state", state);
  in.read("name", member.facts.name);
  in.read("address", member.facts.address);
  in.read("zone", member.facts.zone);
  in.read("draining", member.load.draining);
  in.read("cpus_total", member.facts.cpus);
  in.read("cpus_free", member.load.cpus_free);
  in.read("mem_total", member.facts.memory);
  in.read("mem_free", member.load.memory_free);
  in.read("gpus_total", member.facts.gpus);
  in.read("disk_total", member.facts.disk_total);
  in.read("disk_free", member.load.disk_free);
  in.read("running", member.load.running);
  in.read("queued", member.load.queued);
  in.read("load_age_ms", age_ms);
  in.read("version", member.facts.version);
  in.read_exact("labels", member.facts.labels);
  const auto parsed = NodeId::from_text(id);
  const auto known = member_state_from(state);
  if (!parsed) in.complain("id", "is no node's id");
  if (!known) in.complain("state", "is no node's state");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  member.facts.id = *parsed;
  member.state = *known;
  if (age_ms) member.load_at = Instant{} - milliseconds(*age_ms) - microseconds(1);
  return member;
}

}  // namespace

std::string error_json(const Error& error) {
  // Scripts are promised nine codes; bytes that are not what they should be are a failure to them.
  const Code code = error.code == Code::kCorrupt ? Code::kFailed : error.code;
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.key("error");
  out.begin_object();
  out.field("code", code_name(code));
  out.field("message", error.message);
  out.field_or_null("hint", error.hint);
  out.end_object();
  out.end_object();
  return text;
}

Error error_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  Error error{Code::kFailed, "the node answered with something that is not an error", ""};
  if (!parsed) return error;
  JsonFields outer(*parsed, "");
  const nlohmann::json* inner = outer.find("error");
  if (inner == nullptr) return error;
  JsonFields in(*inner, "error");
  std::string name;
  in.read("code", name);
  in.read("message", error.message);
  in.read("hint", error.hint);
  for (const Code code : kCodes) {
    if (name == code_name(code)) error.code = code;
  }
  return error;
}

std::string nodes_json(const client::NodeList& list) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  for (const Member& member : list.nodes) write_member(out, member, list);
  out.end_array();
  return text;
}

Result<std::vector<Member>> nodes_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_array(text);
  if (!parsed) return tl::unexpected(parsed.error());
  std::vector<Member> members;
  for (const nlohmann::json& element : *parsed) {
    Result<Member> member = member_from(element);
    if (!member) return tl::unexpected(member.error());
    members.push_back(std::move(*member));
  }
  return members;
}

std::string only_node(std::string_view list, const NodeId& id) {
  // The order of the fields stays.
  const auto nodes = nlohmann::ordered_json::parse(list, nullptr, false);
  auto found = nlohmann::ordered_json::array();
  if (!nodes.is_array()) return found.dump();
  for (const auto& node : nodes) {
    if (!node.is_object()) continue;
    const auto held = node.find("id");
    if (held != node.end() && *held == id.text()) found.push_back(node);
  }
  return found.dump();
}

std::string status_json(const client::Status& status) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("cluster_id", status.cluster.text());
  out.field("can_lose", status.can_lose);
  out.key("nodes");
  out.begin_object();
  out.field("alive", status.alive);
  out.field("suspect", status.suspect);
  out.field("dead", status.dead);
  out.field("left", status.left);
  out.field("draining", status.draining);
  out.field("total", status.total);
  out.end_object();
  out.key("groups");
  out.begin_object();
  out.field("total", status.groups);
  out.field("with_quorum", status.groups_with_quorum);
  out.field("fully_replicated", status.groups_fully_replicated);
  out.end_object();
  out.key("blocks");
  out.begin_object();
  out.field("total", status.blocks);
  out.field("under_replicated", status.blocks_under_replicated);
  out.field("missing", status.blocks_missing);
  out.end_object();
  out.key("jobs");
  out.begin_object();
  for (std::size_t i = 0; i <= static_cast<std::size_t>(JobState::kLast); ++i) {
    out.field(name_of(static_cast<JobState>(i)),
              i < status.jobs_by_state.size() ? status.jobs_by_state[i] : 0);
  }
  out.end_object();
  out.field("silent_groups", status.silent_groups);
  out.end_object();
  return text;
}

Result<client::Status> status_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  client::Status status;
  const nlohmann::json nothing = nlohmann::json::object();
  JsonFields in(*parsed, "status");
  std::string cluster;
  in.read("cluster_id", cluster);
  in.read("can_lose", status.can_lose);
  in.read("silent_groups", status.silent_groups);
  const auto part = [&](const char* key) {
    const nlohmann::json* found = in.find(key);
    return JsonFields(found != nullptr ? *found : nothing, key);
  };
  JsonFields nodes = part("nodes");
  nodes.read("alive", status.alive);
  nodes.read("suspect", status.suspect);
  nodes.read("dead", status.dead);
  nodes.read("left", status.left);
  nodes.read("draining", status.draining);
  nodes.read("total", status.total);
  JsonFields groups = part("groups");
  groups.read("total", status.groups);
  groups.read("with_quorum", status.groups_with_quorum);
  groups.read("fully_replicated", status.groups_fully_replicated);
  JsonFields blocks = part("blocks");
  blocks.read("total", status.blocks);
  blocks.read("under_replicated", status.blocks_under_replicated);
  blocks.read("missing", status.blocks_missing);
  JsonFields jobs = part("jobs");
  for (std::size_t i = 0; i <= static_cast<std::size_t>(JobState::kLast); ++i) {
    jobs.read(name_of(static_cast<JobState>(i)), status.jobs_by_state.emplace_back(0));
  }
  const auto id = ClusterId::from_text(cluster);
  if (!id) in.complain("cluster_id", "is no cluster's id");
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  status.cluster = *id;
  return status;
}

namespace {

// The node of an order; none: the one that is asked.
void write_node(JsonWriter& out, const NodeId& node) {
  out.field_or_null("node", node.is_none() ? "" : node.text());
}

std::string node_json(const NodeId& node) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  write_node(out, node);
  out.end_object();
  return text;
}

void read_node(JsonFields& in, NodeId& node) {
  std::string text;
  in.read("node", text);
  if (text.empty()) return;
  const auto id = NodeId::from_text(text);
  if (id) node = *id;
  if (!id) in.complain("node", "must be a node's whole id");
}

// An order's fields, read by `fields`.
template <class Order, class Fields>
Result<Order> order_from_json(std::string_view text, const Fields& fields) {
  const Result<nlohmann::json> parsed = parse_object(text.empty() ? "{}" : text);
  if (!parsed) return tl::unexpected(parsed.error());
  Order order;
  JsonFields in(*parsed, "");
  read_node(in, order.node);
  fields(in, order);
  if (const Result<void> fine = in.check(true); !fine) return tl::unexpected(fine.error());
  return order;
}

}  // namespace

std::string leave_request_json(const client::LeaveNode& request) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  write_node(out, request.node);
  out.field("now", request.now);
  out.end_object();
  return text;
}

Result<client::LeaveNode> leave_request_from_json(std::string_view text) {
  return order_from_json<client::LeaveNode>(
      text, [](JsonFields& in, client::LeaveNode& order) { in.read("now", order.now); });
}

std::string drain_request_json(const client::DrainNode& request) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  write_node(out, request.node);
  out.field("deadline_ms", request.deadline.milliseconds());
  out.field("wait", request.wait);
  out.end_object();
  return text;
}

Result<client::DrainNode> drain_request_from_json(std::string_view text) {
  return order_from_json<client::DrainNode>(text, [](JsonFields& in, client::DrainNode& order) {
    in.read_ms("deadline_ms", order.deadline);
    in.read("wait", order.wait);
  });
}

std::string undrain_request_json(const client::UndrainNode& request) {
  return node_json(request.node);
}

std::string forget_request_json(const client::ForgetNode& request) {
  return node_json(request.node);
}

Result<client::ForgetNode> forget_request_from_json(std::string_view text) {
  return order_from_json<client::ForgetNode>(text, [](JsonFields& in, client::ForgetNode& order) {
    if (order.node.is_none()) in.complain("node", "must be a node's whole id");
  });
}

Result<client::UndrainNode> undrain_request_from_json(std::string_view text) {
  return order_from_json<client::UndrainNode>(text, [](JsonFields&, client::UndrainNode&) {});
}

Result<OrderLine> order_line_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  OrderLine line;
  JsonFields in(*parsed, "");
  in.read("progress", line.progress);
  in.read("done", line.done);
  if (in.find("error") != nullptr) line.error = error_from_json(text);
  return line;
}

std::string group_choice_json(const GroupChoice& choice) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("group", choice.group.value);
  out.field("group_count", choice.group_count);
  out.field("user", choice.user);
  out.end_object();
  return text;
}

Result<GroupChoice> group_choice_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  GroupChoice choice;
  JsonFields in(*parsed, "");
  in.read("group", choice.group.value);
  in.read("group_count", choice.group_count);
  in.read("user", choice.user);
  if (choice.group_count > kMaxGroups || choice.group.value >= choice.group_count) {
    in.complain("group", "makes no sense");
  }
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return choice;
}

}  // namespace dunlin
