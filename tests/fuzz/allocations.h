// How much memory a piece of code asks for: operator new of this test program counts.
#pragma once

#include <cstddef>

namespace dunlin::fuzz {

// Of this thread, ever; take the difference.
std::size_t bytes_allocated();
// Allocated by this thread and not given back.
std::size_t bytes_held();

}  // namespace dunlin::fuzz
