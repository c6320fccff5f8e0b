#include "node/checkups.h"

namespace dunlin {

std::vector<NodeId> peers_to_reach(NodeId self, const std::map<NodeId, Member>& members,
                                   std::size_t most) {
  std::vector<NodeId> peers;
  auto at = members.upper_bound(self);
  for (std::size_t i = 0; i < members.size() && peers.size() < most; ++i) {
    if (at == members.end()) at = members.begin();
    if (at->first != self && is_present(at->second)) peers.push_back(at->first);
    ++at;
  }
  return peers;
}

bool Checkups::begin(Instant now, client::RequestId request,
                     const std::map<NodeId, Member>& members, Effects& out) {
  const std::set<NodeId> nodes = self_and_present(self_, members);
  const std::uint64_t number = inquiries_.begin(now, request, nodes);
  if (number == 0) return false;
  for (const NodeId& id : nodes) {
    out.send(id, Channel::kStream, node_frame(CheckupQuery{number}));
  }
  return true;
}

void Checkups::on_share(NodeId from, const CheckupShare& share,
                        const std::map<NodeId, Member>& members) {
  const auto* inquiry = inquiries_.hear(from, share.query, share);
  if (inquiry != nullptr && inquiry->is_complete()) {
    finish(inquiries_.end(share.query), members);
  }
}

void Checkups::on_query(NodeId from, std::uint64_t query, std::uint64_t round) {
  askers_.insert({round, {from, query}});
}

std::vector<Checkups::Asker> Checkups::take_askers(std::uint64_t round) {
  std::vector<Asker> askers;
  const auto [first, last] = askers_.equal_range(round);
  for (auto at = first; at != last; ++at) askers.push_back(at->second);
  askers_.erase(first, last);
  return askers;
}

void Checkups::tick(Instant now, const std::map<NodeId, Member>& members) {
  for (auto& inquiry : inquiries_.end_due(now)) finish(std::move(inquiry), members);
}

void Checkups::finish(Inquiry<CheckupShare> inquiry, const std::map<NodeId, Member>& members) {
  Ended& ended = ended_.emplace_back();
  ended.request = inquiry.request;
  ended.checkup.self = self_;
  for (const auto& [id, member] : members) {
    if (!is_present(member)) continue;
    client::NodeCheckup& node = ended.checkup.nodes.emplace_back();
    node.node = id;
    node.name = member.facts.name;
    node.address = member.facts.address;
    node.version = member.facts.version;
    const auto share = inquiry.shares.find(id);
    if (share == inquiry.shares.end()) continue;
    node.has_answered = true;
    node.host = share->second.host;
    node.isolation_note = std::move(share->second.isolation_note);
    node.paths = std::move(share->second.paths);
  }
}

}  // namespace dunlin
