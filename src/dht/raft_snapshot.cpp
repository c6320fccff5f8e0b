// Bringing up a replica that needs entries which are gone: the state machine's snapshot, in
// pieces, resumed where the receiver stands.
#include <algorithm>

#include "base/assert.h"
#include "base/crypto.h"
#include "dht/groups.h"
#include "dht/raft.h"

namespace dunlin {

namespace {

constexpr std::size_t kChunk = 512 * 1024;

}  // namespace

// ---- sending ------------------------------------------------------------------------------------

void Raft::send_chunk(Turn& turn, const Seat& to, Progress& progress) {
  if (leading_->snapshot && leading_->snapshot->index < log_.base()) leading_->snapshot.reset();
  if (!leading_->snapshot) {
    progress.resend_at = turn.now + progress.backoff;
    if (leading_->snapshot_token != 0 || !turn.may_send_snapshot) return;
    leading_->snapshot_token = turn.random.next() | 1;
    turn.events.emplace_back(SnapshotWanted{group_, leading_->snapshot_token});
    return;
  }
  const GroupSnapshot& snapshot = *leading_->snapshot;
  const std::size_t offset = std::min<std::size_t>(progress.snapshot_offset, snapshot.state.size());
  const std::size_t size = std::min(kChunk, snapshot.state.size() - offset);
  SnapshotChunk chunk{snapshot.index,
                      snapshot.term,
                      snapshot.config,
                      snapshot.checksum,
                      snapshot.state.size(),
                      offset,
                      {}};
  chunk.data = to_bytes(ByteView(snapshot.state).subspan(offset, size));
  progress.awaiting = true;
  progress.resend_at = turn.now + progress.backoff;
  send(turn, to, std::move(chunk));
}

void Raft::provide_snapshot(Turn& turn, std::uint64_t token, LogIndex index, Bytes state) {
  if (leading_ == nullptr || leading_->snapshot_token != token || token == 0) return;
  leading_->snapshot_token = 0;
  if (index > applied_ || index < log_.base() || state.size() > Groups::kMaxSnapshot) return;
  leading_->snapshot = GroupSnapshot{index, *log_.term_at(index), config_at(index),
                                     blake2b_64(state), std::move(state)};
  for (auto& [seat, progress] : leading_->peers) {
    if (progress.state != Progress::State::kSnapshot) continue;
    progress.awaiting = false;
    progress.snapshot_offset = 0;
    replicate(turn, seat, progress);
  }
}

void Raft::accept(Turn& turn, const Seat& from, SnapshotReply& message) {
  if (leading_ == nullptr || !leading_->snapshot) return;
  const auto found = leading_->peers.find(from);
  if (found == leading_->peers.end()) return;
  Progress& progress = found->second;
  const GroupSnapshot& snapshot = *leading_->snapshot;
  if (progress.state != Progress::State::kSnapshot || message.index != snapshot.index ||
      message.checksum != snapshot.checksum || message.received > snapshot.state.size()) {
    return;
  }
  progress.backoff = turn.config.resend;
  progress.snapshot_offset = message.received;
  progress.awaiting = false;
  // All of it is there: the acknowledgement follows when it is durable.
  if (message.received == snapshot.state.size()) {
    progress.awaiting = true;
    progress.resend_at = turn.now + progress.backoff;
    return;
  }
  replicate(turn, from, progress);
}

void Raft::drop_snapshot_if_idle() {
  const bool is_used =
      std::any_of(leading_->peers.begin(), leading_->peers.end(),
                  [](const auto& peer) { return peer.second.state == Progress::State::kSnapshot; });
  if (!is_used) leading_->snapshot.reset();
}

// ---- receiving ----------------------------------------------------------------------------------

void Raft::accept(Turn& turn, const Seat& from, SnapshotChunk& message) {
  const std::size_t end = message.offset + message.data.size();
  if (role_ == Role::kLeader || message.total > Groups::kMaxSnapshot || message.term > term_ ||
      message.offset > message.total || end > message.total || !message.config.is_valid()) {
    return;
  }
  note_leader(turn, from);
  if (message.index <= commit_) {
    // Not needed (any more): the leader goes on from here. What is committed equals its log.
    incoming_.reset();
    acknowledge(turn, from, commit_, commit_);
    return;
  }
  const bool goes_on = incoming_ != nullptr && incoming_->total == message.total &&
                       incoming_->snapshot.index == message.index &&
                       incoming_->snapshot.checksum == message.checksum;
  if (!goes_on) {
    if (incoming_ == nullptr && !turn.may_take_snapshot) return;  // it will be sent again
    incoming_ = std::make_unique<Incoming>();
    incoming_->total = message.total;
    incoming_->snapshot =
        GroupSnapshot{message.index, message.term, std::move(message.config), message.checksum, {}};
  }
  Bytes& state = incoming_->snapshot.state;
  if (message.offset == state.size()) append(state, message.data);
  if (state.size() == incoming_->total && blake2b_64(state) != message.checksum) state.clear();
  send(turn, from, SnapshotReply{message.index, message.checksum, state.size()});
  if (state.size() == incoming_->total && blake2b_64(state) == message.checksum) {
    install(turn, from);
  }
}

void Raft::install(Turn& turn, const Seat& from) {
  GroupSnapshot snapshot = std::move(incoming_->snapshot);
  incoming_.reset();
  if (log_.term_at(snapshot.index) == snapshot.term) {
    // The log has that entry already: only the news that it is committed was missing.
    commit_ = snapshot.index;
    acknowledge(turn, from, snapshot.index, commit_);
    apply(turn);
    return;
  }
  AppliedState before = applied();
  truncate_after(log_.base());
  SnapshotRecord record{group_,        self_.generation, snapshot.index,
                        snapshot.term, snapshot.config,  std::move(snapshot.state)};
  turn.out.append(Module::kGroups, encode(GroupRecord{record}));
  turn.wrote = true;
  log_.reset(snapshot.index, snapshot.term, turn.out.row);
  configs_.clear();
  install_config(snapshot.index, std::move(snapshot.config));
  commit_ = snapshot.index;
  restore_ = Restore{snapshot.index, std::move(record.state), std::move(before)};
  acknowledge(turn, from, snapshot.index, commit_);
}

}  // namespace dunlin
