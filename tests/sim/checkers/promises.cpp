#include "sim/checkers/promises.h"

#include "base/codec.h"
#include "dht/groups_events.h"
#include "dht/messages.h"
#include "dht/records.h"

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
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kGroups)) return;
  const Result<Envelope> envelope = decode<Envelope>(frame.subspan(1));
  if (!envelope) return verdict_.fail(at, "Q2", "a frame of the groups that cannot be read");
  for (const GroupMessage& message : envelope->messages) {
    if (const auto* vote = std::get_if<VoteReply>(&message.body)) {
      if (!vote->granted || vote->pre) continue;
      promise(at, node, life, {message.group, message.from}, "voted");
      Promised& promised = promised_[node][{message.group, message.from}];
      const auto [held, is_new] = promised.votes.try_emplace(message.term, to);
      if (is_new || held->second == to) continue;
      verdict_.fail(at, "Q3",
                    node.short_text() + " voted twice in term " + std::to_string(message.term) +
                        " of " + name_of(message.group));
    } else if (const auto* reply = std::get_if<AppendReply>(&message.body)) {
      if (!reply->ok) continue;
      Promised& promised = promised_[node][{message.group, message.from}];
      Place& place = promised.acknowledged;
      if (message.term < place.term) continue;
      if (message.term == place.term && reply->index <= place.index) continue;
      promise(at, node, life, {message.group, message.from}, "acknowledged entries");
      place = {message.term, reply->index};
    }
  }
}

// What the disk shows of each group: term, vote, and the last entry of each generation.
std::map<GroupId, PromiseChecker::OnDisk> PromiseChecker::read(const Recovered& recovered) {
  std::map<GroupId, OnDisk> groups;
  for (const auto& [key, value] : recovered.facts) {
    if (!key.starts_with(kVotePrefix)) continue;
    const GroupId group{static_cast<std::uint16_t>(std::stoul(key.substr(kVotePrefix.size())))};
    const Result<VoteFact> fact = decode<VoteFact>(value);
    if (!fact) continue;
    groups[group].term = fact->term;
    groups[group].vote = fact->vote;
    groups[group].generation = fact->generation;
    groups[group].removed = fact->removed;
  }
  for (const Recovered::Record& record : recovered.records) {
    if (record.module != Module::kGroups) continue;
    const Result<GroupRecord> what = decode<GroupRecord>(record.data);
    if (!what) continue;
    if (const auto* entry = std::get_if<EntryRecord>(&*what)) {
      groups[entry->group].last[entry->generation] = {entry->entry.term, entry->index};
    } else {
      const auto& snapshot = std::get<SnapshotRecord>(*what);
      groups[snapshot.group].last[snapshot.generation] = {snapshot.term, snapshot.index};
    }
  }
  constexpr std::string_view kApplied = "applied/";
  for (const auto& [key, value] : recovered.state) {
    if (!key.starts_with(kApplied)) continue;
    const Result<AppliedState> applied = decode<AppliedState>(value);
    const GroupId group{static_cast<std::uint16_t>(std::stoul(key.substr(kApplied.size())))};
    if (!applied) continue;
    Place& last = groups[group].last[applied->generation];
    if (last.index < applied->index) last = {applied->term, applied->index};
  }
  return groups;
}

// Empty: all is there.
std::string PromiseChecker::missing(GroupId group, const Promised& promised, const OnDisk& disk,
                                    Generation generation) {
  // Generations before the present one are strangers: their promises bind nobody.
  if (disk.generation > generation || disk.removed) return {};
  if (!promised.votes.empty()) {
    const auto& [term, candidate] = *promised.votes.rbegin();
    if (disk.term < term) return "its vote in term " + std::to_string(term);
    if (disk.term == term && disk.vote != candidate) return "whom it voted for";
  }
  const Place& promised_last = promised.acknowledged;
  if (promised_last.index == 0) return {};
  const auto found = disk.last.find(generation);
  const Place last = found == disk.last.end() ? Place{} : found->second;
  // A later leader may have replaced what an earlier one was told about.
  if (last.term > promised_last.term || last.index >= promised_last.index) return {};
  return "entry " + std::to_string(promised_last.index) + " of " + name_of(group) + " (has " +
         std::to_string(last.index) + ")";
}

void PromiseChecker::on_start(Instant at, const NodeId& node, std::uint64_t life,
                              const Recovered& recovered, bool honest) {
  const std::map<GroupId, OnDisk> disk = read(recovered);
  for (const auto& [seat, promised] : promised_[node]) {
    const auto [group, generation] = seat;
    const auto found = disk.find(group);
    const std::string lost =
        missing(group, promised, found == disk.end() ? OnDisk{} : found->second, generation);
    if (lost.empty()) continue;
    forgetful_[life].insert(seat);
    if (!honest) continue;
    verdict_.fail(at, "Q2", node.short_text() + " promised before it was durable: " + lost);
  }
}

}  // namespace dunlin::sim
