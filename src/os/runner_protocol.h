// What a node process and its runner say to each other over DIR/runner.sock: frames of a
// little-endian length (4 bytes) and a msgpack variant. Both sides run on one host, as one
// account, and mostly as one version; fields may be added at the end, and kRunnerProtocol changes
// when that is not enough: the node then ends the old runner and starts its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/codec.h"
#include "base/fields.h"
#include "base/result.h"
#include "sched/process_events.h"

namespace dunlin {

constexpr std::uint32_t kRunnerProtocol = 1;
constexpr std::size_t kMaxRunnerFrame = 4 * 1024 * 1024;
// Processes held at once, running or not yet released. More are answered with EAGAIN.
constexpr std::size_t kMaxHeldProcesses = 16 * 1024;
constexpr std::size_t kMaxRunnerLabel = 6 * 1024;  // names each gpu of a task

// ---- node to runner ----------------------------------------------------------------------------

// The first message of a node that takes over; the runner drops the node it had, if any.
struct RunnerHello {
  std::uint32_t protocol = kRunnerProtocol;
  bool knows_answers = false;  // to RunnerKeepAlive
  static constexpr std::size_t kRequiredFields = 1;
  static constexpr auto fields() {
    return Fields<&RunnerHello::protocol, &RunnerHello::knows_answers>{};
  }
};

struct RunnerStart {
  ProcessKey key = 0;
  Bytes label;
  Bytes arguments;        // strings, each ended by a zero byte; at least one
  Bytes environment;      // likewise, NAME=VALUE; complete
  std::string directory;  // absolute; becomes the working directory
  std::uint32_t cpus = 1;
  std::uint64_t memory = 0;    // bytes; 0: no limit
  std::string stdin_file;      // within `directory`, removed once it is open; empty: /dev/null
  std::string host_directory;  // becomes the working directory instead; empty: `directory` does
  std::uint64_t staged = 0;  // bytes that lie in `directory` already, and are not the task's doing
  static constexpr std::size_t kRequiredFields = 9;
  static constexpr auto fields() {
    return Fields<&RunnerStart::key, &RunnerStart::label, &RunnerStart::arguments,
                  &RunnerStart::environment, &RunnerStart::directory, &RunnerStart::cpus,
                  &RunnerStart::memory, &RunnerStart::stdin_file, &RunnerStart::host_directory,
                  &RunnerStart::staged>{};
  }
};

struct RunnerSignal {
  ProcessKey key = 0;
  std::int32_t signal = 0;
  static constexpr auto fields() { return Fields<&RunnerSignal::key, &RunnerSignal::signal>{}; }
};

struct RunnerTaken {
  ProcessKey key = 0;
  bool is_stderr = false;
  std::uint64_t up_to = 0;
  static constexpr auto fields() {
    return Fields<&RunnerTaken::key, &RunnerTaken::is_stderr, &RunnerTaken::up_to>{};
  }
};

// Of an ended process. One that runs is killed first, by RunnerSignal.
struct RunnerRelease {
  ProcessKey key = 0;
  static constexpr auto fields() { return Fields<&RunnerRelease::key>{}; }
};

// Kill everything and exit.
struct RunnerShutdown {
  static constexpr auto fields() { return Fields<>{}; }
};

// The node is alive: a stopped process (SIGSTOP) keeps its connection but says nothing. So is the
// runner that answers by RunnerAlive, where both know that.
struct RunnerKeepAlive {
  static constexpr auto fields() { return Fields<>{}; }
};

using RunnerCommand = std::variant<RunnerHello, RunnerStart, RunnerSignal, RunnerTaken,
                                   RunnerRelease, RunnerShutdown, RunnerKeepAlive>;

// ---- runner to node ----------------------------------------------------------------------------

struct RunnerHeldProcess {
  RunnerHeld process;
  std::string directory;
  static constexpr auto fields() {
    return Fields<&RunnerHeldProcess::process, &RunnerHeldProcess::directory>{};
  }
};

// Answers RunnerHello; the untaken output of each and the exits of those that ended follow. Comes
// in pieces where one frame would not hold it.
struct RunnerList {
  std::uint32_t protocol = kRunnerProtocol;
  std::vector<RunnerHeldProcess> held;
  bool is_last = true;
  std::uint32_t uid = 0;  // of the account that the processes run as
  std::string note;       // what it cannot enforce, for people; empty: nothing
  bool answers = false;   // RunnerKeepAlive
  // An older runner says no more: its version is to be seen all the same.
  static constexpr std::size_t kRequiredFields = 4;
  static constexpr auto fields() {
    return Fields<&RunnerList::protocol, &RunnerList::held, &RunnerList::is_last, &RunnerList::uid,
                  &RunnerList::note, &RunnerList::answers>{};
  }
};

struct RunnerAlive {
  static constexpr auto fields() { return Fields<>{}; }
};

using RunnerReport =
    std::variant<RunnerList, ProcessStarted, ProcessOutput, ProcessExited, RunnerAlive>;

// ---- framing -----------------------------------------------------------------------------------

template <class T>
void append_frame(Bytes& out, const T& message) {
  const std::size_t begin = out.size();
  out.resize(begin + 4);
  Encoder encoder(out);
  put(encoder, message);
  put_u32(out.data() + begin, static_cast<std::uint32_t>(out.size() - begin - 4));
}

// Bytes as they come, frames as they are complete.
class RunnerFrames {
 public:
  void append(ByteView bytes) { dunlin::append(buffer_, bytes); }
  // The next whole frame's body, valid until the next call of anything; nothing when more bytes
  // are needed. kLimit when the frame is longer than kMaxRunnerFrame.
  Result<std::optional<ByteView>> next();

 private:
  Bytes buffer_;
  std::size_t read_ = 0;  // where the first frame not yet given begins
};

// The stream socket at `name` in `directory`, through /proc/self/fd since the paths of sockets
// end at 107 bytes. Nonblocking, close-on-exec.
Result<int> listen_at(const std::string& directory, const std::string& name);
Result<int> connect_to(const std::string& directory, const std::string& name);
// Is the other side of this account, or root?
bool peer_is_trusted(int fd);

constexpr const char* kRunnerSocket = "runner.sock";
constexpr const char* kRunnerLock = "runner.lock";

}  // namespace dunlin
