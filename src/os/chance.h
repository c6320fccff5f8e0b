// Bytes from the operating system's generator: the only source of keys, ids and seeds.
#pragma once

#include <cstdint>
#include <span>

#include "base/crypto.h"

namespace dunlin {

// getrandom(2). A system without it ends the process: no secret may be guessable.
void fill_with_chance(std::span<std::uint8_t> out);
Key32 secret_key();
std::uint64_t random_seed();

}  // namespace dunlin
