// The node's connection to its runner: finds a living one at DIR/runner.sock or starts one,
// reconnects, and carries frames. All on one libuv loop; commands of one turn leave in one write.
#pragma once

#include <uv.h>

#include <functional>
#include <string>

#include "os/runner_protocol.h"

namespace dunlin {

struct RunnerOptions {
  std::string directory;                   // the node's, absolute, exists
  std::string program = "/proc/self/exe";  // executed as `program runner ...`
  // How long the runner goes on without a node. A second less than the minute promised, so that
  // all is gone when it is over.
  Duration unattended = seconds(59);
  std::string run_as;   // empty: as the node itself
  bool may_pin = true;  // tasks to cores
  bool may_use_cgroups = true;
  // After so long without an answer a runner is taken to be stopped (SIGSTOP), or hung: it is told
  // to continue (SIGCONT), and that it is silent is said. Tasks go on meanwhile.
  Duration patience = seconds(5);
};

class RunnerLink {
 public:
  struct Listener {
    std::function<void(RunnerReport)> on_report;
    // The reports that came together have been given; also called when the loop is about to wait.
    std::function<void()> on_pause;
    // The runner is dead and so are its processes. A new one is being started.
    std::function<void()> on_lost;
    // The runner does not answer, though it is connected; or does again.
    std::function<void(bool is_silent)> on_silence;
    // One line for the log; the link goes on trying.
    std::function<void(const std::string&)> on_problem;
  };

  RunnerLink(uv_loop_t* loop, RunnerOptions options, Listener listener);
  // After closed() only.
  ~RunnerLink();
  RunnerLink(const RunnerLink&) = delete;
  RunnerLink& operator=(const RunnerLink&) = delete;

  void open();
  // Dropped when there is no connection.
  void send(const RunnerCommand& command);
  // The loop will not wait before on_pause() was called again.
  void wake();
  // Writes what waits, and lets go: the runner keeps its processes, and waits for the next node.
  void close();
  // True when the loop no longer uses this object.
  bool is_closed() const { return handles_ == 0; }

 private:
  void seek();
  void start_runner();
  void on_status();
  void stop_status();
  void attach(int fd);
  void detach();
  void on_lost_connection();
  void on_events(int events);
  void read_some();
  void flush();
  void watch_socket();
  void problem(const std::string& text);
  void keep_alive();
  void heard();

  template <class Handle>
  void close_handle(Handle*& handle);
  static void on_timer(uv_timer_t* timer);
  static void on_prepare(uv_prepare_t* prepare);

  uv_loop_t* const loop_;
  const RunnerOptions options_;
  const Listener listener_;
  int handles_ = 0;  // of the loop, that refer to this
  bool is_open_ = false;
  bool was_connected_ = false;  // since the last on_lost
  bool has_heard_ = false;      // a report, on this connection
  bool answers_ = false;        // keep-alives, on this connection
  bool is_silent_ = false;      // for longer than it may
  Instant unanswered_since_ = Instant::never();
  uv_timer_t* timer_ = nullptr;  // keep-alives, or the next try
  uv_prepare_t* prepare_ = nullptr;
  uv_idle_t* idle_ = nullptr;
  uv_poll_t* socket_poll_ = nullptr;
  uv_poll_t* status_poll_ = nullptr;
  int socket_ = -1;
  int status_ = -1;  // where a runner that is being started says how it went
  int starter_ = 0;  // its first process, to be reaped
  std::string status_text_;
  RunnerFrames in_;
  Bytes out_;
  std::size_t out_sent_ = 0;
  bool waits_to_write_ = false;
  Bytes read_buffer_;
};

}  // namespace dunlin
