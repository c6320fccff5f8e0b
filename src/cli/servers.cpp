#include "cli/servers.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace dunlin {

namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

std::string home_directory() {
  std::string home = environment("HOME");
  if (!home.empty()) return home;
  const passwd* account = getpwuid(geteuid());
  return account == nullptr ? "/" : account->pw_dir;
}

Result<std::vector<std::string>> servers_to_try(const std::string& given) {
  std::string list = given.empty() ? environment("DUNLIN_SERVER") : given;
  std::vector<std::string> servers;
  if (list.empty()) {
    const std::string dir = environment("DUNLIN_DIR");
    if (!dir.empty()) servers.push_back(dir + "/api.sock");
    servers.push_back("/run/dunlin/api.sock");
    servers.push_back(home_directory() + "/.dunlin/api.sock");
    return servers;
  }
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const std::string server(rest.substr(0, comma));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (server.empty()) continue;
    const bool is_path = server.find('/') != std::string::npos;
    if (!is_path && server.find(':') != std::string::npos) {
      return fail(Code::kUsage, "--server " + server + ": HOST:PORT is not available yet",
                  "give the path of a node's socket on this host");
    }
    servers.push_back(server);
  }
  if (servers.empty() || servers.size() > kMaxServers) {
    return fail(Code::kUsage,
                "--server names no server, or more than " + std::to_string(kMaxServers));
  }
  return servers;
}

}  // namespace dunlin
