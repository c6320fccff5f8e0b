// Lifeguard's local health multiplier: a node that gets no answers, must refute, or wakes up late
// suspects itself first, and gives others more time.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dunlin::gossip {

class LocalHealth {
 public:
  explicit LocalHealth(std::uint32_t worst) : worst_(worst) {}

  void worsen() { score_ = std::min(score_ + 1, worst_); }
  void improve() { score_ = score_ == 0 ? 0 : score_ - 1; }
  // 0: well.
  std::uint32_t score() const { return score_; }
  // What timeouts are multiplied by.
  std::uint32_t factor() const { return score_ + 1; }

 private:
  const std::uint32_t worst_;
  std::uint32_t score_ = 0;
};

}  // namespace dunlin::gossip
