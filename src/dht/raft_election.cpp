// Looking for a leader: pre-votes, votes, and what a follower does when it doubts its leader.
#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "dht/raft.h"
#include "dht/ring.h"

namespace dunlin {

namespace {

// Every eighth campaign asks for votes although liveness calls no quorum alive: it may be wrong.
constexpr std::uint32_t kCampaignsPerBlindOne = 8;

// An order of the voters that differs from group to group, so that what a dead leader led is
// spread over all that are left.
std::uint64_t rank_key(GroupId group, const NodeId& node) {
  return std::rotl(Ring::position_of(node), group.value % 64) ^ (group.value * 0x9e3779b97f4aULL);
}

}  // namespace

bool Raft::trusts_leader(const Peers& peers) const {
  if (role_ == Role::kLeader) return true;
  return !leader_.is_none() && !peers.is_suspected(leader_) && peers.boot(leader_) <= leader_boot_;
}

// A leader with its quorum, or a follower content with its leader, lets nobody else disturb it;
// but a leader that asks for votes itself has plainly lost its place.
bool Raft::has_lease(const Turn& turn, const Seat& candidate) const {
  if (leading_ != nullptr) return leading_->quorum_lost_until == Instant::never();
  return role_ == Role::kFollower && candidate.node != leader_ && trusts_leader(turn.peers);
}

bool Raft::is_quorum_up(const Turn& turn) const {
  return config().has_quorum(
      [&](const Seat& seat) { return seat == self_ || !turn.peers.is_suspected(seat.node); });
}

Duration Raft::election_delay(Turn& turn) const {
  std::int64_t rank = 0;
  const std::uint64_t own = rank_key(group_, self_.node);
  for (const Seat& seat : config().all_voters()) {
    if (seat.node == self_.node || seat.node == leader_) continue;
    if (!turn.peers.is_suspected(seat.node) && rank_key(group_, seat.node) < own) ++rank;
  }
  return turn.config.election_stagger * rank +
         turn.random.between(Duration{}, turn.config.election_jitter);
}

// Grows with what was in vain: the network or a disk may be slower than thought.
Duration Raft::campaign_time(const Turn& turn) const {
  return turn.config.election_answer * (1 + std::min<std::int64_t>(campaigns_, 7));
}

void Raft::seek_leader(Turn& turn) {
  if (!verified_ || removed_ || !config().is_voter(self_)) return;
  election_at_ = std::min(election_at_, turn.now + election_delay(turn));
}

void Raft::doubt(Turn& turn) {
  if (role_ != Role::kFollower || leader_.is_none() || doubt_until_ != Instant::never()) return;
  if (!verified_) return;
  send(turn, Seat{leader_, leader_generation_}, Hello{});
  doubt_until_ = turn.now + turn.config.leader_answer;
}

void Raft::campaign(Turn& turn) {
  wants_campaign_ = false;
  if (role_ != Role::kFollower || trusts_leader(turn.peers) || removed_) return;
  if (!config().is_voter(self_)) return;
  const bool blind = ++campaigns_ % kCampaignsPerBlindOne == 0;
  if (turn.storage_stalled || (!is_quorum_up(turn) && !blind)) {
    end_campaign(turn);
    return;
  }
  role_ = Role::kPreCandidate;
  campaign_until_ = turn.now + campaign_time(turn);
  votes_ = {{self_, true}};
  for (const Seat& seat : config().all_voters()) {
    if (seat == self_) continue;
    send_in_term(turn, seat, term_ + 1, VoteRequest{true, false, log_.last(), log_.last_term()},
                 false);
  }
  tally(turn);
}

void Raft::stand(Turn& turn, bool transfer) {
  ++term_;
  vote_ = self_.node;
  write_vote(turn);
  role_ = Role::kCandidate;
  set_leader({});
  election_at_ = doubt_until_ = Instant::never();
  wants_campaign_ = false;
  campaign_until_ = turn.now + campaign_time(turn);
  votes_.clear();  // its own vote counts when it is durable
  for (const Seat& seat : config().all_voters()) {
    if (seat == self_) continue;
    // Not before the vote for itself, and all entries boasted of, are durable: a restarted
    // candidate must not collect votes given to a longer log.
    send(turn, seat, VoteRequest{false, transfer, log_.last(), log_.last_term()}, true);
  }
}

void Raft::tally(Turn& turn) {
  const auto granted = [&](const Seat& seat) {
    const auto vote = votes_.find(seat);
    return vote != votes_.end() && vote->second;
  };
  const auto open = [&](const Seat& seat) {
    const auto vote = votes_.find(seat);
    return vote == votes_.end() || vote->second;
  };
  if (config().has_quorum(granted)) {
    if (role_ == Role::kPreCandidate) {
      stand(turn, false);
    } else {
      become_leader(turn);
    }
  } else if (!config().has_quorum(open)) {
    end_campaign(turn);
  }
}

void Raft::end_campaign(Turn& turn) {
  role_ = Role::kFollower;
  votes_.clear();
  campaign_until_ = Instant::never();
  const std::uint32_t doublings = std::min<std::uint32_t>(campaigns_, 10);
  const Duration wait = std::min(turn.config.election_retry * (std::int64_t{1} << doublings) / 2,
                                 turn.config.election_retry_most);
  election_at_ = turn.now + turn.random.between(wait / 2, wait);
}

// ---- pre-votes: change nobody's term ------------------------------------------------------------

void Raft::answer_pre_vote(Turn& turn, const Seat& from, Term term, const VoteRequest& request) {
  // A leader that stands for a later term leads no more.
  if (role_ == Role::kFollower && from.node == leader_ && term > term_) lose_leader(turn);
  const bool up_to_date = is_up_to_date(request);
  const bool lease = has_lease(turn, from);
  if (term > term_ && up_to_date && !lease && !turn.storage_stalled) {
    // Stand back for it.
    if (election_at_ != Instant::never()) {
      election_at_ = std::max(election_at_, turn.now + turn.config.election_answer);
    }
    send_in_term(turn, from, term, VoteReply{true, true, {}}, false);
    return;
  }
  send(turn, from, VoteReply{true, false, lease ? leader_ : NodeId{}});
  if (!lease) return;
  if (leading_ != nullptr) {
    // It does not know that it is led.
    const auto found = leading_->peers.find(from);
    if (found != leading_->peers.end()) restart_progress(turn, from, found->second);
  } else {
    doubt(turn);
  }
}

void Raft::take_pre_vote(Turn& turn, const Seat& from, Term term, const VoteReply& reply) {
  if (reply.granted) {
    if (role_ != Role::kPreCandidate || term != term_ + 1) return;
    votes_[from] = true;
    tally(turn);
    return;
  }
  if (term > term_) {
    // Behind: stand again in a term that others can follow.
    become_follower(turn, term);
    follow_hint(turn, reply.leader);
    return;
  }
  if (role_ != Role::kPreCandidate) return;
  votes_[from] = false;
  tally(turn);
  follow_hint(turn, reply.leader);
}

// Somebody else trusts a leader that this replica does not know: introduce it.
void Raft::follow_hint(Turn& turn, const NodeId& leader) {
  const Generation generation = config().generation_of(leader);
  if (leader == self_.node || generation == 0 || turn.peers.is_suspected(leader)) return;
  send(turn, Seat{leader, generation}, Hello{});
}

// ---- votes --------------------------------------------------------------------------------------

bool Raft::is_up_to_date(const VoteRequest& request) const {
  return request.last_term > log_.last_term() ||
         (request.last_term == log_.last_term() && request.last >= log_.last());
}

// A replica that takes itself for a learner votes too: it may have been made a voter by an entry
// that it has not got yet, and its vote may be the one that is missing.
void Raft::accept(Turn& turn, const Seat& from, VoteRequest& message) {
  ASSERT(!message.pre);
  const bool free = vote_ == from.node || (vote_.is_none() && leader_.is_none());
  if (!free || role_ == Role::kLeader || !is_up_to_date(message) || turn.storage_stalled) {
    send(turn, from, VoteReply{false, false, {}});
    return;
  }
  if (vote_ != from.node || vote_row_ > turn.durable_row) {
    vote_ = from.node;
    write_vote(turn);
  }
  // Time for it to win before this replica stands itself.
  election_at_ = turn.now + turn.config.election_answer * 2 + election_delay(turn);
  wants_campaign_ = false;
  send(turn, from, VoteReply{false, true, {}}, true);
}

void Raft::accept(Turn& turn, const Seat& from, VoteReply& message) {
  if (message.granted) {
    Heard& heard = heard_of(from);
    heard.term = std::max(heard.term, term_);
  }
  if (role_ != Role::kCandidate) return;
  votes_[from] = message.granted;
  tally(turn);
}

void Raft::accept(Turn& turn, const Seat& from, TransferNow&) {
  if (role_ != Role::kFollower || from.node != leader_ || turn.storage_stalled) return;
  if (config().is_voter(self_)) stand(turn, true);
}

// ---- doubt --------------------------------------------------------------------------------------

void Raft::accept(Turn& turn, const Seat& from, Hello&) {
  answer_hello(turn, from);
}

void Raft::answer_hello(Turn& turn, const Seat& from) {
  if (leading_ == nullptr) {
    send(turn, from, NotLeading{trusts_leader(turn.peers) ? leader_ : NodeId{}});
    return;
  }
  const auto found = leading_->peers.find(from);
  if (found != leading_->peers.end()) restart_progress(turn, from, found->second);
}

void Raft::accept(Turn& turn, const Seat& from, NotLeading& message) {
  if (role_ != Role::kFollower || from.node != leader_) return;
  lose_leader(turn);
  follow_hint(turn, message.leader);
}

void Raft::lose_leader(Turn& turn) {
  set_leader({});
  doubt_until_ = Instant::never();
  seek_leader(turn);
}

}  // namespace dunlin
