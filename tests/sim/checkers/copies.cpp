#include "sim/checkers/copies.h"

#include <algorithm>

#include "base/codec.h"
#include "sim/disk_replicas.h"
#include "store/blob.h"
#include "store/messages.h"
#include "store/pack.h"

namespace dunlin::sim {

namespace {

// The value of a fact under "blob/".
struct CopyPlace {
  std::uint32_t pack = 0;
  std::uint32_t offset = 0;  // of the content
  std::uint32_t length = 0;
  static constexpr auto fields() {
    return Fields<&CopyPlace::pack, &CopyPlace::offset, &CopyPlace::length>{};
  }
};

std::string blob_fact(const BlobId& id) {
  return "blob/" + id.text();
}

std::string pin_fact(const BlobId& id, const Pin& pin) {
  return "pin/" + id.text() + "/" + std::to_string(pin.group.value) + "/" +
         std::to_string(pin.intent);
}

bool has_some_pin(const std::map<std::string, Bytes>& facts, const BlobId& id) {
  const std::string prefix = "pin/" + id.text() + "/";
  const auto at = facts.lower_bound(prefix);
  return at != facts.end() && at->first.starts_with(prefix);
}

}  // namespace

bool has_sound_copy(const SimDisk& disk, const BlobId& id) {
  const auto fact = fact_on(disk, blob_fact(id));
  if (!fact) return false;
  const Result<CopyPlace> place = decode<CopyPlace>(*fact);
  if (!place) return false;
  const auto pack = disk.files().find(store::pack_file(place->pack));
  if (pack == disk.files().end()) return false;
  if (std::uint64_t{place->offset} + place->length > pack->second.size()) return false;
  return blob_id_of(ByteView(pack->second).subspan(place->offset, place->length)) == id;
}

void CopyChecker::on_send(Instant at, const NodeId& node, const SimDisk& disk, bool honest,
                          const NodeId& to, ByteView frame) {
  if (frame.empty() || frame[0] != static_cast<std::uint8_t>(Module::kStore)) return;
  const Result<store::Message> message = decode<store::Message>(frame.subspan(1));
  if (!message) return verdict_.fail(at, "Q5", "a frame of the store that cannot be read");
  if (const auto* offer = std::get_if<store::Offer>(&*message)) {
    asked_[{node, offer->operation, offer->blob.id}] = offer->pin;
  } else if (const auto* deposit = std::get_if<store::Deposit>(&*message)) {
    asked_[{node, deposit->operation, deposit->id}] = deposit->pin;
  } else if (const auto* answer = std::get_if<store::PutAnswer>(&*message)) {
    if (answer->verdict != store::PutVerdict::kStored) return;
    const auto question = asked_.find({to, answer->operation, answer->id});
    keeps(at, node, disk, honest, answer->id,
          question == asked_.end() ? nullptr : &question->second);
  } else if (const auto* taken = std::get_if<store::Entrusted>(&*message)) {
    for (const BlobId& id : taken->held) keeps(at, node, disk, honest, id, nullptr);
  }
}

void CopyChecker::keeps(Instant at, const NodeId& node, const SimDisk& disk, bool honest,
                        const BlobId& id, const Pin* pin) {
  const std::string who = node.short_text() + " says that it keeps blob " + id.short_text();
  const auto& facts = disk.facts();
  if (honest ? !has_sound_copy(disk, id) : !facts.contains(blob_fact(id))) {
    verdict_.fail(at, "Q5", who + ", which is not on its disk");
  }
  if (pin != nullptr ? !facts.contains(pin_fact(id, *pin)) : !has_some_pin(facts, id)) {
    verdict_.fail(at, "Q6", who + ", and its disk has no pin of it");
  }
  said_.insert({node, id});
  if (!honest) return;
  promised_[node].insert(blob_fact(id));
  if (pin != nullptr) promised_[node].insert(pin_fact(id, *pin));
}

void CopyChecker::stored(Instant at, const NodeId& node, const SimDisk& disk,
                         const client::BlobPut& put, std::size_t members) {
  std::set<NodeId> keepers;
  for (const NodeId& holder : put.holders) {
    const bool has_it = holder == node
                            ? has_sound_copy(disk, put.id) && has_some_pin(disk.facts(), put.id)
                            : said_.contains({holder, put.id});
    if (has_it) keepers.insert(holder);
  }
  if (keepers.size() >= std::min(kWriteHolders, members)) return;
  verdict_.fail(at, "Q5",
                "blob " + put.id.short_text() + " is acknowledged with " +
                    std::to_string(keepers.size()) + " copies of " + std::to_string(members) +
                    " members");
}

void CopyChecker::holds(Instant at, const NodeId& node, const std::map<std::string, Bytes>& facts) {
  const auto promised = promised_.find(node);
  if (promised == promised_.end()) return;
  for (const std::string& key : promised->second) {
    if (facts.contains(key)) continue;
    verdict_.fail(at, "Q6", node.short_text() + " promised to keep " + key + " and has lost it");
    return;
  }
}

}  // namespace dunlin::sim
