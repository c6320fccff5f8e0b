#include "node/checkups.h"

#include <algorithm>

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
  if (queries_.size() >= kMaxCheckups) return false;
  const std::uint64_t number = next_query_++;
  Query& query = queries_[number];
  query.request = request;
  query.deadline = now + kCheckupPatience;
  query.silent.insert(self_);
  for (const auto& [id, member] : members) {
    if (is_present(member)) query.silent.insert(id);
  }
  for (const NodeId& id : query.silent) {
    out.send(id, Channel::kStream, node_frame(CheckupQuery{number}));
  }
  return true;
}

void Checkups::on_share(NodeId from, const CheckupShare& share,
                        const std::map<NodeId, Member>& members) {
  const auto query = queries_.find(share.query);
  if (query == queries_.end() || query->second.silent.erase(from) == 0) return;
  query->second.shares[from] = share;
  if (query->second.silent.empty()) finish(query, members);
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
  for (auto at = queries_.begin(); at != queries_.end();) {
    const auto due = at++;
    if (due->second.deadline <= now) finish(due, members);
  }
}

Instant Checkups::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [number, query] : queries_) next = std::min(next, query.deadline);
  return next;
}

void Checkups::finish(std::map<std::uint64_t, Query>::iterator query,
                      const std::map<NodeId, Member>& members) {
  Ended& ended = ended_.emplace_back();
  ended.request = query->second.request;
  ended.checkup.self = self_;
  for (const auto& [id, member] : members) {
    if (!is_present(member)) continue;
    client::NodeCheckup& node = ended.checkup.nodes.emplace_back();
    node.node = id;
    node.name = member.facts.name;
    node.address = member.facts.address;
    node.version = member.facts.version;
    const auto share = query->second.shares.find(id);
    if (share == query->second.shares.end()) continue;
    node.has_answered = true;
    node.host = share->second.host;
    node.isolation_note = std::move(share->second.isolation_note);
    node.paths = std::move(share->second.paths);
  }
  queries_.erase(query);
}

}  // namespace dunlin
