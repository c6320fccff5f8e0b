// A node that has come up asks some others whether they can reach it, and says on stderr by which
// address, port and transport they cannot: one that joined through a firewall works until the first
// connection breaks, and nobody would know why. Also the node's part in others' checkups.
#include <algorithm>

#include "node/parts.h"

namespace dunlin {

namespace {

constexpr std::size_t kAskedAboutSelf = 3;
constexpr Duration kCheckAgain = seconds(30);  // while they cannot
constexpr Duration kNobodyYet = seconds(1);

}  // namespace

// Called at the end of every turn.
void Node::Parts::follow_reach() {
  for (Reach::Ended& ended : reach.take_ended()) {
    if (ended.round == self_check.round) {
      judge_own_reach(ended.paths);
      continue;
    }
    for (const Checkups::Asker& asker : checkups.take_askers(ended.round)) {
      out.send(asker.node, Channel::kStream,
               node_frame(share_of_checkup(asker.query, ended.paths)));
    }
  }
  for (Checkups::Ended& ended : checkups.take_ended()) {
    answer(ended.request, client::Answer(std::move(ended.checkup)));
  }
  if (!config.checks_reach || self_check.round != 0 || now < self_check.next_at) return;
  const std::vector<NodeId> peers = peers_to_reach(self, gossip.members(), kAskedAboutSelf);
  if (!peers.empty()) self_check.round = reach.begin(now, peers, out);
  if (self_check.round == 0 && gossip.members().size() > 1) self_check.next_at = now + kNobodyYet;
}

void Node::Parts::judge_own_reach(const std::vector<PathReport>& paths) {
  self_check.round = 0;
  std::vector<NamedPath> named;
  bool has_answer = false;
  for (const PathReport& path : paths) {
    has_answer = has_answer || path.answers;
    const auto member = gossip.members().find(path.peer);
    if (member == gossip.members().end()) continue;
    named.push_back({member->second.facts.name + " " + member->second.facts.address, path});
  }
  std::vector<std::string> lines = unreachable_lines(config.facts.address, named);
  // Silence says nothing of this node's own ports; it is asked again.
  self_check.next_at = has_answer && lines.empty() ? Instant::never() : now + kCheckAgain;
  if (lines == self_check.said) return;
  if (lines.empty() && has_answer) output.lines.push_back("others reach this node now");
  output.lines.insert(output.lines.end(), lines.begin(), lines.end());
  if (has_answer) self_check.said = std::move(lines);
}

Instant Node::Parts::next_reach() const {
  const bool waits = config.checks_reach && self_check.round == 0 && gossip.members().size() > 1;
  return std::min({reach.next_deadline(), checkups.next_deadline(),
                   waits ? self_check.next_at : Instant::never()});
}

CheckupShare Node::Parts::share_of_checkup(std::uint64_t query,
                                           const std::vector<PathReport>& paths) const {
  return {query, condition, sched.isolation_note(), paths};
}

void Node::Parts::on_checkup_query(NodeId from, const CheckupQuery& message) {
  const std::vector<NodeId> peers = peers_to_reach(self, gossip.members(), kMaxReachPeers);
  const std::uint64_t round = reach.begin(now, peers, out);
  if (round != 0) return checkups.on_query(from, message.query, round);
  out.send(from, Channel::kStream, node_frame(share_of_checkup(message.query, {})));
}

void Node::Parts::serve(client::RequestId request, const client::GetCheckup&) {
  if (checkups.begin(now, request, gossip.members(), out)) return;
  answer(request, fail(Code::kLimit, "too many look the cluster over at once", "try again"));
}

void Node::on_dialled(NodeId peer, std::uint64_t round, const Result<void>& how) {
  Parts& p = *parts_;
  p.out.send(peer, Channel::kStream,
             node_frame(DialReport{round, how.has_value(), how ? "" : how.error().message}));
}

void Node::set_condition(const HostCondition& condition) {
  parts_->condition = condition;
}

}  // namespace dunlin
