// One node in the world: performs what the Node wants with the storage, the transport, the runner
// and the API's socket of this process, and hands it what they bring back.
//
// A turn of libuv's loop is a turn of the node: inputs open it, and it ends before the loop waits
// again, so that everything durable of one turn is one batch and all frames to one peer leave
// together.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "node/node.h"
#include "os/api.h"
#include "os/dial_checks.h"
#include "os/directory_recovery.h"
#include "os/node_options.h"
#include "os/runner.h"
#include "os/storage.h"
#include "os/transport.h"

namespace dunlin {

class NodeHost {
 public:
  // run() ends with it when the process is to go on as a successor of this node.
  static constexpr int kBeginAnew = -1;

  NodeHost(uv_loop_t* loop, const NodeOptions& options, RecoveredDirectory found);
  ~NodeHost();
  NodeHost(const NodeHost&) = delete;
  NodeHost& operator=(const NodeHost&) = delete;

  // From the data directory to a node that listens; blocks while it joins. The error is one line.
  Result<void> start();
  // Runs until the node is told to stop; the process's exit code.
  int run();

 private:
  // node_host_start.cpp
  Result<void> settle_account(NodeFacts& facts);
  Result<void> promise_token(const NodeStart& life);
  void make_durable(Journal& journal, Effects& first);
  Result<void> take_places();
  Result<void> take_plain_port();
  Result<void> open_doors();
  RunnerOptions runner_options() const;
  void on_first_ready();
  void say_ready();
  void make_first_token();
  void on_reply(client::Reply reply);
  void keep_first_token(Result<client::Answer> answer);

  // node_host.cpp: the loop and its turns
  void start_signals();
  void on_terminate();
  // Opens the turn if it is not open, and returns the node for an input.
  Node& input();
  void end_turn();
  void arm_timer();
  void deliver_local();
  void perform(Output& output);
  void perform_processes(Output& output);
  void stop(int exit_code);
  void close_all();

  // node_host_inputs.cpp: what the world brings, and what is looked at once a second
  StorageCallbacks storage_callbacks();
  Transport::Callbacks transport_callbacks();
  Runner::Listener runner_listener();
  Result<HttpCaller> caller_of(std::string_view authorization) const;
  void check_dial(const DialCheck& wanted);
  void do_chores();
  void check_storage();
  void show_condition();
  HostFigures figures() const;
  void drop_former_callers();
  void tell_members();
  void tell_servers(const std::vector<Member>& reachable);
  void keep_identity(const std::vector<Member>& reachable);

  uv_loop_t* loop_;
  NodeOptions options_;
  RecoveredDirectory found_;  // emptied by start()
  BoundSockets port_;         // until the transport has it
  FileDescriptor socket_;     // of the API, until it has it
  FileDescriptor http_;       // likewise its plain port, if it has one
  std::unique_ptr<Storage> storage_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<DialChecks> dial_checks_;
  std::unique_ptr<Runner> runner_;
  std::unique_ptr<Api> api_;

  uv_prepare_t prepare_{};
  uv_check_t check_{};
  uv_idle_t idle_{};     // active while local_ holds something
  uv_timer_t timer_{};   // the node's next deadline
  uv_timer_t chores_{};  // once a second: see do_chores()
  uv_signal_t terminate_{};
  uv_signal_t interrupt_{};
  uv_signal_t hangup_{};

  std::vector<Bytes> local_;  // frames of the node to itself, for the next turn
  bool in_turn_ = false;
  bool is_closing_ = false;
  bool is_ready_ = false;
  bool storage_stalled_ = false;
  bool root_jobs_only_ = false;
  bool owes_token_ = false;     // the first one, see join_token_file.h
  bool members_stale_ = false;  // what was told of them: to clients, and to the identity's copy
  bool identity_failed_ = false;
  std::uint64_t awaited_row_ = 0;  // while starting
  std::string address_;
  int exit_code_ = 0;
  bool leaves_tasks_ = false;
};

}  // namespace dunlin
