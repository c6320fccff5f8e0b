#include "os/json_checkup.h"

#include "os/json_reader.h"
#include "os/json_writer.h"

namespace dunlin {

namespace {

// Beside a peer that does not answer nothing is known.
void write_path_report(JsonWriter& out, const PathReport& path) {
  const auto known = [&](auto value) { return path.answers ? std::optional(value) : std::nullopt; };
  const bool is_dialled = path.dial != DialResult::kUnknown;
  out.begin_object();
  out.field("peer", path.peer.text());
  out.field("answers", path.answers);
  out.field("udp_to", known(path.udp_to));
  out.field("udp_from", known(path.udp_from));
  out.field("tcp_from",
            is_dialled ? std::optional(path.dial == DialResult::kReached) : std::nullopt);
  out.field_or_null("tcp_trouble", path.trouble);
  out.field("clock_ahead_ms", known(path.clock_ahead_ms));
  out.end_object();
}

void write_node_checkup(JsonWriter& out, const client::NodeCheckup& node) {
  const auto known = [](std::uint64_t value) {
    return value != 0 ? std::optional(value) : std::nullopt;
  };
  out.begin_object();
  out.field("node", node.node.text());
  out.field("name", node.name);
  out.field("address", node.address);
  out.field("version", node.version);
  out.field("answered", node.has_answered);
  out.field("log_commit_us", known(node.host.log_commit_us));
  out.field("descriptors", known(node.host.descriptors));
  out.field("disk_total", known(node.host.disk_total));
  out.field("disk_free",
            node.host.disk_total != 0 ? std::optional(node.host.disk_free) : std::nullopt);
  out.field_or_null("note", node.isolation_note);
  out.key("paths");
  out.begin_array();
  for (const PathReport& path : node.paths) write_path_report(out, path);
  out.end_array();
  out.end_object();
}

NodeId node_id_in(JsonFields& in, const char* key) {
  std::string text;
  in.read(key, text);
  const auto id = NodeId::from_text(text);
  if (!id) in.complain(key, "is no node's id");
  return id.value_or(NodeId{});
}

Result<PathReport> path_report_from(const nlohmann::json& object) {
  JsonFields in(object, "path");
  PathReport path;
  path.peer = node_id_in(in, "peer");
  in.read("answers", path.answers);
  in.read("udp_to", path.udp_to);
  in.read("udp_from", path.udp_from);
  bool is_reached = false;
  if (in.find("tcp_from") != nullptr) {
    in.read("tcp_from", is_reached);
    path.dial = is_reached ? DialResult::kReached : DialResult::kFailed;
  }
  in.read("tcp_trouble", path.trouble);
  in.read("clock_ahead_ms", path.clock_ahead_ms);
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return path;
}

Result<client::NodeCheckup> node_checkup_from(const nlohmann::json& object) {
  JsonFields in(object, "node");
  client::NodeCheckup node;
  node.node = node_id_in(in, "node");
  in.read("name", node.name);
  in.read("address", node.address);
  in.read("version", node.version);
  in.read("answered", node.has_answered);
  in.read("log_commit_us", node.host.log_commit_us);
  in.read("descriptors", node.host.descriptors);
  in.read("disk_total", node.host.disk_total);
  in.read("disk_free", node.host.disk_free);
  in.read("note", node.isolation_note);
  if (const nlohmann::json* paths = in.find("paths"); paths != nullptr && paths->is_array()) {
    for (const nlohmann::json& element : *paths) {
      Result<PathReport> path = path_report_from(element);
      if (!path) return tl::unexpected(path.error());
      node.paths.push_back(std::move(*path));
    }
  }
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return node;
}

}  // namespace

std::string checkup_json(const client::Checkup& checkup) {
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  out.field("asked", checkup.self.text());
  out.key("nodes");
  out.begin_array();
  for (const client::NodeCheckup& node : checkup.nodes) write_node_checkup(out, node);
  out.end_array();
  out.end_object();
  return text;
}

Result<client::Checkup> checkup_from_json(std::string_view text) {
  const Result<nlohmann::json> parsed = parse_object(text);
  if (!parsed) return tl::unexpected(parsed.error());
  JsonFields in(*parsed, "checkup");
  client::Checkup checkup;
  checkup.self = node_id_in(in, "asked");
  if (const nlohmann::json* nodes = in.find("nodes"); nodes != nullptr && nodes->is_array()) {
    for (const nlohmann::json& element : *nodes) {
      Result<client::NodeCheckup> node = node_checkup_from(element);
      if (!node) return tl::unexpected(node.error());
      checkup.nodes.push_back(std::move(*node));
    }
  }
  if (const Result<void> fine = in.check(); !fine) return tl::unexpected(fine.error());
  return checkup;
}

}  // namespace dunlin
