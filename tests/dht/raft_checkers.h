// What must hold whatever happens, checked from outside: on frames, on log records, and on what
// nodes give out. The first violation stays.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "base/codec.h"
#include "base/crypto.h"
#include "dht/messages.h"
#include "dht/records.h"

namespace dunlin {

class RaftCheckers {
 public:
  using Machine = std::map<LogIndex, Bytes>;  // what a group's state machine was given

  const std::string& violation() const { return violation_; }
  void violate(const std::string& text) {
    if (violation_.empty()) violation_ = text;
  }

  // Election safety: entries, snapshots and proofs of leadership of a term come from one node.
  void saw(std::size_t from, const GroupMessage& message) {
    const bool leads = std::holds_alternative<Append>(message.body) ||
                       std::holds_alternative<SnapshotChunk>(message.body) ||
                       std::holds_alternative<ReadProbe>(message.body);
    if (!leads) return;
    const auto [known, is_new] = leaders_.try_emplace({message.group, message.term}, from);
    if (known->second == from) return;
    violate("election safety: nodes " + std::to_string(known->second) + " and " +
            std::to_string(from) + " lead " + name(message.group) + " in term " +
            std::to_string(message.term));
  }

  // Log matching: one term and index, one entry.
  void wrote(const Bytes& bytes) {
    const Result<GroupRecord> record = decode<GroupRecord>(bytes);
    const auto* entry = record ? std::get_if<EntryRecord>(&*record) : nullptr;
    if (entry == nullptr) return;
    const std::uint64_t hash = blake2b_64(encode(entry->entry));
    const auto [known, is_new] =
        entries_.try_emplace({entry->group, entry->index, entry->entry.term}, hash);
    if (known->second == hash) return;
    violate("log matching: two entries " + std::to_string(entry->index) + " of term " +
            std::to_string(entry->entry.term) + " in " + name(entry->group));
  }

  // State machine safety: at an index every node is given the same.
  void gave_out(GroupId group, LogIndex index, Term term, const Bytes& payload,
                const Machine& before) {
    if (!before.empty() && before.rbegin()->first >= index) {
      violate("state machine safety: indexes go back in " + name(group));
    }
    const std::pair entry{term, payload};
    const auto [known, is_new] = committed_.try_emplace({group, index}, entry);
    if (known->second == entry) return;
    violate("state machine safety: two entries " + std::to_string(index) + " in " + name(group));
  }

  // Leader completeness: whoever leads has been given all that was committed in earlier terms.
  void leads(std::size_t node, GroupId group, Term term, const Machine& machine) {
    for (const auto& [place, entry] : committed_) {
      if (place.first != group || entry.first >= term) continue;
      const auto found = machine.find(place.second);
      if (found != machine.end() && found->second == entry.second) continue;
      violate("leader completeness: node " + std::to_string(node) + " leads " + name(group) +
              " in term " + std::to_string(term) + " without entry " +
              std::to_string(place.second));
    }
  }

  // Linearizable reads: what was acknowledged before the read was asked is seen.
  void read(std::size_t node, LogIndex acknowledged_before, const Machine& machine) {
    const LogIndex seen = machine.empty() ? 0 : machine.rbegin()->first;
    if (seen >= acknowledged_before) return;
    violate("linearizable reads: node " + std::to_string(node) + " read up to " +
            std::to_string(seen) + " after " + std::to_string(acknowledged_before) +
            " was acknowledged");
  }

  // Durability: whoever leads in the end has all that was ever acknowledged.
  void acknowledge(GroupId group, LogIndex index, const Bytes& payload) {
    acknowledged_[{group, index}] = payload;
    newest_[group] = std::max(newest_[group], index);
  }
  void check_durability(GroupId group, const Machine& machine) {
    for (const auto& [place, payload] : acknowledged_) {
      if (place.first != group) continue;
      const auto found = machine.find(place.second);
      if (found != machine.end() && found->second == payload) continue;
      violate("durability: acknowledged entry " + std::to_string(place.second) + " of " +
              name(group) + " is gone");
    }
  }

  std::size_t acknowledged() const { return acknowledged_.size(); }
  LogIndex newest_acknowledged(GroupId group) const {
    const auto found = newest_.find(group);
    return found == newest_.end() ? 0 : found->second;
  }

 private:
  static std::string name(GroupId group) { return "group " + std::to_string(group.value); }

  std::string violation_;
  std::map<std::pair<GroupId, Term>, std::size_t> leaders_;
  std::map<std::tuple<GroupId, LogIndex, Term>, std::uint64_t> entries_;
  std::map<std::pair<GroupId, LogIndex>, std::pair<Term, Bytes>> committed_;
  std::map<std::pair<GroupId, LogIndex>, Bytes> acknowledged_;
  std::map<GroupId, LogIndex> newest_;
};

}  // namespace dunlin
