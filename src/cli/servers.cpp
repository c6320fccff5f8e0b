#include "cli/servers.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "cli/directories.h"
#include "cli/file_text.h"
#include "cli/known_servers.h"
#include "cli/server_link.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxTokenFile = 4096;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

// As whom HOST:PORT is asked.
Result<JoinToken> users_token(const std::string& token_file) {
  const std::string usual = home_directory() + "/.dunlin/token";
  std::string from = token_file;
  std::string text = environment("DUNLIN_TOKEN");
  if (!token_file.empty() || text.empty()) {
    if (token_file.empty() && ::access(usual.c_str(), F_OK) != 0) {
      return fail(Code::kUsage, "HOST:PORT of a node takes a user's token, and there is none",
                  "give --token-file FILE or DUNLIN_TOKEN, or put it into ~/.dunlin/token");
    }
    if (from.empty()) from = usual;
    Result<std::string> read = read_token(from);
    if (!read) return fail(read.error().code, "the token's file " + read.error().message);
    text = std::move(*read);
  } else {
    from = "DUNLIN_TOKEN";
  }
  Result<JoinToken> token = JoinToken::parse(text);
  if (token) return token;
  return fail(token.error().code, from + ": " + token.error().message, token.error().hint);
}

}  // namespace

std::vector<std::string> parts_by_comma(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (comma != 0) parts.emplace_back(list.substr(0, comma));
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return parts;
}

Result<std::string> read_token(const std::string& path) {
  Result<std::string> text = first_of_input(path, kMaxTokenFile);
  if (!text) return fail(Code::kUsage, text.error().message);
  text->erase(text->find_last_not_of("\n\r ") + 1);
  if (text->empty()) return fail(Code::kUsage, path + ": it holds no token");
  return text;
}

Result<Servers> servers_to_try(const std::string& given, const std::string& token_file) {
  const std::string list = given.empty() ? environment("DUNLIN_SERVER") : given;
  Servers servers;
  if (list.empty()) {
    const std::string dir = environment("DUNLIN_DIR");
    if (!dir.empty()) servers.addresses.push_back(dir + "/api.sock");
    servers.addresses.push_back("/run/dunlin/api.sock");
    servers.addresses.push_back(home_directory() + "/.dunlin/api.sock");
    return servers;
  }
  servers.addresses = parts_by_comma(list);
  if (servers.addresses.empty() || servers.addresses.size() > kMaxServers) {
    return fail(Code::kUsage,
                "--server names no server, or more than " + std::to_string(kMaxServers));
  }
  if (std::none_of(servers.addresses.begin(), servers.addresses.end(), is_remote)) return servers;
  const Result<JoinToken> token = users_token(token_file);
  if (!token) return tl::unexpected(token.error());
  servers.token = *token;
  add_servers(servers.addresses, known_servers(token->cluster));
  return servers;
}

}  // namespace dunlin
