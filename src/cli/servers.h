// Which nodes a command asks, and as whom.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/token.h"

namespace dunlin {

constexpr std::size_t kMaxServers = 64;

// To be tried in this order: paths of sockets, HOST:PORT. The token is there where one is
// HOST:PORT.
struct Servers {
  std::vector<std::string> addresses;
  std::optional<JoinToken> token;
};

// Of --server if it is not empty, else of DUNLIN_SERVER, else the default sockets; behind HOST:PORT
// those that were learnt from the same cluster before. The token is that of `token_file` if it is
// not empty, else of DUNLIN_TOKEN, else of ~/.dunlin/token.
Result<Servers> servers_to_try(const std::string& given, const std::string& token_file);

// A token's text from a file; "-" is stdin. An error is "PATH: ...", kUsage.
Result<std::string> read_token(const std::string& path);

// What stands between commas; empty parts are left out.
std::vector<std::string> parts_by_comma(std::string_view list);

}  // namespace dunlin
