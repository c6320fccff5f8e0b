// From a data directory to a node that listens, and its first words.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "os/account.h"
#include "os/birth.h"
#include "os/bound_sockets.h"
#include "os/chance.h"
#include "os/clock.h"
#include "os/host_facts.h"
#include "os/identity_file.h"
#include "os/join_token_file.h"
#include "os/node_host.h"
#include "os/say.h"

namespace dunlin {

namespace {

// Requests of the host's own, beside those that the API numbers from 1.
constexpr client::RequestId kFirstTokenRequest = 1ULL << 63;

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

RunnerOptions NodeHost::runner_options() const {
  RunnerOptions options;
  options.directory = options_.dir;
  options.run_as = options_.run_as;
  return options;
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
  stamp_lines();
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

}  // namespace dunlin
