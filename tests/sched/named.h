#pragma once

#include <cstdint>

#include "base/ids.h"

namespace dunlin::sched {

// A node of a test, told apart by one byte.
inline NodeId named(std::uint8_t n) {
  NodeId id;
  id.raw[0] = n;
  return id;
}

}  // namespace dunlin::sched
