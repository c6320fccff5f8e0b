// Which node a command asks.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace dunlin {

constexpr std::size_t kMaxServers = 64;

// The sockets to be tried in order: of --server if it is not empty, else of DUNLIN_SERVER, else the
// default ones. kUsage for HOST:PORT, which needs user tokens.
Result<std::vector<std::string>> servers_to_try(const std::string& given);

// $HOME, else the account's.
std::string home_directory();

}  // namespace dunlin
