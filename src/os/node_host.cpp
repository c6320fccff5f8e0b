#include "os/node_host.h"

#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "os/account.h"
#include "os/birth.h"
#include "os/bound_sockets.h"
#include "os/chance.h"
#include "os/clock.h"
#include "os/descriptor_limit.h"
#include "os/host_facts.h"
#include "os/join_token_file.h"
#include "os/say.h"

namespace dunlin {

namespace {

// Requests of the host's own, beside those that the API numbers from 1.
constexpr client::RequestId kFirstTokenRequest = 1ULL << 63;
constexpr std::uint64_t kChoresMs = 1000;
constexpr std::uint64_t kMaxTimerMs = 60'000;
constexpr std::size_t kMaxServersTold = 32;  // to clients elsewhere

template <class Handle>
void close_handle(Handle& handle) {
  auto* raw = reinterpret_cast<uv_handle_t*>(&handle);
  if (raw->type != UV_UNKNOWN_HANDLE && uv_is_closing(raw) == 0) uv_close(raw, nullptr);
}

// `option`: who said so, for the error.
Result<SocketAddress> place_of(const std::string& text, const char* option) {
  const Result<HostPort> place = parse_host_port(text);
  if (!place) return tl::unexpected(place.error());
  const auto address = SocketAddress::from_ip(place->host, place->port);
  if (!address) {
    return fail(Code::kUsage, std::string(option) + " takes IP:PORT, not '" + text + "'");
  }
  return *address;
}

}  // namespace

NodeHost::NodeHost(uv_loop_t* loop, const NodeOptions& options, RecoveredDirectory found)
    : loop_(loop),
      options_(options),
      found_(std::move(found)),
      storage_(std::move(found_.storage)) {}

NodeHost::~NodeHost() = default;

// ---- start --------------------------------------------------------------------------------------

Result<void> NodeHost::start() {
  Journal& journal = found_.journal;
  Recovered& recovered = found_.recovered;
  if (recovered.torn) say("the last write before the end was torn; nobody was promised it");
  Result<NodeFacts> facts = host_facts(options_);
  if (!facts) return tl::unexpected(facts.error());
  address_ = facts->address;
  if (Result<void> settled = settle_account(*facts); !settled) return settled;
  // Before there is anything to regret: a cluster is not founded, and no token used up, for a node
  // that then cannot open its doors.
  if (Result<void> taken = take_places(); !taken) return taken;
  storage_->start(loop_, storage_callbacks());

  Effects first;
  const auto keep = [&](Effects& before) { make_durable(journal, before); };
  Result<NodeStart> life =
      begin_life(loop_, options_, *facts, recovered, found_.former, keep, first);
  if (!life) return tl::unexpected(life.error());
  if (Result<void> promised = promise_token(*life); !promised) return promised;
  make_durable(journal, first);
  if (found_.former) remove_succession(options_.dir);

  NodeConfig config;
  config.facts = std::move(*facts);
  config.sched.cpus = config.facts.cpus;
  config.sched.memory = config.facts.memory;
  config.sched.node_name = config.facts.name;
  config.sched.server = options_.socket;
  config.sched.root_jobs_only = config.facts.root_jobs_only;
  config.checks_reach = true;
  node_ = std::make_unique<Node>(std::move(config), std::move(*life), std::move(journal),
                                 std::move(recovered), Random(random_seed()), monotonic_now(),
                                 wall_now());
  const std::vector<Member> reachable = node_->reachable_members();
  keep_identity(reachable);
  if (Result<void> open = open_doors(); !open) return open;
  tell_servers(reachable);
  return {};
}

// Whom tasks run as, and whether they are let through to their directories, which lie in this one.
Result<void> NodeHost::settle_account(NodeFacts& facts) {
  const Result<FileOwner> owner = owner_of_tasks(options_.run_as);
  if (!owner) return tl::unexpected(owner.error());
  facts.root_jobs_only = root_jobs_only_ = owner->uid == 0;
  const mode_t mode = owner->uid == geteuid() ? 0700 : 0711;
  if (::chmod(options_.dir.c_str(), mode) != 0) {
    return system_error("cannot set the mode of " + options_.dir, errno);
  }
  return {};
}

// Before the founding is durable: whichever life of the founder comes to it makes the token.
Result<void> NodeHost::promise_token(const NodeStart& life) {
  if (life.boot == 1 && !life.founding) forget_promised_join_token(options_.dir);
  if (life.boot == 1 && life.founding) {
    if (Result<void> done = promise_join_token(options_.dir); !done) return done;
  }
  owes_token_ = is_join_token_promised(options_.dir);
  return {};
}

// Nobody hears of this life before its boot is on disk.
void NodeHost::make_durable(Journal& journal, Effects& first) {
  first.row = journal.next_row();
  DiskBatch batch = journal.seal(first);
  awaited_row_ = batch.row;
  storage_->submit(std::move(batch));
  while (awaited_row_ != 0) uv_run(loop_, UV_RUN_ONCE);
  journal.on_durable(journal.last_row());
}

Result<void> NodeHost::take_places() {
  const Result<SocketAddress> address = place_of(options_.listen, "--listen");
  if (!address) return tl::unexpected(address.error());
  Result<BoundSockets> bound = bind_sockets(*address);
  if (!bound) return tl::unexpected(bound.error());
  port_ = std::move(*bound);
  Result<FileDescriptor> socket = bind_local_socket(options_.socket, options_.socket_mode);
  if (!socket) return tl::unexpected(socket.error());
  socket_ = std::move(*socket);
  return options_.http.empty() ? Result<void>{} : take_plain_port();
}

Result<void> NodeHost::take_plain_port() {
  const Result<SocketAddress> address = place_of(options_.http, "--http");
  if (!address) return tl::unexpected(address.error());
  Result<FileDescriptor> bound = bind_tcp_socket(*address);
  if (!bound) return tl::unexpected(bound.error());
  http_ = std::move(*bound);
  return {};
}

Result<void> NodeHost::open_doors() {
  Identity identity{node_->membership().keys, node_->boot(), node_->membership().cluster};
  transport_ = std::make_unique<Transport>(loop_, identity, transport_callbacks());
  transport_->set_keys(node_->membership().key_ring);
  dial_checks_ = std::make_unique<DialChecks>(loop_, identity, node_->membership().key_ring);
  if (Result<SocketAddress> open = transport_->listen(std::move(port_)); !open) {
    return tl::unexpected(open.error());
  }
  api_ = std::make_unique<Api>(
      loop_,
      [this](client::RequestId id, client::Request request) {
        input().on_client(id, std::move(request));
      },
      [this](client::RequestId id) { input().on_client_gone(id); });
  api_->set_figures([this] { return figures(); });
  if (Result<void> open = api_->listen(options_.socket, std::move(socket_)); !open) {
    return open;
  }
  if (http_.is_open()) {
    Result<void> plain = api_->listen_plain(
        options_.http, std::move(http_),
        [this](std::string_view authorization) { return caller_of(authorization); });
    if (!plain) return plain;
  }
  Result<std::unique_ptr<Runner>> runner = Runner::open(loop_, runner_options(), runner_listener());
  if (!runner) return tl::unexpected(runner.error());
  runner_ = std::move(*runner);
  return {};
}

// A copy for the day when the log is lost: without it the old id could not be retired.
void NodeHost::keep_identity(const std::vector<Member>& reachable) {
  const Result<void> written =
      write_identity(options_.dir, identity_of(node_->membership(), reachable));
  // Tried again each second, and said once.
  if (!written && !identity_failed_) say(written.error().message);
  identity_failed_ = members_stale_ = !written;
}

// Where clients elsewhere may turn, too.
void NodeHost::tell_servers(const std::vector<Member>& reachable) {
  std::string servers;
  std::size_t count = 0;
  for (const Member& member : reachable) {
    if (count++ == kMaxServersTold) break;
    servers += (servers.empty() ? "" : ",") + member.facts.address;
  }
  api_->set_servers(std::move(servers));
}

void NodeHost::tell_members() {
  const std::vector<Member> reachable = node_->reachable_members();
  keep_identity(reachable);
  tell_servers(reachable);
}

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

// ---- inputs -------------------------------------------------------------------------------------

StorageCallbacks NodeHost::storage_callbacks() {
  StorageCallbacks callbacks;
  callbacks.on_durable = [this](std::uint64_t row) {
    if (node_ == nullptr) {
      if (row >= awaited_row_) awaited_row_ = 0;
      return;
    }
    input().on_disk(row);
  };
  callbacks.on_checkpoint = [this](std::uint64_t id) { input().on_checkpoint(id); };
  callbacks.on_file_data = [this](const Ticket& ticket, Result<Bytes> data) {
    input().on_file_data(ticket, std::move(data));
  };
  callbacks.on_disk_full = [](bool full) {
    say(full ? "the disk is full: new jobs and blobs are refused until there is room"
             : "the disk has room again");
  };
  return callbacks;
}

Transport::Callbacks NodeHost::transport_callbacks() {
  Transport::Callbacks callbacks;
  callbacks.on_frame = [this](NodeId from, Channel channel, Bytes frame) {
    input().receive(from, channel, frame);
  };
  callbacks.on_peer_reset = [this](NodeId peer) { input().on_peer_reset(peer); };
  callbacks.on_join = [this](JoinRequest request) {
    input().on_join(request.id, request.token, request.key, request.request);
  };
  callbacks.on_trouble = [](const std::string& address, const Error& error) {
    say(address + ": " + error.message);
  };
  callbacks.on_newer_self = [this] {
    say("others know a later life of this node: its directory is an old copy; start it with "
        "--reset to join as a new node");
    stop(1);
  };
  callbacks.on_shut_out = [this] {
    say("the cluster has retired this node's identity; start it with --reset to join anew");
    stop(1);
  };
  callbacks.is_admitted = [this](NodeId id, const PublicKey&) { return node_->is_admitted(id); };
  callbacks.token_psk = [this](const TokenId& token) { return node_->token_psk(token); };
  callbacks.admit_client = [this](const TokenId& token) { return node_->admit_client(token); };
  callbacks.on_client = [this](std::unique_ptr<ByteStream> stream, const TokenId& token) {
    api_->adopt(std::move(stream), {kNoAccount, node_->user_of_client(token), token});
  };
  return callbacks;
}

Runner::Listener NodeHost::runner_listener() {
  Runner::Listener listener;
  listener.on_events = [this](std::vector<ProcessEvent> events) {
    Node& node = input();
    for (ProcessEvent& event : events) node.on_process(std::move(event));
  };
  listener.on_problem = [](const std::string& line) { say(line); };
  return listener;
}

RunnerOptions NodeHost::runner_options() const {
  RunnerOptions options;
  options.directory = options_.dir;
  options.run_as = options_.run_as;
  return options;
}

void NodeHost::do_chores() {
  check_storage();
  show_condition();
  drop_former_callers();
  if (members_stale_) tell_members();
}

void NodeHost::check_storage() {
  const DiskSpace space = storage_->space();
  Node& node = input();
  node.set_disk_space(space.total, space.free);
  const bool stalled = storage_->stalled_since(monotonic_now()).has_value();
  if (stalled == storage_stalled_) return;
  storage_stalled_ = stalled;
  node.set_storage_stalled(stalled);
  say(stalled ? "a write has been stuck for more than a second" : "the disk answers again");
}

// RFC 6750: "Authorization: Bearer TOKEN".
Result<HttpCaller> NodeHost::caller_of(std::string_view authorization) const {
  constexpr std::string_view kScheme = "Bearer ";
  const bool is_bearer = authorization.size() > kScheme.size() &&
                         strncasecmp(authorization.data(), kScheme.data(), kScheme.size()) == 0;
  if (!is_bearer) {
    return fail(Code::kRefused, "a user's token is asked for here",
                "send it as: Authorization: Bearer TOKEN");
  }
  const Result<JoinToken> token = JoinToken::parse(authorization.substr(kScheme.size()));
  if (!token) return tl::unexpected(token.error());
  Result<std::string> user = node_->user_of_bearer(*token);
  if (!user) return tl::unexpected(user.error());
  return HttpCaller{kNoAccount, std::move(*user), token->id};
}

// Tokens expire and are revoked while their bearers are here.
void NodeHost::drop_former_callers() {
  api_->drop_callers(
      [this](const TokenId& token) { return node_->admit_client(token) == Verdict::kAdmitted; });
}

HostFigures NodeHost::figures() const {
  HostFigures figures;
  figures.log_commits = storage_->log_commits();
  figures.log_backlog = storage_->backlog();
  add_process_figures(figures);
  return figures;
}

void NodeHost::show_condition() {
  HostCondition condition;
  const DiskSpace space = storage_->space();
  condition.disk_total = space.total;
  condition.disk_free = space.free;
  condition.log_commit_us = static_cast<std::uint64_t>(storage_->log_commits().recent_median().us);
  condition.descriptors = descriptor_limit();
  node_->set_condition(condition);
}

// A peer whose address is not known yet asks again.
void NodeHost::check_dial(const DialCheck& wanted) {
  const auto& members = node_->gossip().members();
  const auto member = members.find(wanted.peer);
  if (member == members.end()) return;
  const NodeFacts& facts = member->second.facts;
  dial_checks_->start(wanted.peer, facts.key, facts.address,
                      [this, wanted](const Result<void>& how) {
                        input().on_dialled(wanted.peer, wanted.round, how);
                      });
}

// ---- first words --------------------------------------------------------------------------------

void NodeHost::on_first_ready() {
  if (is_ready_ || !node_->is_ready()) return;
  is_ready_ = true;
  // A founder's first word is worth waiting for only when others can join by it.
  if (owes_token_) {
    make_first_token();
  } else {
    say_ready();
  }
}

void NodeHost::say_ready() {
  if (root_jobs_only_ && options_.cpus != 0U) {
    say("tasks run as root here, so only root's jobs are taken; --run-as USER takes everybody's");
  }
  std::printf("ready %s %s %s\n", node_->id().text().c_str(), address_.c_str(),
              node_->membership().cluster.text().c_str());
  std::fflush(stdout);
}

void NodeHost::make_first_token() {
  client::CreateToken token;
  token.uses = 0;
  fill_with_chance(token.entropy);
  input().on_client(kFirstTokenRequest, client::Request(std::move(token)));
}

void NodeHost::on_reply(client::Reply reply) {
  if (reply.request != kFirstTokenRequest) {
    api_->deliver(std::move(reply));
    return;
  }
  keep_first_token(std::move(reply.answer));
  say_ready();
}

// A node that could not make it works all the same, and tries again in its next life.
void NodeHost::keep_first_token(Result<client::Answer> answer) {
  if (!answer) {
    say("no token for joiners could be made: " + answer.error().message +
        "; make one with: dunlin token create");
    return;
  }
  const auto& made = std::get<client::TokenCreated>(*answer);
  say("founded cluster " + node_->membership().cluster.text() + "; on the next host run:\n  " +
      "dunlin up --join " + address_ + " --token " + made.token);
  if (Result<void> written = write_join_token(options_.dir, made.token); !written) {
    say(written.error().message);
  }
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
