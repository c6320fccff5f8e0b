// Connecting to a server by TCP, which takes a while: until a moment, or until an interrupt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/address.h"
#include "os/file_descriptor.h"

namespace dunlin {

// How long a server is waited for, from now on. An interrupt from now on ends that, too.
class DialPatience {
 public:
  explicit DialPatience(Duration patience);

  // One of so many equal parts of what is left of it.
  DialPatience share(std::size_t parts) const;
  // Until the descriptor is ready for `events`, those of poll(2). kTimeout: it is not in time;
  // kFailed: interrupted.
  Result<void> wait(int fd, short events, const std::string& server) const;

 private:
  std::int64_t until_ms_;
  int interrupts_before_;
};

// A connection, which does not block, to the first of these addresses that takes one. None of them
// uses up the time of those behind it. Errors name `server`; kFailed: interrupted, or the system
// gives no socket, and no further address was tried.
Result<FileDescriptor> connect_to_any(const std::vector<SocketAddress>& addresses,
                                      const std::string& server, const DialPatience& patience);

}  // namespace dunlin
