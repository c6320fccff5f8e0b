#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace dunlin {

void assertion_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "dunlin: internal error, please report: %s (%s:%d)\n", expression, file,
               line);
  std::abort();
}

}  // namespace dunlin
