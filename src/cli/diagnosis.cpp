#include "cli/diagnosis.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "cli/units.h"
#include "os/json_writer.h"

namespace dunlin {

namespace {

using Findings = std::vector<Finding>;

std::string joined(const std::set<std::string>& names) {
  constexpr std::size_t kMostNamed = 8;
  std::string text;
  std::size_t count = 0;
  for (const std::string& name : names) {
    if (count++ == kMostNamed)
      return text + " and " + std::to_string(names.size() - kMostNamed) + " more";
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// ---- the cluster --------------------------------------------------------------------------------

void judge_status(const client::Status& status, Findings& found) {
  const auto lack = [&](std::uint64_t of, std::uint64_t are) { return of > are ? of - are : 0; };
  if (const auto count = lack(status.groups, status.groups_with_quorum); count > 0) {
    found.push_back({"no_quorum", "cluster",
                     counted(count, "group") + " of " + std::to_string(status.groups) +
                         " cannot work: most of the hosts that hold them are gone",
                     "bring the dead hosts back: dunlin nodes"});
  }
  if (status.blocks_missing > 0) {
    found.push_back({"blocks_missing", "cluster",
                     counted(status.blocks_missing, "block") + " are held by no host that is there",
                     "bring the dead hosts back: dunlin nodes"});
  }
  const auto thin = lack(status.groups, status.groups_fully_replicated);
  if (thin > 0 && status.groups_with_quorum == status.groups) {
    found.push_back({"groups_under_replicated", "cluster",
                     counted(thin, "group") + " have fewer replicas than the hosts allow",
                     "they are being made; if this stays, look for dead and suspect hosts"});
  }
  if (status.blocks_under_replicated > 0) {
    found.push_back({"blocks_under_replicated", "cluster",
                     counted(status.blocks_under_replicated, "block") +
                         " have fewer replicas than the hosts allow",
                     "they are being made; if this stays, look for full disks"});
  }
}

void judge_size(const std::vector<Member>& nodes, Findings& found) {
  const auto alive = std::count_if(nodes.begin(), nodes.end(), [](const Member& node) {
    return node.state == MemberState::kAlive;
  });
  if (alive < 1 || alive > 2) return;
  found.push_back({"few_hosts", "cluster",
                   (alive == 1 ? std::string("one host") : std::string("two hosts")) +
                       ": none can be lost without a loss of jobs or of time",
                   "add " + std::string(alive == 1 ? "two more" : "one more") +
                       ": dunlin token create, and there dunlin up --join"});
}

void judge_state(const Member& node, Findings& found) {
  const std::string& name = node.facts.name;
  if (node.state == MemberState::kDead) {
    found.push_back({"dead_node", name, "is dead, and has not been forgotten",
                     "start it again; if it never comes back: dunlin forget " + name});
  }
  if (node.state == MemberState::kSuspect) {
    found.push_back({"suspect_node", name, "answers to nobody just now",
                     "look whether the host is up, overloaded or cut off"});
  }
  const bool is_known = node.load_at != Instant{};
  if (is_present(node) && node.load.draining && is_known && node.load.running == 0) {
    found.push_back({"drained_node", name, "drains, though nothing runs there any more",
                     "let it take tasks again: dunlin undrain " + name +
                         "; or take it out: dunlin leave " + name});
  }
}

// The one that most bear; of equally many the one that sorts last.
void judge_versions(const std::vector<Member>& nodes, Findings& found) {
  std::map<std::string, int> count;
  for (const Member& node : nodes) {
    if (is_present(node)) ++count[node.facts.version];
  }
  std::pair<int, std::string> usual;
  for (const auto& [version, times] : count) usual = std::max(usual, {times, version});
  for (const Member& node : nodes) {
    if (!is_present(node) || node.facts.version == usual.second) continue;
    found.push_back({"version_differs", node.facts.name,
                     "runs dunlin " + node.facts.version + ", others " + usual.second,
                     "install the same on all hosts, one after the other: up --keep-tasks"});
  }
}

// ---- nodes, from the checkup --------------------------------------------------------------------

void judge_host(const client::NodeCheckup& node, Findings& found) {
  const HostCondition& host = node.host;
  if (host.disk_total > 0 && host.disk_free < host.disk_total / kLowDiskPart) {
    found.push_back({"disk_low", node.name,
                     size_text(host.disk_free) + " of " + size_text(host.disk_total) +
                         " are free; below 5% it takes no tasks",
                     "make room where its directory lies"});
  }
  if (host.log_commit_us > static_cast<std::uint64_t>(kSlowCommit.us)) {
    found.push_back({"log_slow", node.name,
                     "a commit of its log takes " +
                         text_of(Duration{static_cast<std::int64_t>(host.log_commit_us)}) +
                         ", fsync and all",
                     "put its directory on a faster disk, or one that others do not load"});
  }
  if (host.descriptors > 0 && host.descriptors < kFewDescriptors) {
    found.push_back({"few_descriptors", node.name,
                     "may have " + std::to_string(host.descriptors) + " files and connections open",
                     "raise the hard limit: LimitNOFILE= of the unit, or ulimit -Hn"});
  }
}

void judge_isolation(const client::NodeCheckup& node, Findings& found) {
  if (node.isolation_note.find("no cgroup") != std::string::npos) {
    found.push_back({"no_cgroup", node.name,
                     "has no cgroup to limit memory by: tasks are watched, and may exceed it for a "
                     "moment",
                     "run it as root, or as a systemd unit: dunlin up --unit"});
  }
  if (node.isolation_note.find("not pinned") != std::string::npos) {
    found.push_back({"no_pinning", node.name,
                     "does not pin tasks to cores: another node of the host does, or none may",
                     "run one node a host, and let it set the affinity of its tasks"});
  }
}

using Names = std::map<NodeId, const client::NodeCheckup*>;

// Who cannot send to whom; each pair is tried from both ends.
using Blocked = std::map<NodeId, std::set<std::string>>;  // to -> names of those from

Blocked blocked_datagrams(const client::Checkup& checkup, const Names& names) {
  Blocked blocked;
  for (const client::NodeCheckup& node : checkup.nodes) {
    for (const PathReport& path : node.paths) {
      const auto peer = names.find(path.peer);
      if (!path.answers || peer == names.end()) continue;
      if (!path.udp_to) blocked[path.peer].insert(node.name);
      if (!path.udp_from) blocked[node.node].insert(peer->second->name);
    }
  }
  return blocked;
}

std::string port_at(const std::string& address) {
  return address.substr(address.rfind(':') + 1);
}

void judge_datagrams(const client::Checkup& checkup, const Names& names, Findings& found) {
  for (const auto& [to, from] : blocked_datagrams(checkup, names)) {
    const client::NodeCheckup& node = *names.at(to);
    found.push_back({"udp_blocked", node.name,
                     "datagrams of " + joined(from) + " do not reach it at " + node.address,
                     "open UDP port " + port_at(node.address) + " of its host to them"});
  }
}

void judge_connections(const client::Checkup& checkup, const Names& names, Findings& found) {
  for (const client::NodeCheckup& node : checkup.nodes) {
    std::set<std::string> from;
    std::string trouble;
    for (const PathReport& path : node.paths) {
      const auto peer = names.find(path.peer);
      if (path.dial != DialResult::kFailed || peer == names.end()) continue;
      from.insert(peer->second->name);
      trouble = path.trouble;
    }
    if (from.empty()) continue;
    found.push_back({"tcp_blocked", node.name,
                     joined(from) + " cannot connect to it at " + node.address + ": " + trouble,
                     "open TCP port " + port_at(node.address) +
                         " of its host to them, or start it with the right --advertise"});
  }
}

// By how much a node's clock is ahead, as most of those see it who asked it.
void judge_clocks(const client::Checkup& checkup, Findings& found) {
  std::map<NodeId, std::vector<std::int64_t>> ahead;
  for (const client::NodeCheckup& node : checkup.nodes) {
    for (const PathReport& path : node.paths) {
      if (!path.answers) continue;
      ahead[path.peer].push_back(path.clock_ahead_ms);
      ahead[node.node].push_back(-path.clock_ahead_ms);
    }
  }
  for (const client::NodeCheckup& node : checkup.nodes) {
    std::vector<std::int64_t>& seen = ahead[node.node];
    if (seen.empty()) continue;
    std::sort(seen.begin(), seen.end());
    const std::int64_t low = seen[(seen.size() - 1) / 2], high = seen[seen.size() / 2];
    const std::int64_t by = std::abs(low) < std::abs(high) ? low : high;
    if (std::abs(by) < kClockSkewMs) continue;
    found.push_back({"clock_skew", node.name,
                     "its clock is " + text_of(milliseconds(std::abs(by))) +
                         (by > 0 ? " ahead of" : " behind") + " the others",
                     "let NTP set the clock of its host"});
  }
}

void judge_checkup(const client::Checkup& checkup, Findings& found) {
  Names names;
  for (const client::NodeCheckup& node : checkup.nodes) names[node.node] = &node;
  judge_connections(checkup, names, found);
  judge_datagrams(checkup, names, found);
  judge_clocks(checkup, found);
  for (const client::NodeCheckup& node : checkup.nodes) {
    if (!node.has_answered) {
      found.push_back({"silent_node", node.name, "did not answer within 6 s",
                       "look whether the host is up and not overloaded"});
      continue;
    }
    judge_host(node, found);
    judge_isolation(node, found);
  }
}

}  // namespace

Finding no_node_answers(const Error& error) {
  return {"no_node", "this host", error.message,
          error.hint.empty() ? "start one: dunlin up" : error.hint};
}

std::vector<Finding> diagnose(const Evidence& evidence) {
  Findings found;
  if (evidence.status) judge_status(*evidence.status, found);
  for (const Member& node : evidence.nodes) judge_state(node, found);
  if (evidence.checkup) judge_checkup(*evidence.checkup, found);
  judge_versions(evidence.nodes, found);
  judge_size(evidence.nodes, found);
  for (const TokenFile& file : evidence.token_files) {
    if ((file.mode & 077U) == 0) continue;
    found.push_back({"token_readable", file.path, "this token is for others to read",
                     "chmod 600 it, revoke it (dunlin token revoke) and make another"});
  }
  return found;
}

std::string findings_json(const std::vector<Finding>& findings) {
  std::string text;
  JsonWriter out(text);
  out.begin_array();
  for (const Finding& finding : findings) {
    out.begin_object();
    out.field("code", finding.code);
    out.field("subject", finding.subject);
    out.field("message", finding.message);
    out.field("hint", finding.hint);
    out.end_object();
  }
  out.end_array();
  return text + "\n";
}

}  // namespace dunlin
