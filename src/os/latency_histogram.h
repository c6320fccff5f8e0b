// How long something took, each time since the process began: as Prometheus counts it, and what it
// takes lately. A value: copied to be looked at elsewhere.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace dunlin {

class LatencyHistogram {
 public:
  // Upper bounds of the buckets, in microseconds; one more bucket is without end.
  static constexpr std::array<std::int64_t, 13> kBounds = {
      500,     1'000,   2'500,   5'000,     10'000,    25'000,   50'000,
      100'000, 250'000, 500'000, 1'000'000, 2'500'000, 5'000'000};
  static constexpr std::size_t kRecent = 64;

  void add(Duration took) {
    const auto at = std::lower_bound(kBounds.begin(), kBounds.end(), took.us);
    ++buckets_[static_cast<std::size_t>(at - kBounds.begin())];
    recent_[count_ % kRecent] = took.us;
    ++count_;
    sum_.us += took.us;
  }

  // Of each bucket alone, in the order of kBounds, and of the last one.
  const std::array<std::uint64_t, kBounds.size() + 1>& buckets() const { return buckets_; }
  std::uint64_t count() const { return count_; }
  Duration sum() const { return sum_; }
  // Of the last kRecent; 0 before there are as many.
  Duration recent_median() const {
    if (count_ < kRecent) return {};
    std::array<std::int64_t, kRecent> sorted = recent_;
    std::nth_element(sorted.begin(), sorted.begin() + kRecent / 2, sorted.end());
    return {sorted[kRecent / 2]};
  }

 private:
  std::array<std::uint64_t, kBounds.size() + 1> buckets_{};
  std::array<std::int64_t, kRecent> recent_{};
  std::uint64_t count_ = 0;
  Duration sum_;
};

}  // namespace dunlin
