#include "store/pulls.h"

#include <algorithm>

namespace dunlin::store {

namespace {

constexpr Duration kFirstRetry = seconds(2);
constexpr std::uint32_t kMaxPullDoublings = 8;  // 2 s to 512 s
constexpr Duration kDiskFullRetry = seconds(30);

}  // namespace

void Pulls::want(Instant now, const BlobRef& blob, NodeId source) {
  if (shelf_.holds(blob.id)) return;
  const auto known = awaited_.find(blob.id);
  if (known == awaited_.end() && awaited_.size() >= kMaxAwaited) return;
  Copy& copy = awaited_[blob.id];
  copy.length = blob.length;
  const bool is_new_source = !source.is_none() && copy.sources.size() < kMaxSources &&
                             std::ranges::find(copy.sources, source) == copy.sources.end();
  if (is_new_source) {
    copy.sources.push_back(source);
    copy.attempts = 0;
  }
  if (under_way_.contains(blob.id)) return;
  if (known == awaited_.end() || is_new_source) due_.set(blob.id, now);
}

void Pulls::on_held(const BlobId& id) {
  // One that is under way ends with its own result, once it is durable.
  if (!under_way_.contains(id)) forget(id);
}

void Pulls::forget(const BlobId& id) {
  awaited_.erase(id);
  due_.clear(id);
}

void Pulls::tick(Instant now, Effects& out) {
  take_results(now);
  while (under_way_.size() < kMaxPullsAtOnce && next_pull_ <= now) {
    const auto id = due_.pop_due(now);
    if (!id) break;
    const Copy& copy = awaited_.at(*id);
    if (!shelf_.has_room_for(copy.length) || shelf_.is_behind()) {
      due_.set(*id, now + (shelf_.is_behind() ? kFirstRetry : kDiskFullRetry));
      continue;
    }
    under_way_.insert(*id);
    const auto cost =
        static_cast<std::int64_t>(copy.length * std::uint64_t{1'000'000} / config_.repair_rate);
    next_pull_ = std::max(next_pull_, now) + microseconds(cost);
    fetches_.want(now, Want::kReplica, 0, *id, copy.sources, out);
    take_results(now);
  }
}

void Pulls::take_results(Instant now) {
  for (const Pulled& pulled : fetches_.take_pulled()) {
    under_way_.erase(pulled.id);
    const auto found = awaited_.find(pulled.id);
    if (found == awaited_.end()) continue;
    if (pulled.result) {
      repaired_ += 1;
      forget(pulled.id);
      continue;
    }
    Copy& copy = found->second;
    copy.is_missing = pulled.result.error().code == Code::kNotFound;
    // Whoever was said to hold it is asked again only if he says so again.
    copy.sources.clear();
    const auto doublings = std::min(copy.attempts++, kMaxPullDoublings);
    due_.set(pulled.id, now + kFirstRetry * (std::int64_t{1} << doublings));
  }
}

Instant Pulls::next_deadline() const {
  if (under_way_.size() >= kMaxPullsAtOnce) return Instant::never();
  return std::max(due_.next(), next_pull_);
}

}  // namespace dunlin::store
