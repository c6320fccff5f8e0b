// Work on libuv's thread pool, with its end on the loop's thread.
#pragma once

#include <uv.h>

#include <functional>

namespace dunlin {

// `done` runs on the loop, always, even where `work` could not be queued (it then runs there too).
void run_on_pool(uv_loop_t* loop, std::function<void()> work, std::function<void()> done);

}  // namespace dunlin
