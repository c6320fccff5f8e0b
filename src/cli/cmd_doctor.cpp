// `dunlin doctor`: asks the cluster and looks at this host, and says what is wrong.
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "cli/commands.h"
#include "cli/diagnosis.h"
#include "cli/directories.h"
#include "cli/servers.h"
#include "cli/units.h"
#include "os/json.h"
#include "os/json_checkup.h"

namespace dunlin {

namespace {

// Where tokens are kept, as far as this host's defaults and the command line can tell.
std::vector<TokenFile> token_files(const Invocation& call) {
  std::set<std::string> directories = {"/var/lib/dunlin", home_directory() + "/.dunlin"};
  if (const char* named = std::getenv("DUNLIN_DIR"); named != nullptr && *named != '\0') {
    directories.insert(named);
  }
  const std::string& server = call.client.server();
  const std::size_t slash = server.rfind('/');
  if (slash != std::string::npos && slash > 0) directories.insert(server.substr(0, slash));
  std::set<std::string> paths = {home_directory() + "/.dunlin/token"};
  for (const std::string& directory : directories) {
    for (const char* name : {"/join-token", "/unit-token"}) paths.insert(directory + name);
  }
  if (call.args.has("token-file")) paths.insert(call.args.text("token-file"));
  std::vector<TokenFile> files;
  for (const std::string& path : paths) {
    struct stat about {};
    const bool is_there = ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
    if (is_there && about.st_size > 0) files.push_back({path, about.st_mode & 0777U});
  }
  return files;
}

// What cannot be had is left out, but for the first question: who does not answer it answers none.
Result<void> ask(Invocation& call, Evidence& evidence) {
  const auto nodes = call.client.call("GET", "/v1/nodes");
  if (!nodes) return tl::unexpected(nodes.error());
  auto members = nodes_from_json(nodes->body);
  if (!members) return tl::unexpected(members.error());
  evidence.nodes = std::move(*members);
  if (const auto status = call.client.call("GET", "/v1/status")) {
    if (auto read = status_from_json(status->body)) evidence.status = std::move(*read);
  }
  const auto checkup = call.client.call("GET", "/v1/checkup");
  if (!checkup) {
    note("dunlin: the nodes were not looked over: " + checkup.error().message);
  } else if (auto read = checkup_from_json(checkup->body)) {
    evidence.checkup = std::move(*read);
  }
  return {};
}

// What is said alike of several nodes is said once, of them all.
std::vector<Finding> merged(const std::vector<Finding>& findings) {
  std::vector<Finding> all;
  for (const Finding& finding : findings) {
    const auto same = std::find_if(all.begin(), all.end(), [&](const Finding& other) {
      return std::string_view(other.code) == finding.code && other.message == finding.message &&
             other.hint == finding.hint;
    });
    if (same == all.end()) {
      all.push_back(finding);
    } else {
      same->subject += ", " + finding.subject;
    }
  }
  return all;
}

void print_findings(const Invocation& call, const std::vector<Finding>& findings,
                    std::size_t nodes) {
  if (call.json()) {
    print(findings_json(findings));
    return;
  }
  std::string text;
  for (const Finding& finding : merged(findings)) {
    if (call.quiet()) {
      text += std::string(finding.code) + "\n";
    } else {
      text += std::string(finding.code) + "  " + finding.subject + ": " + finding.message +
              "\n    " + finding.hint + "\n";
    }
  }
  if (findings.empty() && !call.quiet()) {
    text = "nothing found: " + counted(nodes, "node") + " looked over\n";
  }
  print(text);
}

}  // namespace

int run_doctor(Invocation& call) {
  Evidence evidence;
  const Result<void> asked = ask(call, evidence);
  if (!asked && asked.error().code != Code::kUnreachable) return call.failed(asked.error());
  evidence.token_files = token_files(call);
  std::vector<Finding> findings = diagnose(evidence);
  if (!asked) findings.insert(findings.begin(), no_node_answers(asked.error()));
  print_findings(call, findings, evidence.nodes.size());
  return findings.empty() ? kExitWell : kExitFailed;
}

}  // namespace dunlin
