// ~/.dunlin/servers: where nodes of clusters were last seen, for clients that run no node of their
// own. One line a cluster: its id, a space, HOST:PORT by commas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace dunlin {

constexpr std::size_t kMaxKnownClusters = 16;

// HOST:PORT of a list by commas; what is none is left out.
std::vector<std::string> addresses_in(std::string_view list);

// Of this cluster; empty when none are known, or the file cannot be read.
std::vector<std::string> known_servers(const ClusterId& cluster);
// Puts them in the place of what was known of this cluster, whole or not at all. That the file
// cannot be written is no failure of the command that learnt them.
void remember_servers(const ClusterId& cluster, const std::vector<std::string>& servers);

// Appends those that are not there, as far as kMaxServers allows.
void add_servers(std::vector<std::string>& to, const std::vector<std::string>& more);

}  // namespace dunlin
