#include "dht/raft.h"

#include <algorithm>

#include "base/assert.h"

namespace dunlin {

namespace {

const GroupConfig kNoConfig;
constexpr Term kMaxTerm = Term{1} << 62;  // so that nobody's next one overflows

}  // namespace

Raft::Raft(GroupId group, const NodeId& self, Generation generation, Turn& turn)
    : group_(group), self_{self, generation} {
  write_vote(turn);
}

Raft::Raft(GroupId group, const NodeId& self, const VoteFact& fact, const AppliedState* applied)
    : group_(group), self_{self, fact.generation}, term_(fact.term), vote_(fact.vote) {
  verified_ = false;
  if (applied == nullptr) return;
  log_.reset(applied->index, applied->term, 0);
  configs_.emplace_back(applied->index, applied->config);
  commit_ = applied_ = checkpointed_ = applied->index;
}

// ---- recovery -----------------------------------------------------------------------------------

void Raft::recover(std::uint64_t row, EntryRecord record) {
  if (record.generation != self_.generation) return;
  // Of what was overridden later, the first part may have been trimmed: gaps are no news before
  // the end.
  recovering_.erase(recovering_.lower_bound(record.index), recovering_.end());
  recovering_.emplace(record.index, std::pair{row, std::move(record.entry)});
}

void Raft::recover(std::uint64_t row, SnapshotRecord record) {
  if (record.generation != self_.generation) return;
  recovering_.clear();
  if (record.index <= log_.base() || record.index <= applied_) return;
  log_.reset(record.index, record.term, row);
  configs_.clear();
  install_config(record.index, std::move(record.config));
  restore_ = Restore{record.index, std::move(record.state), {}};
}

bool Raft::recovered(Turn& turn) {
  for (auto& [index, held] : recovering_) {
    auto& [row, entry] = held;
    if (index <= log_.base()) continue;
    if (index != log_.last() + 1 || entry.term < log_.last_term() || entry.term > term_) {
      return false;
    }
    if (entry.kind == EntryKind::kConfig) {
      Result<GroupConfig> config = decode<GroupConfig>(entry.payload);
      if (!config || !config->is_valid()) return false;
      install_config(index, *std::move(config));
    }
    log_.append(std::move(entry), row);
  }
  recovering_.clear();
  if (log_.base_term() > term_) return false;
  log_.on_durable(turn.durable_row);
  ASSERT(log_.durable() == log_.last());
  commit_ = log_.base();
  apply(turn);
  return true;
}

void Raft::verify(Turn& turn) {
  verified_ = true;
  seek_leader(turn);
}

std::optional<std::string> Raft::contradicts(const GroupPromise& promise) const {
  const std::string where = "group " + std::to_string(group_.value);
  if (promise.generation < self_.generation) return std::nullopt;
  if (promise.generation > self_.generation) return "a later replica of " + where;
  if (promise.term > term_ || promise.acknowledged_in > term_) return "a vote in " + where;
  // In a later term the leader may have cut the log; in the same one nobody may.
  if (promise.acknowledged_in == term_ && promise.acknowledged > log_.last()) {
    return "entries of " + where;
  }
  return std::nullopt;
}

GroupPromise Raft::promised_by(const NodeId& node) const {
  const auto found = heard_.find(node);
  const Heard heard = found == heard_.end() ? Heard{} : found->second;
  GroupPromise promise;
  promise.group = group_;
  promise.generation = heard.generation;
  promise.term = heard.term;
  promise.acknowledged_in = heard.acknowledged_in;
  promise.acknowledged = heard.acknowledged;
  promise.by = self_.generation;
  // A restart forgets the commit index; but no change of the configuration is begun before the
  // last one is committed.
  promise.committed = commit_;
  if (configs_.size() > 1) {
    promise.committed = std::max(commit_, configs_[configs_.size() - 2].first);
  }
  promise.committed_term = *log_.term_at(promise.committed);
  promise.config = config_at(promise.committed);
  return promise;
}

Raft::Heard& Raft::heard_of(const Seat& seat) {
  Heard& heard = heard_[seat.node];
  if (heard.generation < seat.generation) heard = Heard{seat.generation, 0, 0, 0};
  return heard;
}

// ---- inputs -------------------------------------------------------------------------------------

void Raft::found(Turn& turn) {
  ASSERT(log_.last() == 0 && configs_.empty());
  term_ = 1;
  write_vote(turn);
  append_own(turn, EntryKind::kConfig, encode(GroupConfig{{self_}, {}, {}}));
  election_at_ = turn.now;
}

void Raft::receive(Turn& turn, const NodeId& from, GroupMessage message) {
  ASSERT(message.to == self_.generation);
  const bool removes = std::holds_alternative<Removed>(message.body);
  if ((!verified_ && !removes) || removed_ || message.term > kMaxTerm) return;
  const Seat seat{from, message.from};
  if (is_stranger(seat)) {
    if (!removes && !std::holds_alternative<Gone>(message.body)) {
      send(turn, seat, Removed{commit_});
    }
    return;
  }
  if (!receive_term(turn, seat, message)) return;
  std::visit([&](auto& body) { accept(turn, seat, body); }, message.body);
}

// True when the message is to be handled, in a term that is now its own (but for pre-votes).
bool Raft::receive_term(Turn& turn, const Seat& from, const GroupMessage& message) {
  const auto* request = std::get_if<VoteRequest>(&message.body);
  const auto* reply = std::get_if<VoteReply>(&message.body);
  if (std::holds_alternative<Removed>(message.body) || std::holds_alternative<Gone>(message.body)) {
    return true;
  }
  if (request != nullptr && request->pre) {
    answer_pre_vote(turn, from, message.term, *request);
    return false;
  }
  if (reply != nullptr && reply->pre) {
    take_pre_vote(turn, from, message.term, *reply);
    return false;
  }
  if (message.term < term_) {
    receive_stale(turn, from, message);
    return false;
  }
  if (message.term > term_) {
    // Who has a leader does not let others disturb it; see section 4.2.3 of the book.
    if (request != nullptr && !request->transfer && has_lease(turn, from)) return false;
    become_follower(turn, message.term);
  }
  return true;
}

// From a term that is over. Whoever acts on it is told of the present one, so that a replica that
// fell behind, or ran ahead and came back, is never stuck (github.com/etcd-io/etcd/issues/8243).
void Raft::receive_stale(Turn& turn, const Seat& from, const GroupMessage& message) {
  if (std::holds_alternative<Append>(message.body) ||
      std::holds_alternative<SnapshotChunk>(message.body) ||
      std::holds_alternative<ReadProbe>(message.body)) {
    send(turn, from, AppendReply{false, 0, commit_, 0, 0});
  } else if (std::holds_alternative<VoteRequest>(message.body)) {
    send(turn, from, VoteReply{false, false, {}});
  } else if (std::holds_alternative<Hello>(message.body)) {
    answer_hello(turn, from);
  }
}

void Raft::tick(Turn& turn) {
  if (election_at_ <= turn.now) {
    election_at_ = Instant::never();
    wants_campaign_ = true;
  }
  if (campaign_until_ <= turn.now) end_campaign(turn);
  if (doubt_until_ <= turn.now) lose_leader(turn);
  if (leading_ != nullptr) tick_leader(turn);
}

Instant Raft::deadline() const {
  Instant at = std::min({election_at_, campaign_until_, doubt_until_});
  if (leading_ == nullptr) return at;
  at = std::min({at, leading_->send_at, leading_->notice_at, leading_->quorum_lost_until,
                 leading_->read_resend_at});
  if (leading_->transfer) at = std::min(at, leading_->transfer->until);
  for (const auto& [seat, progress] : leading_->peers) at = std::min(at, progress.resend_at);
  return at;
}

void Raft::on_durable(Turn& turn) {
  const bool rose = log_.on_durable(turn.durable_row);
  if (role_ == Role::kCandidate && vote_row_ <= turn.durable_row) {
    votes_[self_] = true;
    tally(turn);
  }
  if (rose && leading_ != nullptr) advance_commit(turn);
  apply(turn);
}

void Raft::peer_suspected(Turn& turn, const NodeId& node) {
  if (leading_ != nullptr) check_quorum(turn);
  if (role_ == Role::kFollower && node == leader_) seek_leader(turn);
}

void Raft::peer_recovered(Turn& turn, const NodeId& node) {
  if (leading_ != nullptr) {
    check_quorum(turn);
    for (auto& [seat, progress] : leading_->peers) {
      if (seat.node == node) restart_progress(turn, seat, progress);
    }
    return;
  }
  if (role_ != Role::kFollower) return;
  if (node == leader_ && trusts_leader(turn.peers)) {
    // It may have been replaced meanwhile, or not: ask before disturbing it.
    election_at_ = Instant::never();
    wants_campaign_ = false;
    doubt(turn);
  } else if (leader_.is_none() && config().generation_of(node) != 0) {
    campaigns_ = 0;
    election_at_ = Instant::never();
    seek_leader(turn);
  }
}

void Raft::peer_restarted(Turn& turn, const NodeId& node) {
  if (node == leader_ && role_ == Role::kFollower) {
    set_leader({});
    seek_leader(turn);
  }
  peer_recovered(turn, node);
}

void Raft::on_storage_stalled(Turn& turn) {
  if (leading_ == nullptr || !turn.storage_stalled || leading_->transfer) return;
  // The others hold more than this node can be sure of: let the foremost lead.
  const Seat* best = nullptr;
  LogIndex best_match = 0;
  for (const auto& [seat, progress] : leading_->peers) {
    const bool able = config().is_voter(seat) && !turn.peers.is_suspected(seat.node);
    if (!able || (best != nullptr && progress.match <= best_match)) continue;
    best = &seat;
    best_match = progress.match;
  }
  if (best != nullptr) transfer(turn, best->node);
}

// ---- shared -------------------------------------------------------------------------------------

void Raft::send(Turn& turn, const Seat& to, GroupBody body, bool when_durable) {
  send_in_term(turn, to, term_, std::move(body), when_durable);
}

void Raft::send_in_term(Turn& turn, const Seat& to, Term term, GroupBody body, bool when_durable) {
  ASSERT(to.node != self_.node);
  turn.messages.push_back(
      {to.node, when_durable,
       GroupMessage{group_, to.generation, self_.generation, term, std::move(body)}});
}

void Raft::write_vote(Turn& turn) {
  turn.out.put_fact(vote_key(group_), encode(VoteFact{self_.generation, false, term_, vote_}));
  vote_row_ = turn.out.row;
  turn.wrote = true;
}

const GroupConfig& Raft::config() const {
  return configs_.empty() ? kNoConfig : configs_.back().second;
}

std::vector<GroupConfig> Raft::configs_in_force() const {
  std::vector<GroupConfig> configs;
  for (auto at = configs_.rbegin(); at != configs_.rend(); ++at) {
    configs.push_back(at->second);
    if (at->first <= commit_) break;
  }
  return configs;
}

const GroupConfig& Raft::config_at(LogIndex index) const {
  for (auto at = configs_.rbegin(); at != configs_.rend(); ++at) {
    if (at->first <= index) return at->second;
  }
  return kNoConfig;
}

void Raft::install_config(LogIndex index, GroupConfig config) {
  configs_.emplace_back(index, std::move(config));
  ++peers_version_;
}

void Raft::truncate_after(LogIndex index) {
  log_.truncate_after(index);
  while (!configs_.empty() && configs_.back().first > log_.last()) {
    configs_.pop_back();
    ++peers_version_;
  }
}

// Does the committed configuration, at the sender's generation or later, lack it?
bool Raft::is_stranger(const Seat& from) const {
  if (from.generation > commit_ || config().contains(from)) return false;
  if (leading_ != nullptr && leading_->peers.contains(from)) return false;
  return !config_at(commit_).contains(from);
}

void Raft::become_follower(Turn& turn, Term term) {
  ASSERT(term >= term_);
  if (term > term_) {
    term_ = term;
    vote_ = NodeId{};
    write_vote(turn);
  }
  stop_leading(turn);
  role_ = Role::kFollower;
  set_leader({});
  votes_.clear();
  campaign_until_ = doubt_until_ = Instant::never();
  seek_leader(turn);
}

// Who leads may have been made a voter by an entry that has not come here yet: its death must be
// noticed all the same, or this replica would keep its peers from electing another for ever (Q7).
void Raft::set_leader(const Seat& leader) {
  const auto is_watched = [&](const NodeId& node) {
    return node.is_none() || config().generation_of(node) != 0;
  };
  const bool is_change = leader.node != leader_;
  if (is_change && (!is_watched(leader_) || !is_watched(leader.node))) ++peers_version_;
  leader_ = leader.node;
  leader_generation_ = leader.generation;
}

void Raft::apply(Turn& turn) {
  const LogIndex ready = std::min(commit_, log_.durable());
  if (restore_) {
    if (ready < restore_->index) return;
    turn.events.emplace_back(RestoreState{group_, restore_->index, std::move(restore_->state)});
    applied_ = restore_->index;
    restore_.reset();
  }
  while (applied_ < ready) {
    const Entry& entry = log_.at(++applied_);
    if (entry.kind != EntryKind::kPayload) continue;
    turn.events.emplace_back(Committed{group_, applied_, entry.term, entry.payload});
  }
  if (leading_ != nullptr) {
    announce(turn);
    answer_reads(turn);
  }
  // Gone when a configuration that came after this replica does without it.
  for (auto at = configs_.rbegin(); at != configs_.rend(); ++at) {
    if (at->first > commit_) continue;
    removed_ = at->first >= self_.generation && !at->second.contains(self_);
    break;
  }
}

AppliedState Raft::applied() const {
  if (restore_) return restore_->before;
  return AppliedState{applied_, *log_.term_at(applied_), self_.generation, config_at(applied_)};
}

void Raft::add_peers(std::set<NodeId>& to) const {
  for (const Seat& seat : config().seats()) to.insert(seat.node);
  if (!leader_.is_none()) to.insert(leader_);
  if (leading_ == nullptr) return;
  for (const auto& [seat, progress] : leading_->peers) to.insert(seat.node);
}

void Raft::accept(Turn& turn, const Seat& from, Removed& message) {
  if (message.committed < self_.generation) return;
  stop_leading(turn);
  removed_ = true;
  send(turn, from, Gone{}, true);
}

void Raft::accept(Turn&, const Seat& from, Gone&) {
  if (leading_ == nullptr) return;
  const auto found = leading_->peers.find(from);
  if (found == leading_->peers.end()) return;
  if (!found->second.departing) {
    // A leader that was deposed meanwhile gave its node a later seat. The mover gives it another;
    // until then there is nobody to talk to.
    found->second.gone = true;
    found->second.resend_at = Instant::never();
    return;
  }
  leading_->peers.erase(found);
  ++peers_version_;
}

// ---- memory -------------------------------------------------------------------------------------

void Raft::compact(LogIndex checkpointed) {
  checkpointed_ = std::max(checkpointed_, std::min(checkpointed, applied_));
  // Replicas a little behind are served from memory rather than by a snapshot.
  LogIndex keep_from = checkpointed_;
  if (leading_ != nullptr) {
    for (const auto& [seat, progress] : leading_->peers) {
      keep_from = std::min(keep_from, progress.match);
    }
    if (leading_->snapshot) keep_from = std::min(keep_from, leading_->snapshot->index);
  }
  const LogIndex behind = checkpointed_ > kKeptEntries ? checkpointed_ - kKeptEntries : 0;
  keep_from = std::min(keep_from, behind);
  std::size_t bytes = 0;
  LogIndex from = checkpointed_;
  while (from > std::max(keep_from, log_.base())) {
    bytes += log_.at(from).payload.size();
    if (bytes > kKeptBytes) break;
    --from;
  }
  if (from <= log_.base()) return;
  log_.forget_through(from);
  while (configs_.size() > 1 && configs_[1].first <= from) configs_.erase(configs_.begin());
}

std::size_t Raft::rewrite(Turn& turn) {
  std::size_t bytes = 0;
  for (LogIndex i = std::max(checkpointed_, log_.base()) + 1; i <= log_.last(); ++i) {
    const EntryRecord record{group_, self_.generation, i, log_.at(i)};
    turn.out.append(Module::kGroups, encode(GroupRecord{record}));
    log_.rewritten(i, turn.out.row);
    bytes += record.entry.payload.size();
    turn.wrote = true;
  }
  return bytes;
}

}  // namespace dunlin
