#include "cli/known_servers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "cli/directories.h"
#include "cli/file_text.h"
#include "cli/server_link.h"
#include "cli/servers.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxFile = 256 * 1024;

std::string known_servers_file() {
  return home_directory() + "/.dunlin/servers";
}

std::string content_of_known_servers() {
  const Result<std::string> content = first_of_file(known_servers_file(), kMaxFile + 1);
  return content && content->size() <= kMaxFile ? *content : std::string();
}

bool write_whole_file(const std::string& path, const std::string& content) {
  std::string temporary = path + "." + std::string(6, 'X');
  const int fd = ::mkstemp(temporary.data());
  if (fd < 0) return false;
  const bool is_written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
  const bool is_closed = ::close(fd) == 0;
  if (is_written && is_closed && std::rename(temporary.c_str(), path.c_str()) == 0) return true;
  ::unlink(temporary.c_str());
  return false;
}

}  // namespace

std::vector<std::string> addresses_in(std::string_view list) {
  std::vector<std::string> found = parts_by_comma(list);
  std::erase_if(found, [](const std::string& one) { return !is_remote(one); });
  return found;
}

std::vector<std::string> known_servers(const ClusterId& cluster) {
  std::istringstream lines(content_of_known_servers());
  const std::string begin = cluster.text() + " ";
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(begin)) return addresses_in(std::string_view(line).substr(begin.size()));
  }
  return {};
}

void remember_servers(const ClusterId& cluster, const std::vector<std::string>& servers) {
  const std::string before = content_of_known_servers();
  std::string content = cluster.text() + " ";
  for (std::size_t i = 0; i < servers.size(); ++i) content += (i == 0 ? "" : ",") + servers[i];
  content += "\n";
  std::istringstream lines(before);
  std::size_t clusters = 1;
  for (std::string line; std::getline(lines, line) && clusters < kMaxKnownClusters;) {
    if (line.empty() || line.starts_with(cluster.text() + " ")) continue;
    content += line + "\n";
    ++clusters;
  }
  if (content == before) return;
  const std::string path = known_servers_file();
  ::mkdir(path.substr(0, path.rfind('/')).c_str(), 0700);
  (void)write_whole_file(path, content);
}

void add_servers(std::vector<std::string>& to, const std::vector<std::string>& more) {
  for (const std::string& server : more) {
    if (to.size() >= kMaxServers) return;
    if (std::find(to.begin(), to.end(), server) == to.end()) to.push_back(server);
  }
}

}  // namespace dunlin
