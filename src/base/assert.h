// Assertions that stay on in release builds: a broken invariant ends the process before it can
// spread a wrong promise to disk or to a peer. They are for bugs of ours, never for bad input.
#pragma once

namespace dunlin {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace dunlin

#define ASSERT(expression)                                         \
  do {                                                             \
    if (!(expression)) [[unlikely]]                                \
      ::dunlin::assertion_failed(#expression, __FILE__, __LINE__); \
  } while (false)
