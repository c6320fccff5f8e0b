#include "cli/node_ref.h"

#include "os/json.h"

namespace dunlin {

Result<std::vector<Member>> all_nodes(Client& client) {
  const auto answer = client.call("GET", "/v1/nodes");
  if (!answer) return tl::unexpected(answer.error());
  return nodes_from_json(answer->body);
}

Result<Member> find_node(const std::vector<Member>& nodes, const std::string& word) {
  std::vector<const Member*> found, named;
  for (const Member& node : nodes) {
    if (node.facts.id.text() == word) return node;
    // A host that came back under a new identity keeps its name: the old one is dead or has left.
    if (node.facts.name == word && node.state != MemberState::kDead &&
        node.state != MemberState::kLeft) {
      named.push_back(&node);
    }
    if (node.facts.id.text().starts_with(word) || node.facts.name == word) found.push_back(&node);
  }
  if (!named.empty()) found = std::move(named);
  if (found.size() == 1) return *found.front();
  if (found.empty()) {
    return fail(Code::kNotFound, "there is no node '" + word + "'", "see: dunlin nodes");
  }
  std::string names;
  for (const Member* node : found) {
    names += (names.empty() ? "" : ", ") + node->facts.id.text() + " (" + node->facts.name + ")";
  }
  return fail(Code::kUsage, "'" + word + "' could mean " + names, "give more of the id");
}

Result<Member> find_node(Client& client, const std::string& word) {
  const auto nodes = all_nodes(client);
  return nodes ? find_node(*nodes, word) : tl::unexpected(nodes.error());
}

NodeNames node_names(Client& client) {
  NodeNames names;
  const auto nodes = all_nodes(client);
  if (!nodes) return names;
  for (const Member& node : *nodes) names[node.facts.id] = node.facts.name;
  return names;
}

std::string name_in(const NodeNames& names, const std::optional<NodeId>& id) {
  if (!id) return "-";
  const auto at = names.find(*id);
  return at == names.end() || at->second.empty() ? id->short_text() : at->second;
}

}  // namespace dunlin
