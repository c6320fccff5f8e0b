// The one source of chance below src/os: seeded, so that a simulated run can be replayed bit for
// bit. xoshiro256** by Blackman and Vigna (https://prng.di.unimi.it), seeded by splitmix64. Not
// for keys: secrets come as bytes from the operating system.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "base/time.h"

namespace dunlin {

// The finalizer of splitmix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection that spreads every
// bit over all. Numbered inputs give as good as chance: mix64(seed + k * kGolden64).
constexpr std::uint64_t kGolden64 = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t mix64(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t next();
  // Uniform in [0, bound); bound must be above 0.
  std::uint64_t below(std::uint64_t bound);
  // Uniform in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high);
  // Uniform in [0, 1).
  double unit();
  bool chance(double probability) { return unit() < probability; }
  Duration between(Duration low, Duration high) { return {between(low.us, high.us)}; }
  void fill(std::span<std::uint8_t> out);

  // A generator of its own for a part, so that one part's draws do not shift another's.
  Random fork() { return Random(next()); }

  template <class Sequence>
  void shuffle(Sequence& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  std::array<std::uint64_t, 4> state_;
};

}  // namespace dunlin
