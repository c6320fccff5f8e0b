#include "os/chance.h"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.h"

namespace dunlin {

void fill_with_chance(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    ASSERT(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

Key32 secret_key() {
  Key32 key;
  fill_with_chance(key);
  return key;
}

std::uint64_t random_seed() {
  std::array<std::uint8_t, 8> bytes;
  fill_with_chance(bytes);
  return get_u64(bytes.data());
}

}  // namespace dunlin
