// NODE as people write it: an id, a prefix of it, or a name; and the names that it has in tables.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"
#include "node/client.h"

namespace dunlin {

Result<std::vector<Member>> all_nodes(Client& client);

// By whole id, by name, or by a prefix of the id that only one node has. kUsage: ambiguous, and
// with what.
Result<Member> find_node(const std::vector<Member>& nodes, const std::string& word);

// Asks the cluster.
Result<Member> find_node(Client& client, const std::string& word);

using NodeNames = std::map<NodeId, std::string>;
// For tables: empty where nobody says.
NodeNames node_names(Client& client);
// "-" for no node, a short id for one without a name.
std::string name_in(const NodeNames& names, const std::optional<NodeId>& id);

}  // namespace dunlin
