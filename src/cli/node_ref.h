// NODE as people write it: an id, a prefix of it, or a name.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/client.h"
#include "node/client.h"

namespace dunlin {

// By whole id, by name, or by a prefix of the id that only one node has. kUsage: ambiguous, and
// with what.
Result<Member> find_node(const std::vector<Member>& nodes, const std::string& word);

// Asks the cluster, if there is a word at all.
Result<std::vector<NodeId>> find_nodes(Client& client, const std::vector<std::string>& words);

}  // namespace dunlin
