#include "node/load_surveys.h"

#include <algorithm>

namespace dunlin {

bool LoadSurveys::begin(Instant now, client::RequestId request,
                        const std::map<NodeId, Member>& members, Effects& out) {
  if (queries_.size() >= kMaxLoadSurveys) return false;
  const std::uint64_t number = next_query_++;
  Query& query = queries_[number];
  query.answer.request = request;
  query.deadline = now + kLoadPatience;
  for (const auto& [id, member] : members) {
    if (id != self_ && is_present(member)) query.silent.insert(id);
  }
  for (const NodeId& id : query.silent) {
    out.send(id, Channel::kStream, node_frame(LoadQuery{number}));
  }
  if (query.silent.empty()) finish(queries_.find(number));
  return true;
}

void LoadSurveys::on_share(Instant now, NodeId from, const LoadShare& share) {
  const auto query = queries_.find(share.query);
  if (query == queries_.end() || query->second.silent.erase(from) == 0) return;
  query->second.answer.loads[from] = {now, share};
  if (query->second.silent.empty()) finish(query);
}

void LoadSurveys::tick(Instant now) {
  for (auto at = queries_.begin(); at != queries_.end();) {
    const auto due = at++;
    if (due->second.deadline <= now) finish(due);
  }
}

Instant LoadSurveys::next_deadline() const {
  Instant next = Instant::never();
  for (const auto& [number, query] : queries_) next = std::min(next, query.deadline);
  return next;
}

void LoadSurveys::finish(std::map<std::uint64_t, Query>::iterator query) {
  ended_.push_back(std::move(query->second.answer));
  queries_.erase(query);
}

}  // namespace dunlin
