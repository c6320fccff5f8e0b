#include "os/node_host.h"

#include <csignal>
#include <utility>

#include "os/clock.h"
#include "os/directory_recovery.h"
#include "os/say.h"

namespace dunlin {

namespace {

constexpr std::uint64_t kChoresMs = 1000;
constexpr std::uint64_t kMaxTimerMs = 60'000;

template <class Handle>
void close_handle(Handle& handle) {
  auto* raw = reinterpret_cast<uv_handle_t*>(&handle);
  if (raw->type != UV_UNKNOWN_HANDLE && uv_is_closing(raw) == 0) uv_close(raw, nullptr);
}

}  // namespace

NodeHost::NodeHost(uv_loop_t* loop, const NodeOptions& options, RecoveredDirectory found)
    : loop_(loop),
      options_(options),
      found_(std::move(found)),
      storage_(std::move(found_.storage)) {}

NodeHost::~NodeHost() = default;

// ---- the loop -----------------------------------------------------------------------------------

int NodeHost::run() {
  for (uv_handle_t* handle :
       {reinterpret_cast<uv_handle_t*>(&prepare_), reinterpret_cast<uv_handle_t*>(&check_),
        reinterpret_cast<uv_handle_t*>(&idle_), reinterpret_cast<uv_handle_t*>(&timer_),
        reinterpret_cast<uv_handle_t*>(&chores_), reinterpret_cast<uv_handle_t*>(&terminate_),
        reinterpret_cast<uv_handle_t*>(&interrupt_), reinterpret_cast<uv_handle_t*>(&hangup_)}) {
    handle->data = this;
  }
  uv_prepare_init(loop_, &prepare_);
  uv_check_init(loop_, &check_);
  uv_idle_init(loop_, &idle_);
  uv_timer_init(loop_, &timer_);
  uv_timer_init(loop_, &chores_);
  uv_prepare_start(&prepare_, [](uv_prepare_t* h) { static_cast<NodeHost*>(h->data)->end_turn(); });
  uv_check_start(&check_, [](uv_check_t* h) { static_cast<NodeHost*>(h->data)->end_turn(); });
  uv_timer_start(
      &chores_, [](uv_timer_t* h) { static_cast<NodeHost*>(h->data)->do_chores(); }, 0, kChoresMs);
  start_signals();
  input().tick();
  uv_run(loop_, UV_RUN_DEFAULT);
  return exit_code_;
}

void NodeHost::start_signals() {
  const auto on_signal = [](uv_signal_t* h, int) {
    static_cast<NodeHost*>(h->data)->input().stop();
  };
  uv_signal_init(loop_, &terminate_);
  uv_signal_init(loop_, &interrupt_);
  uv_signal_init(loop_, &hangup_);
  uv_signal_start(
      &terminate_, [](uv_signal_t* h, int) { static_cast<NodeHost*>(h->data)->on_terminate(); },
      SIGTERM);
  uv_signal_start(&interrupt_, on_signal, SIGINT);
  // A terminal that closes ends the node in order, but not one that was started with nohup.
  struct sigaction before {};
  const bool is_ignored = sigaction(SIGHUP, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;
  if (!is_ignored) uv_signal_start(&hangup_, on_signal, SIGHUP);
}

// With --keep-tasks the next process finds them running, as after a kill of this one.
void NodeHost::on_terminate() {
  if (!options_.keep_tasks) {
    input().stop();
    return;
  }
  say("the tasks go on without a node, for a minute at most");
  leaves_tasks_ = true;
  stop(0);
}

// ---- turns --------------------------------------------------------------------------------------

Node& NodeHost::input() {
  if (!in_turn_) {
    in_turn_ = true;
    node_->begin_turn(monotonic_now(), wall_now());
  }
  return *node_;
}

void NodeHost::end_turn() {
  if (!in_turn_ || is_closing_) return;
  if (node_->next_deadline() <= monotonic_now()) node_->tick();
  Output output = node_->end_turn();
  in_turn_ = false;
  perform(output);
  if (is_closing_) return;
  arm_timer();
  on_first_ready();
}

void NodeHost::arm_timer() {
  const Instant next = node_->next_deadline();
  const Instant now = monotonic_now();
  std::uint64_t ms = kMaxTimerMs;
  if (next <= now) {
    ms = 0;
  } else if (next < now + milliseconds(static_cast<std::int64_t>(kMaxTimerMs))) {
    ms = static_cast<std::uint64_t>((next - now).us + 999) / 1000;
  }
  uv_update_time(loop_);
  uv_timer_start(
      &timer_, [](uv_timer_t* h) { static_cast<NodeHost*>(h->data)->input().tick(); }, ms, 0);
}

// Frames of the node to itself make one round a turn: a coordinator that also executes must not
// do the whole job alone before it hears anyone else.
void NodeHost::deliver_local() {
  std::vector<Bytes> frames = std::exchange(local_, {});
  uv_idle_stop(&idle_);
  Node& node = input();
  for (const Bytes& frame : frames) node.receive(node.id(), Channel::kStream, frame);
}

void NodeHost::perform(Output& output) {
  for (const PeerAddress& peer : output.peers) {
    transport_->set_peer(peer.id, peer.key, peer.address, peer.boot);
  }
  if (!output.peers.empty() || !output.forgotten_peers.empty()) members_stale_ = true;
  for (const NodeId& peer : output.forgotten_peers) transport_->forget_peer(peer);
  if (output.batch) storage_->submit(std::move(*output.batch));
  for (Send& send : output.sends) {
    if (send.to == node_->id()) {
      local_.push_back(std::move(send.frame));
    } else {
      transport_->send(send.to, send.channel, std::move(send.frame));
    }
  }
  if (!local_.empty()) {
    uv_idle_start(&idle_, [](uv_idle_t* h) { static_cast<NodeHost*>(h->data)->deliver_local(); });
  }
  if (output.checkpoint) storage_->checkpoint(std::move(*output.checkpoint));
  for (FileRead& read : output.file_reads) storage_->read_file(std::move(read.extent), read.ticket);
  for (std::string& file : output.file_removals) storage_->remove_file(std::move(file));
  perform_processes(output);
  for (JoinAnswer& answer : output.join_answers) {
    transport_->reply_join(answer.join, std::move(answer.reply));
  }
  for (client::Reply& reply : output.replies) on_reply(std::move(reply));
  for (const DialCheck& wanted : output.dials) check_dial(wanted);
  for (const std::string& line : output.lines) say(line);
  if (output.fatal) {
    say(*output.fatal);
    stop(output.has_amnesia && disown_directory(options_.dir) ? kBeginAnew : 1);
  } else if (output.stop) {
    stop(0);
  }
}

void NodeHost::perform_processes(Output& output) {
  for (StartProcess& start : output.starts) runner_->start(std::move(start));
  for (const SignalProcess& signal : output.signals) runner_->signal(signal);
  for (const OutputTaken& taken : output.taken) runner_->output_taken(taken);
  for (FindOutputs& search : output.output_searches) runner_->find_outputs(std::move(search));
  for (ReadOutput& read : output.output_reads) runner_->read_output(std::move(read));
  for (const ReleaseProcess& release : output.releases) runner_->release(release);
}

// ---- end ----------------------------------------------------------------------------------------

void NodeHost::stop(int exit_code) {
  if (is_closing_) return;
  is_closing_ = true;
  exit_code_ = exit_code;
  close_all();
}

void NodeHost::close_all() {
  // A node that ends in order takes its tasks along: they are started anew elsewhere. One that must
  // stop at once leaves them to the runner, which ends them itself if nobody comes back.
  // Those of an id that is to be retired belong to nobody.
  const bool takes_along = exit_code_ == 0 && !leaves_tasks_;
  if (takes_along || exit_code_ == kBeginAnew) runner_->shut_down();
  runner_->close();
  api_->close();
  transport_->close([] {});
  dial_checks_->close();
  close_handle(prepare_);
  close_handle(check_);
  close_handle(idle_);
  close_handle(timer_);
  close_handle(chores_);
  close_handle(terminate_);
  close_handle(interrupt_);
  close_handle(hangup_);
  storage_.reset();
}

}  // namespace dunlin
