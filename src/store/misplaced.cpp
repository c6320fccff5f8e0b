#include "store/misplaced.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace dunlin::store {

namespace {

constexpr std::uint32_t kMaxIdleDoublings = 5;
// While somebody waits for this node to be let go.
constexpr Duration kLeavingPause = seconds(1);

}  // namespace

void Misplaced::reset() {
  blobs_.clear();
  asked_.clear();
  cursor_ = BlobId{};
  idle_rounds_ = 0;
  deadline_ = Instant::never();
  needed_ =
      std::max<std::size_t>(1, std::min(config_.write_holders, inventory_.view().ring.size()));
  short_blobs_ = 0;
  short_bytes_ = 0;
}

bool Misplaced::is_short(const Blob& blob) const {
  return static_cast<std::size_t>(std::popcount(blob.held_by)) < needed_;
}

void Misplaced::drop(const BlobId& id) {
  const Blob* blob = blobs_.find(id);
  if (blob == nullptr) return;
  if (is_short(*blob)) {
    short_blobs_ -= 1;
    short_bytes_ -= shelf_.ref(id).length;
  }
  blobs_.erase(id);
}

void Misplaced::add(Instant now, const std::vector<BlobId>& misplaced) {
  for (const BlobId& id : misplaced) {
    if (!blobs_.insert({id, 0})) continue;
    short_blobs_ += 1;
    short_bytes_ += shelf_.ref(id).length;
  }
  idle_rounds_ = 0;
  if (!blobs_.empty()) deadline_ = std::min(deadline_, now + pause());
}

void Misplaced::on_change(Instant now, const ShelfChange& change) {
  const BlobId& id = change.blob.id;
  if (change.held < 0) drop(id);
  // A copy without pins was fetched for use here; whoever gave it holds it.
  const bool is_new = change.held > 0 || change.delta != 0;
  if (!is_new || !inventory_.is_complete() || !shelf_.holds(id) || !shelf_.has_pins(id)) return;
  if (!inventory_.owns(id)) add(now, {id});
}

Duration Misplaced::pause() const {
  const Duration base = members_.is_leaving() ? kLeavingPause : config_.compare_delay;
  return base * (std::int64_t{1} << std::min(idle_rounds_, kMaxIdleDoublings));
}

void Misplaced::tick(Instant now, Effects& out) {
  if (now < deadline_) return;
  deadline_ = Instant::never();
  asked_.clear();
  next_slice(now, out);
}

// Tells owners about the next blobs; they are spoken of again only in the next round.
void Misplaced::next_slice(Instant now, Effects& out) {
  std::map<NodeId, std::vector<Trusted>> lists;
  std::size_t spoken_of = 0;
  BlobId next;
  blobs_.scan(cursor_, [&](const Blob& blob) {
    next = id_after(blob.id);
    const std::vector<NodeId> owners = inventory_.owners(blob.id);
    for (std::size_t i = 0; i < owners.size(); ++i) {
      if ((blob.held_by >> i & 1) != 0 || !members_.is_trusted(owners[i])) continue;
      lists[owners[i]].push_back(
          {shelf_.ref(blob.id), shelf_.pins(blob.id, Pin{}, kMaxPinsEntrusted)});
    }
    return ++spoken_of < kMaxEntrustedAtOnce;
  });
  for (const auto& [node, blobs] : lists) {
    for (std::size_t at = 0; at < blobs.size(); at += kMaxBlobsInMessage) {
      const std::size_t count = std::min(kMaxBlobsInMessage, blobs.size() - at);
      const auto begin = blobs.begin() + static_cast<std::ptrdiff_t>(at);
      Entrust message{next_operation_++, members_.is_leaving(), {}};
      message.blobs.assign(begin, begin + static_cast<std::ptrdiff_t>(count));
      asked_[message.operation] = node;
      out.send(node, Channel::kStream, frame_of(std::move(message), count * 48));
    }
  }
  const bool round_is_over = spoken_of < kMaxEntrustedAtOnce;
  cursor_ = round_is_over ? BlobId{} : next;
  if (blobs_.empty()) return;
  if (round_is_over) {
    idle_rounds_ += 1;
    deadline_ = now + pause();
  } else {
    deadline_ = now + config_.answer_timeout;
  }
}

void Misplaced::on_entrusted(Instant now, NodeId from, const Entrusted& answer) {
  const auto asked = asked_.find(answer.operation);
  if (asked == asked_.end() || asked->second != from) return;
  asked_.erase(asked);
  for (std::size_t i = 0; i < answer.held.size() && i < kMaxBlobsInMessage; ++i) {
    Blob* blob = blobs_.find(answer.held[i]);
    if (blob == nullptr) continue;
    const std::vector<NodeId> owners = inventory_.owners(blob->id);
    const auto at = std::ranges::find(owners, from);
    if (at == owners.end()) continue;
    const bool was_short = is_short(*blob);
    blob->held_by |= 1U << (at - owners.begin());
    if (was_short && !is_short(*blob)) {
      short_blobs_ -= 1;
      short_bytes_ -= shelf_.ref(blob->id).length;
    }
    idle_rounds_ = 0;
    if (static_cast<std::size_t>(std::popcount(blob->held_by)) == owners.size()) {
      drop(answer.held[i]);
    }
  }
  if (blobs_.empty()) {
    deadline_ = Instant::never();
    cursor_ = BlobId{};
  } else if (asked_.empty() && !cursor_.is_none()) {
    deadline_ = now;
  } else {
    deadline_ = std::min(deadline_, now + pause());
  }
}

void Misplaced::on_entrust(Instant now, NodeId from, const Entrust& message, Effects& out) {
  if (members_.is_leaving() || message.blobs.size() > kMaxBlobsInMessage) return;
  Entrusted answer{message.operation, {}};
  std::size_t checks = 0;
  for (const auto& [blob, pins] : message.blobs) {
    if (!shelf_.holds(blob.id)) {
      if (blob.length <= kMaxBlob) pulls_.want(now, blob, from);
      continue;
    }
    take_pins(from, blob.id, pins, out);
    if (!message.verified || shelf_.is_verified(now, blob.id)) {
      answer.held.push_back(blob.id);
    } else if (checks < kMaxChecksAtOnce) {
      // Verified by the time that the question comes again.
      ++checks;
      shelf_.read(blob.id, {ReadFor::kScrub, 0, from, {}}, out);
    }
  }
  out.send_when_durable(from, Channel::kStream, frame_of(std::move(answer)));
}

void Misplaced::take_pins(NodeId from, const BlobId& id, const std::vector<Pin>& pins,
                          Effects& out) {
  if (pins.size() > kMaxPinsEntrusted) return;
  for (const Pin pin : pins) shelf_.add_pin(id, pin, out);
  if (pins.size() < kMaxPinsEntrusted) return;
  out.send(from, Channel::kStream, frame_of(AskPins{id, pins.back()}));
}

LeaveState Misplaced::leave_state() const {
  const bool is_known = members_.is_leaving() && inventory_.is_complete();
  return {is_known && short_blobs_ == 0, short_blobs_, short_bytes_};
}

}  // namespace dunlin::store
