// Ctrl-C and TERM, counted instead of obeyed, for the commands that have something to do about
// them. A poll() that waits while one comes returns with EINTR.
#pragma once

namespace dunlin {

// From now on; for the rest of the process.
void count_interrupts();
int interrupts();

}  // namespace dunlin
