// What comes in and what goes out: envelopes, generations, and what nodes say to each other beside
// what replicas do.
#include <algorithm>

#include "base/assert.h"
#include "dht/groups_parts.h"

namespace dunlin {

namespace {

std::size_t rough_size(const GroupMessage& message) {
  std::size_t size = 96;
  if (const auto* append = std::get_if<Append>(&message.body)) {
    for (const Entry& entry : append->entries) size += entry.payload.size() + 24;
  } else if (const auto* chunk = std::get_if<SnapshotChunk>(&message.body)) {
    size += chunk->data.size() + 64 * chunk->config.seats().size();
  }
  return size;
}

Bytes frame_of(const Envelope& envelope) {
  Bytes frame{static_cast<std::uint8_t>(Module::kGroups)};
  Encoder out(frame);
  put(out, envelope);
  return frame;
}

}  // namespace

// ---- out ----------------------------------------------------------------------------------------

void Groups::Parts::flush(Turn& turn) {
  std::map<std::pair<NodeId, bool>, Envelope> open;
  const auto empty = [&] { return Envelope{boot, durable_row, {}, {}}; };
  std::map<std::pair<NodeId, bool>, std::size_t> sizes;
  const auto close = [&](const std::pair<NodeId, bool>& to, const Envelope& envelope) {
    Bytes frame = frame_of(envelope);
    ASSERT(frame.size() <= kMaxFrame);
    if (to.second) {
      turn.out.send_when_durable(to.first, Channel::kStream, std::move(frame));
    } else {
      turn.out.send(to.first, Channel::kStream, std::move(frame));
    }
  };
  for (Turn::Note& note : turn.notes) {
    const auto [at, is_new] = open.try_emplace({note.to, false}, empty());
    at->second.notes.push_back(std::move(note.message));
  }
  for (Turn::Outgoing& outgoing : turn.messages) {
    const std::pair to{outgoing.to, outgoing.when_durable};
    const std::size_t size = rough_size(outgoing.message);
    const auto [at, is_new] = open.try_emplace(to, empty());
    if (sizes[to] + size > kMaxEnvelope && !at->second.messages.empty()) {
      close(to, at->second);
      at->second = empty();
      sizes[to] = 0;
    }
    sizes[to] += size;
    at->second.messages.push_back(std::move(outgoing.message));
  }
  for (const auto& [to, envelope] : open) close(to, envelope);
  turn.notes.clear();
  turn.messages.clear();
}

// ---- in -----------------------------------------------------------------------------------------

void Groups::Parts::receive(Turn& turn, const NodeId& from, ByteView frame) {
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kGroups)) return;
  Result<Envelope> envelope = decode<Envelope>(frame.subspan(1));
  if (!envelope) return;
  if (envelope->boot < peers.boot(from)) {
    // From a life that is over. If it asks, it may be a restored copy that runs: let it know.
    const bool asks = std::any_of(
        envelope->notes.begin(), envelope->notes.end(),
        [](const NodeNote& note) { return std::holds_alternative<PromiseQuery>(note); });
    if (asks) turn.notes.push_back({from, promises_of(from, envelope->boot)});
    return;
  }
  hear(turn, from, envelope->boot, envelope->row);
  for (const NodeNote& note : envelope->notes) {
    std::visit([&](const auto& held) { accept(turn, from, envelope->boot, held); }, note);
    if (failed) return;
  }
  for (GroupMessage& message : envelope->messages) deliver(turn, from, std::move(message));
}

void Groups::Parts::deliver(Turn& turn, const NodeId& from, GroupMessage message) {
  const GroupId group = message.group;
  Raft* raft = replica_for(turn, from, message);
  if (raft == nullptr) return;
  if (check && !raft->is_verified()) check->is_wanted_by(turn.now, from);
  if (!turn.may_take_snapshot && std::holds_alternative<SnapshotChunk>(message.body)) {
    drop_stalled_snapshot(turn);
  }
  const bool denies = std::holds_alternative<Gone>(message.body);
  const Seat sender{from, message.from};
  raft->receive(turn, from, std::move(message));
  if (denies && raft->is_gone(sender)) mover.wake(turn.now);
  settle(turn, group);
}

// The replica that the message is for. A leader's entries or snapshot for a generation never seen
// here found one: only then was it given a seat. Its former self, if any, goes: by what the leader
// of its term or of a later one has, it was removed by a committed configuration, or was never
// given its seat by one, and has promised nothing that counts. A leader of an earlier term may
// not have heard of the present seat, though it counts: it is told that its term is over.
Raft* Groups::Parts::replica_for(Turn& turn, const NodeId& from, GroupMessage& message) {
  if (message.group.value >= replicas.size()) return nullptr;
  Raft* raft = find(message.group);
  if (message.to == kAnyGeneration) {
    if (raft == nullptr || !std::holds_alternative<Hello>(message.body)) return nullptr;
    message.to = raft->self().generation;
    return raft;
  }
  const Generation present =
      raft != nullptr ? raft->self().generation : retired[message.group.value];
  if (raft != nullptr && message.to == present) return raft;
  if (const auto* removed = std::get_if<Removed>(&message.body)) {
    if (removed->committed >= message.to) say_gone(turn, from, message);
    return nullptr;
  }
  const bool is_append = std::holds_alternative<Append>(message.body);
  const bool founds = is_append || std::holds_alternative<SnapshotChunk>(message.body);
  if (!founds) return nullptr;
  if (message.to <= present) {
    say_gone(turn, from, message);
    return nullptr;
  }
  if (raft != nullptr && message.term < raft->term()) {
    turn.messages.push_back({from, false,
                             GroupMessage{message.group, message.from, message.to, raft->term(),
                                          AppendReply{false, 0, 0, 0, 0}}});
    return nullptr;
  }
  if (raft != nullptr) retire(turn, message.group);
  auto founded = std::make_unique<Raft>(message.group, self, message.to, turn);
  // What was restarted may be a copy from before it had this seat, with promises it knows nothing
  // of.
  if (check && boot > 1 && !check->is_settled(*founded)) founded->distrust();
  replicas[message.group.value] = std::move(founded);
  ++replica_count;
  settle(turn, message.group);
  return find(message.group);
}

// The replica addressed is no more, or never was and must not come to be: an older message may
// still be under way. Otherwise the leader would tell it for ever that it was removed.
void Groups::Parts::say_gone(Turn& turn, const NodeId& to, const GroupMessage& message) {
  const GroupId group = message.group;
  const Raft* raft = find(group);
  const Generation present = raft != nullptr ? raft->self().generation : retired[group.value];
  if (message.to > present) {
    if (raft != nullptr) retire(turn, group);
    note_retired(turn, group, message.to);
  }
  turn.messages.push_back(
      {to, true, GroupMessage{group, message.from, message.to, message.term, Gone{}}});
}

PromiseReply Groups::Parts::promises_of(const NodeId& node, Boot to_boot) const {
  std::vector<GroupPromise> promises;
  for (const auto& replica : replicas) {
    if (replica != nullptr) promises.push_back(replica->promised_by(node));
  }
  const Peer* peer = peers.find(node);
  PromiseReply reply =
      PromiseCheck::answer(peer == nullptr ? Peer{} : *peer, to_boot, std::move(promises));
  for (std::size_t i = 0; i < retired.size(); ++i) {
    const GroupId group{static_cast<std::uint16_t>(i)};
    if (retired[i] > 0) reply.retired.push_back({group, retired[i]});
  }
  return reply;
}

void Groups::Parts::accept(Turn& turn, const NodeId& from, Boot of, const PromiseQuery&) {
  const bool is_answered =
      std::any_of(turn.notes.begin(), turn.notes.end(), [&](const Turn::Note& note) {
        return note.to == from && std::holds_alternative<PromiseReply>(note.message);
      });
  if (!is_answered) turn.notes.push_back({from, promises_of(from, of)});
}

void Groups::Parts::accept(Turn& turn, const NodeId& from, Boot, const PromiseReply& note) {
  std::optional<GroupsFatal> forgotten;
  if (check) forgotten = check->judge(turn.now, from, note);
  for (const GroupPromise& promise : note.groups) {
    if (forgotten || promise.group.value >= replicas.size()) break;
    const Raft* raft = find(promise.group);
    std::optional<std::string> what;
    if (raft != nullptr) {
      what = raft->contradicts(promise);
    } else if (promise.generation > retired[promise.group.value]) {
      what = "the replica of group " + std::to_string(promise.group.value);
    }
    if (!what) continue;
    forgotten = GroupsFatal{"node " + from.short_text() + " was promised " + *what +
                            " that this node has forgotten"};
  }
  if (forgotten) {
    fail(std::move(*forgotten));
    return;
  }
  verify_settled(turn);
}

void Groups::Parts::accept(Turn& turn, const NodeId& from, Boot, const ViewAsk& note) {
  peers.of(from).view = note.hash;
  turn.notes.push_back({from, ViewReply{mover.view_hash()}});
  mover.wake(turn.now);
}

void Groups::Parts::accept(Turn& turn, const NodeId& from, Boot, const ViewReply& note) {
  peers.of(from).view = note.hash;
  mover.wake(turn.now);
}

void Groups::Parts::accept(Turn& turn, const NodeId& from, Boot, const Leaving&) {
  mover.set_leaving(turn.now, from, true);
}

}  // namespace dunlin
