// Settings of the C library's allocator that keep a resting node small.
#pragma once

namespace dunlin {

// Once, before the first thread starts: one arena for all threads (each would keep its own free
// memory), large blocks from the kernel and back to it, and a low mark for giving back the rest.
void keep_memory_small();

// Gives free memory back to the kernel; for a node that has just become idle. Some milliseconds.
void release_free_memory();

}  // namespace dunlin
