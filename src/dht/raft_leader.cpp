// What a leader does: appends, replicates, counts, answers reads, hands over.
#include <algorithm>

#include "base/assert.h"
#include "dht/groups.h"
#include "dht/raft.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxAppendBytes = 256 * 1024;  // and at least one entry
constexpr std::size_t kMaxAppendEntries = 512;
// A node that nobody suspects and that answers none of so many is known to nobody any more. Should
// it speak after all, it is told then.
constexpr std::uint32_t kMostFarewells = 16;

}  // namespace

void Raft::become_leader(Turn& turn) {
  ASSERT(role_ == Role::kCandidate);
  role_ = Role::kLeader;
  set_leader(self_);
  votes_.clear();
  campaigns_ = 0;
  campaign_until_ = Instant::never();
  leading_ = std::make_unique<Leading>();
  track_seats(turn);
  // Those that the last change dropped may not know it yet.
  if (configs_.size() > 1) {
    for (const Seat& seat : configs_[configs_.size() - 2].second.seats()) {
      if (seat != self_ && !config().contains(seat)) track(turn, seat).departing = true;
    }
  }
  leading_->first_index = append_own(turn, EntryKind::kNoop, {});
  check_quorum(turn);
}

Progress& Raft::track(Turn& turn, const Seat& seat) {
  const auto [at, is_new] = leading_->peers.try_emplace(seat);
  if (is_new) {
    ++peers_version_;
    at->second.next = log_.last() + 1;
    at->second.backoff = turn.config.resend;
  }
  return at->second;
}

// Follows the installed configuration: new seats are probed, dropped ones stay until they know.
void Raft::track_seats(Turn& turn) {
  for (auto& [seat, progress] : leading_->peers) {
    const bool departs = !config().contains(seat);
    if (departs && !progress.departing) progress.awaiting = false;
    progress.departing = departs;
  }
  for (const Seat& seat : config().seats()) {
    if (seat != self_) track(turn, seat);
  }
  if (leading_->transfer && !config().is_voter(leading_->transfer->to)) leading_->transfer.reset();
  leading_->send_at = turn.now;
}

void Raft::forget_departing(const std::set<NodeId>& gone) {
  if (leading_ == nullptr || !is_config_committed()) return;
  const std::size_t forgotten = std::erase_if(leading_->peers, [&](const auto& peer) {
    return peer.second.departing && gone.contains(peer.first.node);
  });
  if (forgotten != 0) ++peers_version_;
}

LogIndex Raft::append_own(Turn& turn, EntryKind kind, Bytes payload) {
  Entry entry{term_, kind, std::move(payload)};
  const LogIndex index = log_.last() + 1;
  if (kind == EntryKind::kConfig) {
    install_config(index, *decode<GroupConfig>(entry.payload));
  }
  turn.out.append(Module::kGroups,
                  encode(GroupRecord{EntryRecord{group_, self_.generation, index, entry}}));
  turn.wrote = true;
  log_.append(std::move(entry), turn.out.row);
  if (leading_ != nullptr) leading_->send_at = turn.now;
  return index;
}

Result<LogIndex> Raft::propose(Turn& turn, Bytes payload) {
  if (!is_established()) return fail(Code::kUnreachable, "this node does not lead the group");
  if (leading_->transfer) {
    return fail(Code::kUnreachable, "the group is being handed to another node");
  }
  if (payload.size() > Groups::kMaxPayload) {
    return fail(Code::kLimit,
                "an entry may have " + std::to_string(Groups::kMaxPayload) + " bytes at most");
  }
  if (log_.last() - commit_ >= Groups::kMaxBacklogEntries ||
      backlog_bytes_ + payload.size() > Groups::kMaxBacklogBytes) {
    return fail(Code::kLimit, "the group has too much uncommitted work");
  }
  backlog_bytes_ += payload.size();
  return append_own(turn, EntryKind::kPayload, std::move(payload));
}

void Raft::change_config(Turn& turn, const GroupConfig& next) {
  ASSERT(is_established() && is_config_committed() && next.is_valid() && next.contains(self_));
  if (config().is_joint()) {
    ASSERT(next.voters == config().voters && next.outgoing.empty());
  } else {
    ASSERT(next.is_joint() ? next.outgoing == config().voters : next.voters == config().voters);
  }
  append_own(turn, EntryKind::kConfig, encode(next));
  track_seats(turn);
  check_quorum(turn);
}

bool Raft::has_caught_up(const Seat& seat) const {
  if (seat == self_) return true;
  if (leading_ == nullptr) return false;
  const auto found = leading_->peers.find(seat);
  return found != leading_->peers.end() && found->second.match >= commit_ &&
         found->second.state == Progress::State::kReplicate;
}

bool Raft::is_gone(const Seat& seat) const {
  if (leading_ == nullptr) return false;
  const auto found = leading_->peers.find(seat);
  return found != leading_->peers.end() && found->second.gone;
}

// ---- commit -------------------------------------------------------------------------------------

void Raft::advance_commit(Turn& turn) {
  const LogIndex agreed = config().quorum_value([&](const Seat& seat) -> LogIndex {
    if (seat == self_) return log_.durable();
    const auto found = leading_->peers.find(seat);
    return found == leading_->peers.end() ? 0 : found->second.match;
  });
  // Only entries of its own term are committed by counting; figure 3.7 of the book.
  if (agreed <= commit_ || log_.term_at(agreed) != term_) return;
  for (LogIndex i = commit_ + 1; i <= agreed; ++i) {
    if (log_.at(i).kind == EntryKind::kPayload) {
      backlog_bytes_ -= std::min(backlog_bytes_, log_.at(i).payload.size());
    }
  }
  // Those it drops are told now, or forgotten.
  if (configs_.back().first > commit_ && configs_.back().first <= agreed) {
    leading_->send_at = turn.now;
    ++peers_version_;
  }
  commit_ = agreed;
  leading_->notice_due = false;
  leading_->notice_at = std::min(leading_->notice_at, turn.now + turn.config.commit_notice);
  apply(turn);
}

void Raft::announce(Turn& turn) {
  if (leading_->announced || applied_ < leading_->first_index) return;
  leading_->announced = true;
  turn.events.emplace_back(LeadershipGained{group_, term_});
  turn.events.emplace_back(RouteLearnt{group_, term_, self_.node, turn.boot});
}

void Raft::check_quorum(Turn& turn) {
  if (is_quorum_up(turn)) {
    leading_->quorum_lost_until = Instant::never();
  } else if (leading_->quorum_lost_until == Instant::never()) {
    leading_->quorum_lost_until = turn.now + turn.config.quorum_grace;
  }
}

void Raft::stop_leading(Turn& turn) {
  if (leading_ == nullptr) return;
  const std::unique_ptr<Leading> was = std::move(leading_);
  ++peers_version_;
  backlog_bytes_ = 0;
  for (const Leading::Read& read : was->reads) {
    turn.events.emplace_back(ReadReady{group_, read.token, false});
  }
  if (was->announced) turn.events.emplace_back(LeadershipLost{group_, term_});
}

// ---- replication --------------------------------------------------------------------------------

void Raft::replicate(Turn& turn, const Seat& to, Progress& progress) {
  if (turn.peers.is_suspected(to.node)) {
    // Recovery or a sign of life starts it again.
    progress.resend_at = Instant::never();
    return;
  }
  if (progress.departing) {
    // Its entries are nobody's business any more; that it was removed is, once that is certain.
    if (!is_config_committed() || progress.awaiting) return;
    if (progress.farewells == kMostFarewells) return;
    ++progress.farewells;
    progress.awaiting = true;
    progress.resend_at = turn.now + progress.backoff;
    send(turn, to, Removed{commit_});
    return;
  }
  if (progress.gone) return;
  if (progress.state != Progress::State::kSnapshot && progress.next - 1 < log_.base()) {
    progress.state = Progress::State::kSnapshot;
    progress.awaiting = false;
    progress.in_flight.clear();
    progress.snapshot_offset = 0;
  }
  switch (progress.state) {
    case Progress::State::kSnapshot:
      if (!progress.awaiting) send_chunk(turn, to, progress);
      break;
    case Progress::State::kProbe:
      if (!progress.awaiting) send_append(turn, to, progress);
      break;
    case Progress::State::kReplicate:
      while (progress.next <= log_.last() && progress.in_flight.size() < Progress::kMaxInFlight) {
        send_append(turn, to, progress);
      }
      if (progress.commit_sent < commit_ && progress.in_flight.empty() && leading_->notice_due) {
        send_append(turn, to, progress);
      }
      break;
  }
}

void Raft::send_append(Turn& turn, const Seat& to, Progress& progress) {
  Append message;
  message.previous = progress.next - 1;
  message.previous_term = *log_.term_at(message.previous);
  message.commit = commit_;
  if (progress.state == Progress::State::kProbe) {
    progress.awaiting = true;
  }
  if (progress.in_flight.size() < Progress::kMaxInFlight) {
    message.entries = log_.slice(progress.next, kMaxAppendBytes, kMaxAppendEntries);
  }
  if (progress.state == Progress::State::kReplicate && !message.entries.empty()) {
    progress.next += message.entries.size();
    progress.in_flight.push_back(progress.next - 1);
  }
  progress.commit_sent = commit_;
  if (progress.resend_at == Instant::never()) progress.resend_at = turn.now + progress.backoff;
  send(turn, to, std::move(message));
}

// All that it holds is known to be there, and it knows what is committed.
bool Raft::is_level(const Progress& progress) const {
  return progress.match == log_.last() && progress.commit == commit_;
}

// The peer may be hearing again what it missed.
void Raft::restart_progress(Turn& turn, const Seat& to, Progress& progress) {
  progress.backoff = turn.config.resend;
  progress.farewells = 0;
  resend(turn, to, progress);
}

void Raft::resend(Turn& turn, const Seat& to, Progress& progress) {
  progress.resend_at = Instant::never();
  progress.in_flight.clear();
  progress.awaiting = false;
  if (progress.state != Progress::State::kSnapshot) {
    progress.state = Progress::State::kProbe;
    if (progress.match > 0) progress.next = progress.match + 1;
  }
  replicate(turn, to, progress);
}

void Raft::accept(Turn& turn, const Seat& from, AppendReply& message) {
  if (leading_ == nullptr) return;
  const auto found = leading_->peers.find(from);
  if (found == leading_->peers.end()) return;
  Progress& progress = found->second;
  if (!message.ok) {
    refused(turn, from, progress, message);
    return;
  }
  if (message.index > log_.last()) return;
  Heard& heard = heard_of(from);
  heard.acknowledged_in = term_;
  heard.acknowledged = std::max(progress.match, message.index);
  progress.match = heard.acknowledged;
  progress.next = std::max(progress.next, progress.match + 1);
  progress.commit = std::max(progress.commit, std::min(message.commit, commit_));
  while (!progress.in_flight.empty() && progress.in_flight.front() <= progress.match) {
    progress.in_flight.pop_front();
  }
  if (progress.state == Progress::State::kProbe ||
      (progress.state == Progress::State::kSnapshot && progress.match >= log_.base())) {
    progress.state = Progress::State::kReplicate;
    progress.next = progress.match + 1;
    progress.awaiting = false;
    drop_snapshot_if_idle();
  }
  progress.backoff = turn.config.resend;
  advance_commit(turn);
  progress.resend_at = is_level(progress) ? Instant::never() : turn.now + progress.backoff;
  replicate(turn, from, progress);
  tick_transfer(turn);
}

void Raft::refused(Turn& turn, const Seat& from, Progress& progress, const AppendReply& reply) {
  if (progress.state == Progress::State::kSnapshot) return;
  const bool is_probe = progress.state == Progress::State::kProbe;
  // Answers may come late and out of order: only one to the probe under way, or to something
  // beyond what is known to match, says anything.
  if (is_probe ? reply.index != progress.next - 1 : reply.index <= progress.match) return;
  if (reply.index <= progress.match) {
    // It denies what it acknowledged: remind it, and let it judge whether it forgot.
    turn.reminders.push_back(from.node);
    return;
  }
  // At most one probe per term in our log; see etcd raft's stepLeader for the reasoning.
  const LogIndex hint = std::min(reply.hint, reply.index - 1);
  const LogIndex guess =
      hint < log_.base() ? hint : log_.last_with_term_up_to(hint, reply.hint_term);
  progress.state = Progress::State::kProbe;
  progress.in_flight.clear();
  progress.awaiting = false;
  progress.next = std::max(progress.match, guess) + 1;
  progress.resend_at = Instant::never();
  replicate(turn, from, progress);
}

void Raft::tick_leader(Turn& turn) {
  if (leading_->quorum_lost_until <= turn.now) {
    // Those whom it does not hear may hear it still, and trust it.
    for (const Seat& seat : config().all_voters()) {
      if (seat != self_) send(turn, seat, NotLeading{});
    }
    become_follower(turn, term_);
    return;
  }
  if (leading_->reads_gathered || leading_->read_resend_at <= turn.now) send_read_probes(turn);
  leading_->send_at = Instant::never();
  if (leading_->notice_at <= turn.now) {
    leading_->notice_at = Instant::never();
    leading_->notice_due = true;
  }
  for (auto& [seat, progress] : leading_->peers) {
    if (progress.resend_at <= turn.now) {
      progress.backoff = std::min(progress.backoff * 2, turn.config.resend_most);
      resend(turn, seat, progress);
    } else {
      replicate(turn, seat, progress);
    }
  }
  tick_transfer(turn);
}

// ---- reads: section 6.4 of the book -------------------------------------------------------------

void Raft::read(Turn& turn, std::uint64_t token) {
  if (!is_established() || leading_->reads.size() >= Groups::kMaxReads) {
    turn.events.emplace_back(ReadReady{group_, token, false});
    return;
  }
  leading_->reads.push_back({token, leading_->read_sequence + 1, commit_});
  leading_->reads_gathered = true;
  leading_->send_at = turn.now;
}

void Raft::send_read_probes(Turn& turn) {
  leading_->reads_gathered = false;
  leading_->read_resend_at = turn.now + turn.config.resend;
  ++leading_->read_sequence;
  for (const Seat& seat : config().all_voters()) {
    if (seat == self_ || turn.peers.is_suspected(seat.node)) continue;
    send(turn, seat, ReadProbe{leading_->read_sequence});
  }
  answer_reads(turn);
}

void Raft::answer_reads(Turn& turn) {
  if (leading_->reads.empty()) return;
  const std::uint64_t confirmed = config().quorum_value([&](const Seat& seat) -> std::uint64_t {
    if (seat == self_) return leading_->read_sequence;
    const auto found = leading_->peers.find(seat);
    return found == leading_->peers.end() ? 0 : found->second.read_sequence;
  });
  while (!leading_->reads.empty()) {
    const Leading::Read& read = leading_->reads.front();
    if (read.sequence > confirmed || read.index > applied_) break;
    turn.events.emplace_back(ReadReady{group_, read.token, true});
    leading_->reads.pop_front();
  }
  if (leading_->reads.empty() || leading_->reads.back().sequence <= confirmed) {
    leading_->read_resend_at = Instant::never();
  }
}

void Raft::accept(Turn& turn, const Seat& from, ReadReply& message) {
  if (leading_ == nullptr) return;
  const auto found = leading_->peers.find(from);
  if (found == leading_->peers.end() || message.sequence > leading_->read_sequence) return;
  found->second.read_sequence = std::max(found->second.read_sequence, message.sequence);
  answer_reads(turn);
}

// ---- handing over: section 3.10 of the book -----------------------------------------------------

void Raft::transfer(Turn& turn, const NodeId& to) {
  const Seat seat{to, config().generation_of(to)};
  if (leading_ == nullptr || leading_->transfer || seat == self_ || !config().is_voter(seat)) {
    return;
  }
  leading_->transfer = Leading::Transfer{seat, turn.now + turn.config.transfer_timeout, false};
  tick_transfer(turn);
}

void Raft::tick_transfer(Turn& turn) {
  if (leading_ == nullptr || !leading_->transfer) return;
  Leading::Transfer& transfer = *leading_->transfer;
  if (transfer.until <= turn.now) {
    leading_->transfer.reset();
    return;
  }
  const auto found = leading_->peers.find(transfer.to);
  if (transfer.asked || found == leading_->peers.end()) return;
  if (found->second.match != log_.last()) return;
  send(turn, transfer.to, TransferNow{});
  transfer.asked = true;
}

}  // namespace dunlin
