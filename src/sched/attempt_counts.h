// What became of the attempts of one executor since its process began.
#pragma once

#include <cstdint>

namespace dunlin {

struct AttemptCounts {
  std::uint64_t started = 0;  // those that could not be begun, too
  std::uint64_t done = 0;
  std::uint64_t failed = 0;
  std::uint64_t dropped = 0;  // no result was wanted or to be had: cancelled, handed back, lost
};

}  // namespace dunlin
