#include "os/node_process.h"

#include <malloc.h>
#include <sys/stat.h>
#include <uv.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/crypto.h"
#include "os/descriptor_limit.h"
#include "os/directory_recovery.h"
#include "os/node_host.h"
#include "os/say.h"

namespace dunlin {

namespace {

int complain(const Error& error) {
  say(error);
  return error.code == Code::kUsage ? 2 : error.code == Code::kRefused ? 5 : 1;
}

// Below it hardly a task could be started, nor a client answered while peers are connected.
constexpr std::uint64_t kFewestDescriptors = 256;

Result<void> check_descriptors() {
  if (descriptor_limit() >= kFewestDescriptors) return {};
  return fail(Code::kRefused,
              "only " + std::to_string(descriptor_limit()) +
                  " files and connections may be open here, and a node needs " +
                  std::to_string(kFewestDescriptors) + " at least",
              "raise the hard limit: ulimit -Hn, or LimitNOFILE= of the systemd unit");
}

// A node is mostly idle and lives for months: memory is given back instead of kept in arenas.
void keep_memory_small() {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

int live(const NodeOptions& options) {
  Result<RecoveredDirectory> found = recover_directory(options);
  if (!found) return complain(found.error());
  uv_loop_t loop;
  uv_loop_init(&loop);
  int exit_code = 0;
  {
    NodeHost host(&loop, options, std::move(*found));
    if (Result<void> started = host.start(); !started) {
      const int code = complain(started.error());
      std::fflush(nullptr);
      // Nothing has been promised to anyone, and there is no loop any more to take things down on.
      std::_Exit(code);
    }
    exit_code = host.run();
  }
  uv_loop_close(&loop);
  return exit_code;
}

}  // namespace

int run_node(const NodeOptions& options) {
  keep_memory_small();
  std::signal(SIGPIPE, SIG_IGN);
  // A connection is a descriptor, here and to each peer; the usual limit of 1024 is soon reached.
  raise_descriptor_limit();
  if (const Result<void> fine = check_descriptors(); !fine) return complain(fine.error());
  // Keys and other people's jobs lie in the directory: nothing in it is anyone else's to read. What
  // others may use (the API's socket, tasks' files) is given its mode by name.
  umask(077);
  initialise_crypto();
  NodeOptions now = options;
  for (;;) {
    const int exit_code = live(now);
    if (exit_code != NodeHost::kBeginAnew) return exit_code;
    now.reset = false;
  }
}

}  // namespace dunlin
