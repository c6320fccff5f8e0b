// Ctrl-C and TERM, counted instead of obeyed, for the commands that have something to do about
// them. The second one ends the process at once, wherever it is held up. The exit code is 128 and
// the signal then, as of whatever ends by one.
#pragma once

#include <poll.h>

namespace dunlin {

// From now on; for the rest of the process.
void count_interrupts();
int interrupts();
// Of a process that ends because of the last one.
int interrupted_exit_code();
// poll(2); -1 with EINTR when one has come, since the last time that was said, too: none is missed
// between a look at the count and the wait.
int poll_counting(pollfd* fds, nfds_t count, int timeout_ms);

}  // namespace dunlin
