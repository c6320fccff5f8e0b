// The cluster's keys. A rotation installs the next key behind the present one, then puts it first
// (it is used now), then drops the old one: each step once every node has taken the one before.
// After Serf's install, use, remove.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/crypto.h"

namespace dunlin {

constexpr std::size_t kMaxKeyEpochs = 2;

struct KeyRing {
  // The first seals, all open; at most kMaxKeyEpochs.
  std::vector<std::pair<std::uint8_t, Key32>> keys;

  std::optional<Key32> find(std::uint8_t epoch) const {
    for (const auto& [number, key] : keys) {
      if (number == epoch) return key;
    }
    return std::nullopt;
  }
};

}  // namespace dunlin
