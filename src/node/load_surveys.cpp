#include "node/load_surveys.h"

namespace dunlin {

bool LoadSurveys::begin(Instant now, client::RequestId request,
                        const std::map<NodeId, Member>& members, Effects& out) {
  std::set<NodeId> others = self_and_present(self_, members);
  others.erase(self_);
  const std::uint64_t number = inquiries_.begin(now, request, others);
  if (number == 0) return false;
  for (const NodeId& id : others) {
    out.send(id, Channel::kStream, node_frame(LoadQuery{number}));
  }
  if (others.empty()) finish(inquiries_.end(number));
  return true;
}

void LoadSurveys::on_share(Instant now, NodeId from, const LoadShare& share) {
  const auto* inquiry = inquiries_.hear(from, share.query, {now, share});
  if (inquiry != nullptr && inquiry->is_complete()) finish(inquiries_.end(share.query));
}

void LoadSurveys::tick(Instant now) {
  for (auto& inquiry : inquiries_.end_due(now)) finish(std::move(inquiry));
}

void LoadSurveys::finish(Inquiry<Told> inquiry) {
  ended_.push_back({inquiry.request, std::move(inquiry.shares)});
}

}  // namespace dunlin
