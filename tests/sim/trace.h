// A hash over everything that happened in a simulated world. Two runs of one seed must agree in
// it: then a failing seed can be replayed bit for bit.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/time.h"

namespace dunlin::sim {

class Trace {
 public:
  void note(Instant at, std::uint64_t kind, std::uint64_t a = 0, std::uint64_t b = 0,
            ByteView bytes = {}) {
    mix(static_cast<std::uint64_t>(at.us));
    mix(kind);
    mix(a);
    mix(b);
    mix(bytes);
  }
  std::uint64_t hash() const { return hash_; }

 private:
  void mix(std::uint64_t value) {
    hash_ ^= value;
    hash_ *= 0x9E3779B97F4A7C15ULL;
    hash_ ^= hash_ >> 29;
  }
  void mix(ByteView bytes) {
    mix(bytes.size());
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, 8);
      mix(word);
    }
    std::uint64_t rest = 0;
    for (; at < bytes.size(); ++at) rest = rest << 8 | bytes[at];
    mix(rest);
  }

  std::uint64_t hash_ = 0x6A09E667F3BCC908ULL;
};

}  // namespace dunlin::sim
