#include "sim/checkers/promises.h"

#include <algorithm>

#include "base/codec.h"
#include "dht/groups_events.h"
#include "dht/messages.h"
#include "dht/records.h"
#include "gossip/messages.h"

namespace dunlin::sim {

namespace {

std::string name_of(GroupId group) {
  return "group " + std::to_string(group.value);
}

}  // namespace

void PromiseChecker::promise(Instant at, const NodeId& node, std::uint64_t life, const Seat& seat,
                             const std::string& what) {
  const auto forgetful = forgetful_.find(life);
  if (forgetful == forgetful_.end() || !forgetful->second.contains(seat)) return;
  verdict_.fail(at, "Q8",
                node.short_text() + " " + what + " in " + name_of(seat.first) +
                    " though it had forgotten what it promised there");
}

void PromiseChecker::on_send(Instant at, const NodeId& node, std::uint64_t life, const NodeId& to,
                             ByteView frame) {
  if (gossip::is_heartbeat(frame)) return tells(node, frame);
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kGroups)) return;
  const Result<Envelope> envelope = decode<Envelope>(frame.subspan(1));
  if (!envelope) return verdict_.fail(at, "Q2", "a frame of the groups that cannot be read");
  told_[node] = std::max(told_[node], envelope->row);
  for (const GroupMessage& message : envelope->messages) {
    if (const auto* vote = std::get_if<VoteReply>(&message.body)) {
      if (vote->granted && !vote->pre) voted(at, node, life, message, to);
    } else if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
      if (!request->pre) voted(at, node, life, message, node);
    } else if (const auto* reply = std::get_if<AppendReply>(&message.body)) {
      if (!reply->ok) continue;
      Promised& promised = promised_[node][{message.group, message.from}];
      LogPlace& place = promised.acknowledged;
      if (message.term < place.term) continue;
      if (message.term == place.term && reply->index <= place.index) continue;
      promise(at, node, life, {message.group, message.from}, "acknowledged entries");
      place = {message.term, reply->index};
    }
  }
}

void PromiseChecker::tells(const NodeId& node, ByteView frame) {
  const Result<gossip::Message> message = gossip::decode_frame(frame);
  const auto* beat = message ? std::get_if<gossip::Heartbeat>(&*message) : nullptr;
  if (beat != nullptr) told_[node] = std::max(told_[node], beat->durable);
}

// Who stands for election has voted for itself.
void PromiseChecker::voted(Instant at, const NodeId& node, std::uint64_t life,
                           const GroupMessage& message, const NodeId& candidate) {
  promise(at, node, life, {message.group, message.from}, "voted");
  Promised& promised = promised_[node][{message.group, message.from}];
  const auto [held, is_new] = promised.votes.try_emplace(message.term, candidate);
  if (is_new || held->second == candidate) return;
  verdict_.fail(at, "Q3",
                node.short_text() + " voted twice in term " + std::to_string(message.term) +
                    " of " + name_of(message.group));
}

// Empty: all is there.
std::string PromiseChecker::missing(GroupId group, const Promised& promised,
                                    const DiskReplica& disk, Generation generation) {
  // Generations before the present one are strangers: their promises bind nobody.
  if (disk.generation > generation || disk.removed) return {};
  if (!promised.votes.empty()) {
    const auto& [term, candidate] = *promised.votes.rbegin();
    if (disk.term < term) return "its vote in term " + std::to_string(term);
    if (disk.term == term && disk.vote != candidate) return "whom it voted for";
  }
  const LogPlace& last_promised = promised.acknowledged;
  if (last_promised.index == 0) return {};
  const LogPlace last = disk.generation == generation ? disk.last : LogPlace{};
  // A later leader may have replaced what an earlier one was told about.
  if (last.term > last_promised.term || last.index >= last_promised.index) return {};
  return "entry " + std::to_string(last_promised.index) + " of " + name_of(group) + " (has " +
         std::to_string(last.index) + ")";
}

std::map<PromiseChecker::Seat, std::string> PromiseChecker::forgotten(
    const NodeId& node, const Recovered& recovered) const {
  std::map<Seat, std::string> found;
  const auto promised = promised_.find(node);
  if (promised == promised_.end()) return found;
  const DiskReplicas disk = read_replicas(recovered);
  for (const auto& [seat, what] : promised->second) {
    const auto replica = disk.find(seat.first);
    std::string lost = missing(
        seat.first, what, replica == disk.end() ? DiskReplica{} : replica->second, seat.second);
    if (!lost.empty()) found.emplace(seat, std::move(lost));
  }
  return found;
}

// A start adds a row before anybody is asked.
bool PromiseChecker::is_outdated(const NodeId& node, const Recovered& recovered) const {
  const auto told = told_.find(node);
  return told != told_.end() && told->second > recovered.next_row;
}

bool PromiseChecker::would_forget(const NodeId& node, const Recovered& recovered) const {
  return is_outdated(node, recovered) || !forgotten(node, recovered).empty();
}

void PromiseChecker::on_start(Instant at, const NodeId& node, std::uint64_t life,
                              const Recovered& recovered, bool honest) {
  if (is_outdated(node, recovered)) {
    outdated_.insert(life);
    if (honest) verdict_.fail(at, "Q2", node.short_text() + " told of a row before it was durable");
  }
  for (const auto& [seat, lost] : forgotten(node, recovered)) {
    forgetful_[life].insert(seat);
    if (!honest) continue;
    verdict_.fail(at, "Q2", node.short_text() + " promised before it was durable: " + lost);
  }
}

}  // namespace dunlin::sim
