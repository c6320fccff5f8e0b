#include "os/disk_blame.h"

#include <algorithm>
#include <utility>

namespace dunlin {

bool DiskBlame::is_due(Instant now, std::uint64_t free, std::uint64_t least) const {
  return now >= due_at_ || free + least / 2 <= counted_free_;
}

void DiskBlame::on_nobody(Instant now, std::uint64_t free) {
  due_at_ = now + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  counted_free_ = free;
}

// One that began later had nothing then.
std::uint64_t DiskBlame::growth(const End& end, const DiskHolder& holder) {
  const auto at = end.held.find(holder.task);
  const std::uint64_t before = at == end.held.end() ? 0 : at->second;
  return holder.bytes > before ? holder.bytes - before : 0;
}

// Half of the room that the end has made, or more, is neither there nor in a task's directory.
bool DiskBlame::was_in_vain(const End& end, const std::vector<DiskHolder>& holders,
                            std::uint64_t free) {
  std::uint64_t found = free;
  for (const DiskHolder& holder : holders) found += growth(end, holder);
  return found <= end.free + end.bytes / 2;
}

std::vector<DiskHolder> DiskBlame::blame(const std::vector<DiskHolder>& holders, std::uint64_t free,
                                         std::uint64_t least) const {
  const bool spares = last_ && was_in_vain(*last_, holders, free);
  std::vector<DiskHolder> blamed;
  for (const DiskHolder& holder : holders) {
    if (holder.bytes < least || holder.bytes == 0) continue;
    if (!spares || growth(*last_, holder) >= kGrown) blamed.push_back(holder);
  }
  std::stable_sort(
      blamed.begin(), blamed.end(),
      [](const DiskHolder& left, const DiskHolder& right) { return left.bytes > right.bytes; });
  return blamed;
}

void DiskBlame::on_told(DiskHolder who, const std::vector<DiskHolder>& holders,
                        std::uint64_t free) {
  pause_ = kShortestPause;
  pending_ = End{free, who.bytes, {}};
  for (const DiskHolder& holder : holders) pending_->held[holder.task] = holder.bytes;
}

void DiskBlame::on_gone(bool was_ended) {
  if (was_ended && pending_) last_ = std::move(pending_);
  pending_.reset();
}

void DiskBlame::on_room(Instant now) {
  pause_ = kShortestPause;
  due_at_ = Instant{};
  if (room_since_ == Instant::never()) room_since_ = now;
  if (now >= room_since_ + kForgottenAfter) last_.reset();
}

}  // namespace dunlin
