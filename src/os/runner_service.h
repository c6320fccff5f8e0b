// The runner's loop: its socket, the node that it serves, and how long it goes on without one.
#pragma once

#include <cstdint>
#include <list>
#include <memory>

#include "os/held_processes.h"
#include "os/runner_protocol.h"

namespace dunlin {

class RunnerService {
 public:
  // Takes over the listening socket.
  RunnerService(int listener, Duration unattended, HeldOptions options);
  ~RunnerService();
  RunnerService(const RunnerService&) = delete;
  RunnerService& operator=(const RunnerService&) = delete;

  // Returns when told to shut down, when unattended for too long, or when there is neither a node
  // nor anything held. No descendant is left then.
  void run();
  // Does somebody wait to be served?
  bool is_called() const;

 private:
  struct Connection {
    int fd = -1;
    RunnerFrames in;
    Bytes out;
    std::size_t out_sent = 0;
    bool waits_to_write = false;
    bool knows_answers = false;
  };
  using Connections = std::list<Connection>;

  void accept_nodes(Instant now);
  void on_socket(std::uint64_t fd, std::uint32_t events, Instant now);
  bool read_from(Connections::iterator connection, Instant now);
  bool perform(Connections::iterator connection, RunnerCommand command, Instant now);
  void drop(Connections::iterator connection, Instant now);
  void flush(Instant now);
  bool send_some();
  int timeout(Instant now) const;
  bool is_over(Instant now) const;

  const int listener_;
  const Duration unattended_;
  const int epoll_fd_;
  HeldProcesses held_;
  Connections connections_;
  Connections::iterator node_;  // the one that said hello last; end(): none
  Instant heard_at_;
  Instant flush_at_ = Instant::never();
  bool is_told_to_stop_ = false;
};

}  // namespace dunlin
