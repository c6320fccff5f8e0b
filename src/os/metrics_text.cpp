#include "os/metrics_text.h"

#include <array>
#include <charconv>

#include "gossip/member.h"

namespace dunlin {

namespace {

std::string number_text(double value) {
  std::array<char, 400> digits{};
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  return error == std::errc() ? std::string(digits.data(), end) : "NaN";
}

// Only of a label is the quotation mark escaped.
std::string escaped(std::string_view text, bool is_label) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\\' || (is_label && c == '"')) out += '\\';
      out += c;
    }
  }
  return out;
}

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

void write_members(MetricsText& out, const client::Metrics& node) {
  out.family("dunlin_members", "gauge", "Members of the cluster as this node sees them, by state.");
  for (std::size_t i = 0; i < node.members.size(); ++i) {
    out.sample(node.members[i], {{"state", member_state_name(static_cast<MemberState>(i))}});
  }
  out.gauge("dunlin_members_draining", node.members_draining, "Present members that drain.");
  out.gauge("dunlin_groups", node.groups, "Consensus groups of the cluster.");
  out.gauge("dunlin_groups_held", node.groups_held, "Groups of which this node holds a replica.");
  out.gauge("dunlin_groups_led", node.groups_led, "Groups that this node leads.");
  out.gauge("dunlin_groups_with_quorum", node.groups_with_quorum,
            "Groups that have a quorum, as far as this node knows.");
  out.counter("dunlin_group_entries_committed_total", number(node.entries_committed),
              "Log entries of groups held here that were committed and applied.");
}

void write_tasks(MetricsText& out, const client::Metrics& node) {
  out.gauge("dunlin_tasks_running", node.tasks_running, "Tasks that run on this node.");
  out.gauge("dunlin_tasks_queued", node.tasks_queued,
            "Tasks that this node may take once it has room.");
  out.counter("dunlin_attempts_started_total", number(node.attempts.started),
              "Attempts at tasks that began on this node.");
  out.family("dunlin_attempts_finished_total", "counter",
             "Attempts that ended on this node; dropped: cancelled, handed back or lost.");
  out.sample(number(node.attempts.done), {{"outcome", "done"}});
  out.sample(number(node.attempts.failed), {{"outcome", "failed"}});
  out.sample(number(node.attempts.dropped), {{"outcome", "dropped"}});
  out.gauge("dunlin_cpus", node.cpus, "Cores that tasks of this node may use.");
  out.gauge("dunlin_cpus_free", node.cpus_free, "Cores that no task holds.");
  out.gauge("dunlin_memory_bytes", number(node.memory), "Memory that tasks of this node may use.");
  out.gauge("dunlin_memory_free_bytes", number(node.memory_free), "Memory that no task holds.");
  out.gauge("dunlin_disk_bytes", number(node.disk),
            "Size of the file system with the node's data.");
  out.gauge("dunlin_disk_free_bytes", number(node.disk_free), "What is free of it.");
}

void write_blobs(MetricsText& out, const StoreStats& blobs) {
  out.gauge("dunlin_blobs_held", number(blobs.held), "Blobs stored on this node.");
  out.gauge("dunlin_blobs_held_bytes", number(blobs.held_bytes), "Their content.");
  out.gauge("dunlin_blobs", number(blobs.total),
            "Blobs that this node counts; the sum over all nodes is the cluster's.");
  out.gauge("dunlin_blobs_under_replicated", number(blobs.under_replicated),
            "Of these, those with too few replicas.");
  out.gauge("dunlin_blobs_missing", number(blobs.missing), "Of these, those that nobody holds.");
  out.counter("dunlin_blob_repairs_total", number(blobs.repaired),
              "Copies that repair has brought.");
  out.counter("dunlin_blob_bad_copies_total", number(blobs.bad_copies),
              "Rotten copies that were met.");
}

struct ModuleName {
  Module module;
  const char* name;
};
constexpr std::array<ModuleName, 6> kModules = {{{Module::kGossip, "gossip"},
                                                 {Module::kGroups, "groups"},
                                                 {Module::kStore, "store"},
                                                 {Module::kSched, "sched"},
                                                 {Module::kNode, "node"},
                                                 {Module::kRouter, "router"}}};

void write_messages(MetricsText& out, const client::Metrics& node) {
  const auto write = [&](const char* name, const char* help, const auto& by_module) {
    out.family(name, "counter", help);
    for (const auto& [module, module_name] : kModules) {
      out.sample(number(by_module[static_cast<std::size_t>(module)]), {{"module", module_name}});
    }
  };
  write("dunlin_messages_sent_total", "Messages to other nodes, by the module that sent them.",
        node.sent.frames);
  write("dunlin_messages_sent_bytes_total", "Their bytes, before they are sealed.",
        node.sent.bytes);
  write("dunlin_messages_received_total", "Messages of other nodes, by the module that reads them.",
        node.received.frames);
  write("dunlin_messages_received_bytes_total", "Their bytes, unsealed.", node.received.bytes);
  out.gauge("dunlin_gossip_health", node.gossip_health,
            "0: well; more: probes of this node go unanswered, be it its own fault.");
}

void write_host(MetricsText& out, const HostFigures& host) {
  out.histogram("dunlin_log_commit_duration_seconds", host.log_commits,
                "Commits of the node's log: writing, and the fsync that makes it durable.");
  out.gauge("dunlin_log_backlog_bytes", number(host.log_backlog), "What waits to be made durable.");
  out.family("dunlin_api_requests_total", "counter", "Requests answered, by HTTP status.");
  std::map<int, std::uint64_t> answers = host.api_answers;
  answers.try_emplace(200);  // a family without samples is none
  for (const auto& [status, count] : answers) {
    out.sample(number(count), {{"code", std::to_string(status)}});
  }
  out.gauge("dunlin_api_connections", number(host.api_connections),
            "Clients connected to the API.");
  out.counter("process_cpu_seconds_total", host.cpu_seconds, "User and system CPU time spent.");
  out.gauge("process_start_time_seconds", host.start_time, "When the process began, since 1970.");
  out.gauge("process_resident_memory_bytes", number(host.resident), "Resident memory.");
  out.gauge("process_open_fds", number(host.open_descriptors), "Open file descriptors.");
  out.gauge("process_max_fds", number(host.most_descriptors), "How many may be open.");
}

}  // namespace

void MetricsText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += "# HELP " + name_ + " " + escaped(help, false) + "\n";
  text_ += "# TYPE " + name_ + " " + std::string(type) + "\n";
}

void MetricsText::sample(double value, const Labels& labels, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  std::string list;
  for (const auto& [key, held] : labels) {
    list += (list.empty() ? "" : ",") + std::string(key) + "=\"" + escaped(held, true) + "\"";
  }
  if (!list.empty()) text_ += "{" + list + "}";
  text_ += " " + number_text(value) + "\n";
}

void MetricsText::counter(std::string_view name, double value, std::string_view help) {
  family(name, "counter", help);
  sample(value);
}

void MetricsText::gauge(std::string_view name, double value, std::string_view help) {
  family(name, "gauge", help);
  sample(value);
}

void MetricsText::histogram(std::string_view name, const LatencyHistogram& held,
                            std::string_view help) {
  family(name, "histogram", help);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < LatencyHistogram::kBounds.size(); ++i) {
    below += held.buckets()[i];
    sample(number(below), {{"le", number_text(Duration{LatencyHistogram::kBounds[i]}.seconds())}},
           "_bucket");
  }
  sample(number(held.count()), {{"le", "+Inf"}}, "_bucket");
  sample(held.sum().seconds(), {}, "_sum");
  sample(number(held.count()), {}, "_count");
}

std::string metrics_text(const client::Metrics& node, const HostFigures& host) {
  MetricsText out;
  out.family("dunlin_build_info", "gauge", "Always 1; the labels say what runs here.");
  out.sample(1, {{"version", node.version},
                 {"node", node.node.text()},
                 {"name", node.name},
                 {"cluster", node.cluster.text()}});
  write_members(out, node);
  write_tasks(out, node);
  write_blobs(out, node.blobs);
  write_messages(out, node);
  write_host(out, host);
  return out.take();
}

}  // namespace dunlin
