// What the world brings to the node, and what it is told once a second.
#include <strings.h>

#include "os/account.h"
#include "os/birth.h"
#include "os/clock.h"
#include "os/descriptor_limit.h"
#include "os/host_figures.h"
#include "os/identity_file.h"
#include "os/node_host.h"
#include "os/say.h"

namespace dunlin {

namespace {

constexpr std::size_t kMaxServersTold = 32;  // to clients elsewhere

}  // namespace

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

// ---- what others may know -----------------------------------------------------------------------

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

}  // namespace dunlin
