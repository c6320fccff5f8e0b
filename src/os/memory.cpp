#include "os/memory.h"

#include <malloc.h>

namespace dunlin {

void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 1);
  // Setting it also stops the library from raising it whenever a larger block is freed.
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

void release_free_memory() {
  ::malloc_trim(0);
}

}  // namespace dunlin
