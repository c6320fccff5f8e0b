// What people asked of a cluster and heard to be done, where a single seed may go without: it takes
// a job that is still there to be paused, or one that failed to be run again.
#pragma once

#include <array>
#include <cstdint>

namespace dunlin::sim {

enum class Use : std::uint8_t {
  kPause,
  kRetry,
  kDependency,  // a job that waits for another was accepted
  kLast = kDependency,
};
constexpr std::size_t kUses = static_cast<std::size_t>(Use::kLast) + 1;

constexpr const char* name_of(Use use) {
  constexpr std::array<const char*, kUses> names = {"pause of a job", "retry of a job",
                                                    "job after another"};
  return names[static_cast<std::size_t>(use)];
}

class UseCounts {
 public:
  void note(Use use) { ++counts_[static_cast<std::size_t>(use)]; }
  std::uint64_t count(Use use) const { return counts_[static_cast<std::size_t>(use)]; }

 private:
  std::array<std::uint64_t, kUses> counts_{};
};

}  // namespace dunlin::sim
