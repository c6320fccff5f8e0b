#include "store/repair.h"

#include <algorithm>

namespace dunlin::store {

namespace {

// A membership that never comes to rest is acted on after so many delays all the same.
constexpr int kMaxDelays = 4;
// The first view after the start waits less: it is seldom a change.
constexpr int kFirstDelayDivisor = 8;

}  // namespace

void Repair::on_members(Instant now) {
  const std::uint64_t view = members_.view().digest;
  if (view == view_) return;
  const bool is_first = view_ == 0;
  view_ = view;
  if (recount_ == Instant::never()) changing_since_ = now;
  Duration delay = config_.repair_delay;
  if (is_first) delay = delay / kFirstDelayDivisor;
  recount_ = std::min(now + delay, changing_since_ + config_.repair_delay * kMaxDelays);
  if (members_.is_leaving()) recount_ = now;
  if (view == inventory_.view().digest && !counting_) recount_ = Instant::never();  // as it was
}

void Repair::hurry(Instant now) {
  if (recount_ != Instant::never()) recount_ = std::min(recount_, now);
}

void Repair::on_lost(Instant now, const std::vector<BlobId>& ids) {
  for (const BlobId& id : ids) {
    pulls_.want(now, shelf_.is_bad(id) ? shelf_.ref(id) : BlobRef{id, 0}, NodeId{});
  }
}

void Repair::settle(Instant now, Effects& out) {
  for (const ShelfChange& change : shelf_.take_changes()) {
    const BlobId& id = change.blob.id;
    inventory_.apply(change);
    compare_.on_change(now, id);
    misplaced_.on_change(now, change);
    if (change.held > 0) pulls_.on_held(id);
    const bool is_ours = shelf_.has_pins(id) || (inventory_.is_complete() && inventory_.owns(id));
    if (change.held < 0 && is_ours) pulls_.want(now, change.blob, NodeId{});
  }
  pulls_.tick(now, out);
}

void Repair::tick(Instant now, Effects& out) {
  if (recount_ <= now) {
    recount_ = Instant::never();
    inventory_.set_view(members_.view());
    compare_.reset();
    misplaced_.reset();
    counting_ = true;
  }
  if (counting_) count_some(now);
  compare_.tick(now, out);
  misplaced_.tick(now, out);
}

void Repair::count_some(Instant now) {
  std::vector<BlobId> misplaced;
  counting_ = !inventory_.count_some(misplaced);
  misplaced_.add(now, misplaced);
  if (!counting_) compare_.begin(now);
}

Instant Repair::next_deadline() const {
  if (counting_) return Instant{};
  return std::min(
      {recount_, pulls_.next_deadline(), compare_.next_deadline(), misplaced_.next_deadline()});
}

LeaveState Repair::leave_state() const {
  LeaveState state = misplaced_.leave_state();
  // While the inventory is still that of an owner, nothing was handed over.
  if (inventory_.view().digest == members_.view().digest) return state;
  return {false, shelf_.held(), shelf_.held_bytes()};
}

void Repair::count(StoreStats& stats) const {
  stats.awaited = pulls_.awaited();
  stats.repaired = pulls_.repaired();
  if (!inventory_.is_complete()) {
    stats.unchecked = shelf_.held();
    return;
  }
  stats.total = inventory_.counted();
  stats.unchecked = compare_.unchecked();
  stats.under_replicated = compare_.lacking();
  pulls_.each([&](const BlobId& id, bool is_missing) {
    stats.missing += is_missing ? 1 : 0;
    if (!inventory_.counts(id)) return;
    stats.total += 1;
    stats.under_replicated += 1;
  });
  // An owner that died counts as lacking what it held from the moment that it is known, if there
  // are others who could hold it.
  const bool has_others = members_.present().size() >= config_.replicas;
  for (const auto& [node, shared] : inventory_.peers()) {
    if (has_others && !members_.is_present(node)) stats.under_replicated += shared.heir_of;
  }
}

}  // namespace dunlin::store
