#include "sim/sim_world.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"
#include "base/crypto.h"

namespace dunlin::sim {

namespace {

constexpr Duration kSamplePeriod = milliseconds(50);
// A node that rings its timer oftener than this spins (Q10).
constexpr std::uint64_t kMostTicksASecond = 3000;
constexpr std::string_view kNet = "10.0.";

}  // namespace

NodeConfig WorldOptions::brisk_config() {
  NodeConfig config;
  config.groups.stable_view = milliseconds(500);
  config.groups.replace_after = seconds(15);
  config.groups.move_interval = seconds(4);
  config.groups.settle = seconds(5);
  config.store.repair_delay = seconds(5);
  config.store.compare_delay = seconds(3);
  config.store.disk_reserve = 1 << 20;
  config.store.scrub_pass = seconds(30);
  config.store.scrub_rate = 16ULL << 20;
  config.checkpoint_delay = seconds(2);
  config.checkpoint_changes = 500;
  return config;
}

SimWorld::SimWorld(const WorldOptions& options)
    : options_(options),
      random_(options.seed),
      network_(queue_, faults_, random_.fork()),
      leaders_(verdict_),
      replicas_(verdict_),
      promises_(verdict_),
      copies_(verdict_),
      executors_(verdict_) {
  initialise_crypto();
  queue_.after(kSamplePeriod, [this] { sample(); });
}

SimWorld::~SimWorld() = default;

// ---- hosts --------------------------------------------------------------------------------------

SimHost& SimWorld::add_host() {
  hosts_.push_back(std::make_unique<SimHost>(*this, hosts_.size(), random_.fork()));
  return *hosts_.back();
}

std::string SimWorld::address_of(HostIndex index) {
  return std::string(kNet) + std::to_string(index / 250) + "." + std::to_string(index % 250 + 1) +
         ":7400";
}

std::optional<HostIndex> SimWorld::host_at(const std::string& address) const {
  for (HostIndex i = 0; i < hosts_.size(); ++i) {
    if (address_of(i) == address) return i;
  }
  return std::nullopt;
}

std::optional<HostIndex> SimWorld::host_of(const NodeId& id) const {
  for (const auto& host : hosts_) {
    if (host->is_up() && host->id() == id) return host->index();
  }
  return std::nullopt;
}

bool SimWorld::form(std::size_t hosts, Duration most) {
  std::vector<HostIndex> all;
  for (std::size_t i = 0; i < hosts; ++i) all.push_back(add_host().index());
  host(0).found();
  if (!run_until([&] { return host(0).is_up() && host(0).node()->is_ready(); }, most)) return false;
  client::CreateToken create;
  create.uses = 0;
  random_.fill(create.entropy);
  const Result<client::Answer> made = call(0, client::Request(create));
  if (!made) return false;
  token_ = *JoinToken::parse(std::get<client::TokenCreated>(*made).token);
  for (std::size_t i = 1; i < hosts; ++i) host(i).join(*token_);
  return run_until([&] { return see_each_other(all); }, most);
}

// ---- time ---------------------------------------------------------------------------------------

bool SimWorld::run_until(const std::function<bool()>& condition, Duration most) {
  const Instant end = queue_.now() + most;
  while (!condition()) {
    if (!queue_.step(end)) return condition();
  }
  return true;
}

void SimWorld::run_for(Duration time) {
  const Instant end = queue_.now() + time;
  while (queue_.step(end)) {
  }
}

Result<client::Answer> SimWorld::call(HostIndex at, client::Request request, Duration most) {
  auto answer = std::make_shared<std::optional<Result<client::Answer>>>();
  host(at).ask(std::move(request), [answer](Result<client::Answer> reply, bool last) {
    if (last) *answer = std::move(reply);
  });
  run_until([&] { return answer->has_value(); }, most);
  if (!*answer) return fail(Code::kTimeout, "no answer at all");
  return **answer;
}

// ---- what is to be seen -------------------------------------------------------------------------

bool SimWorld::see_each_other(const std::vector<HostIndex>& wanted) const {
  std::vector<NodeId> ids;
  for (const HostIndex i : wanted) {
    if (!host(i).is_up()) return false;
    ids.push_back(host(i).id());
  }
  std::sort(ids.begin(), ids.end());
  for (const HostIndex i : wanted) {
    std::vector<NodeId> seen;
    for (const auto& [id, member] : host(i).node()->gossip().members()) {
      if (member.state == MemberState::kAlive) seen.push_back(id);
    }
    if (seen != ids) return false;
  }
  return true;
}

std::optional<SimWorld::Leadership> SimWorld::latest_leader(GroupId group) const {
  std::optional<Leadership> latest;
  for (const auto& host : hosts_) {
    if (!host->is_up()) continue;
    const Groups& groups = host->node()->groups();
    const Term term = groups.leading_term(group);
    if (term > (latest ? latest->term : 0)) latest = {term, *groups.config(group)};
  }
  return latest;
}

// Replicas are compared now and then: those that stand at the same entry must agree.
void SimWorld::sample() {
  for (const auto& one : hosts_) {
    if (!one->is_up()) continue;
    const Node& node = *one->node();
    for (const auto& [id, member] : node.gossip().members()) {
      if (member.state == MemberState::kDead) declared_dead_.insert(id);
    }
    for (std::uint16_t g = 0; g < options_.groups; ++g) {
      const std::optional<AppliedState> applied = node.groups().applied(GroupId{g});
      if (!applied) continue;
      LogIndex& last = sampled_[{one->index(), GroupId{g}}];
      if (last == applied->index) continue;
      last = applied->index;
      replicas_.advances(queue_.now(), one->life_number(), GroupId{g}, applied->generation,
                         applied->index);
      replicas_.stands(queue_.now(), one->id(), GroupId{g}, applied->index,
                       blake2b_64(node.scheduler().snapshot(GroupId{g})),
                       [&](const NodeId& other) { return difference(node, other, GroupId{g}); });
    }
  }
  queue_.after(kSamplePeriod, [this] { sample(); });
}

// The rows of a group's state that two nodes have otherwise.
std::string SimWorld::difference(const Node& node, const NodeId& other, GroupId group) const {
  const auto at = host_of(other);
  if (!at) return {};
  const auto theirs = host(*at).node()->groups().applied(group);
  if (!theirs || theirs->index != node.groups().applied(group)->index) return {};
  using StateRows = std::map<std::string, Bytes>;
  const auto a = decode<StateRows>(host(*at).node()->scheduler().snapshot(group));
  const auto b = decode<StateRows>(node.scheduler().snapshot(group));
  std::string text;
  if (!a || !b) return text;
  for (const auto& [key, value] : *a) {
    const auto found = b->find(key);
    if (found == b->end()) text += ", the other lacks " + key;
    if (found != b->end() && found->second != value) text += ", in " + key;
  }
  for (const auto& [key, value] : *b) {
    if (!a->contains(key)) text += ", the first lacks " + key;
  }
  return text;
}

// ---- for the hosts ------------------------------------------------------------------------------

void SimWorld::after_turn(SimHost& host) {
  for (std::uint16_t g = 0; g < options_.groups; ++g) {
    const Term term = host.node()->groups().leading_term(GroupId{g});
    if (term != 0) leaders_.leads(queue_.now(), host.id(), GroupId{g}, term);
  }
  executors_.after_turn(queue_.now(), host.id(), host.life_number());
}

void SimWorld::after_tick(SimHost& host) {
  Ticks& ticks = ticks_[host.index()];
  const std::int64_t second = queue_.now().us / 1'000'000;
  if (ticks.second != second) ticks = {second, 0};
  if (++ticks.count != kMostTicksASecond || !host.is_up()) return;
  verdict_.fail(queue_.now(), "Q10", host.name() + " spins:" + overdue(host));
}

std::string SimWorld::overdue(const SimHost& host) const {
  std::string text;
  const Node& node = *host.node();
  const auto look = [&](const char* what, Instant deadline) {
    if (deadline <= host.now()) text += std::string(" ") + what;
  };
  look("gossip", node.gossip().next_deadline());
  look("groups", node.groups().next_deadline());
  look("store", node.blobs().next_deadline());
  look("sched", node.scheduler().next_deadline());
  look("node", node.next_deadline());
  return text;
}

void SimWorld::after_end(SimHost& host) {
  if (host.last_end() == SimHost::End::kLeft) faults_.note(Fault::kLeave);
  if (on_end) on_end(host);
}

void SimWorld::on_start(SimHost& host, const Recovered& recovered) {
  promises_.on_start(queue_.now(), host.id(), host.life_number(), recovered, host.is_honest());
  if (!host.is_honest()) return;
  copies_.holds(queue_.now(), host.id(), recovered.facts);
  executors_.on_start(queue_.now(), host.id(), recovered.facts);
}

void SimWorld::on_send(SimHost& host, const Send& message) {
  ++sent_[message.frame.empty() ? 0 : message.frame[0] % sent_.size()];
  promises_.on_send(queue_.now(), host.id(), host.life_number(), message.to, message.frame);
  copies_.on_send(queue_.now(), host.id(), host.disk(), host.is_honest(), message.to,
                  message.frame);
  executors_.on_send(queue_.now(), host.id(), host.life_number(), host.disk(), host.is_honest(),
                     message.to, message.frame);
  if (on_sent) on_sent(host.index(), message.to, message.frame);
}

void SimWorld::on_delivered(HostIndex from, HostIndex to, ByteView frame) {
  ++frames_[frame.empty() ? 0 : frame[0] % frames_.size()];
  if (host(from).is_banished() && heard_copies_.insert(from).second) faults_.note(Fault::kCloned);
  if (on_frame) on_frame(from, to, frame);
}

void SimWorld::on_own_send(SimHost& host, ByteView frame) {
  executors_.on_send(queue_.now(), host.id(), host.life_number(), host.disk(), host.is_honest(),
                     host.id(), frame);
}

void SimWorld::on_received(SimHost& host, const NodeId& from, ByteView frame) {
  executors_.on_received(host.life_number(), from, host.disk(), frame);
}

void SimWorld::on_reply(SimHost& host, const client::Reply& reply) {
  if (!reply.answer) return;
  const auto* put = std::get_if<client::BlobPut>(&*reply.answer);
  if (put == nullptr || host.node() == nullptr) return;
  std::size_t members = 0;
  for (const auto& [id, member] : host.node()->gossip().members()) {
    // It keeps nothing then. Its order to leave may have been refused, as one to drain is not.
    const bool leaves = host.was_told_to_leave() && member.load.draining;
    if (id == host.id() && leaves) continue;
    const bool may_live =
        member.state == MemberState::kAlive || member.state == MemberState::kSuspect;
    members += may_live ? 1 : 0;
  }
  copies_.stored(queue_.now(), host.id(), host.disk(), *put, members);
}

void SimWorld::on_process(SimHost& host, const StartProcess& start) {
  executors_.starts(queue_.now(), host.id(), host.life_number(), host.disk(), start);
}

void SimWorld::check_disks(const std::vector<HostIndex>& hosts) {
  for (const HostIndex i : hosts) {
    if (host(i).is_honest()) copies_.holds(queue_.now(), host(i).id(), host(i).disk().facts());
  }
}

void SimWorld::send_newer_self(HostIndex from, const SimHost::Sender& to, Boot boot) {
  network_.send(from, to.host, Channel::kStream, [this, to, boot](SimNetwork::Fate fate) {
    return host(to.host).on_newer_self(fate, to.id, boot);
  });
}

void SimWorld::send_shut_out(HostIndex from, const SimHost::Sender& to) {
  network_.send(from, to.host, Channel::kStream, [this, to](SimNetwork::Fate fate) {
    return host(to.host).on_shut_out(fate, to.id);
  });
}

void SimWorld::send_join_reply(HostIndex from, HostIndex joiner, std::uint64_t attempt,
                               Bytes reply) {
  network_.send(from, joiner, Channel::kStream,
                [this, joiner, attempt, reply = std::move(reply)](SimNetwork::Fate fate) {
                  return host(joiner).on_join_reply(fate, attempt, reply);
                });
}

void SimWorld::tell_resets(HostIndex dead, const NodeId& id) {
  for (const auto& peer : hosts_) {
    if (peer->index() == dead || !peer->is_up()) continue;
    network_.send(dead, peer->index(), Channel::kStream,
                  [this, to = peer->index(), id](SimNetwork::Fate fate) {
                    if (!host(to).is_up()) return false;
                    if (fate == SimNetwork::Fate::kLost) return true;
                    host(to).input([id](Node& node) { node.on_peer_reset(id); });
                    return true;
                  });
  }
}

Duration SimWorld::disk_time(bool lying, Random& random) const {
  return lying ? seconds(2) : random.between(options_.disk_least, options_.disk_most);
}

void SimWorld::keep_disk_counts(const SimDisk& disk) {
  const auto take = [&](DiskFault from, Fault to) {
    for (std::uint64_t i = disk.count(from); i > 0; --i) faults_.note(to);
  };
  take(DiskFault::kLostBatches, Fault::kLostWrites);
  take(DiskFault::kTornRow, Fault::kTornWrite);
  take(DiskFault::kTornFile, Fault::kTornWrite);
  take(DiskFault::kReadRot, Fault::kPackRot);
  take(DiskFault::kFull, Fault::kDiskFull);
  take(DiskFault::kIoError, Fault::kIoError);
  take(DiskFault::kHang, Fault::kHungDisk);
}

SimRunner::Ends SimWorld::ends(const std::string& task) const {
  SimRunner::Ends all;
  for (const auto& host : hosts_) {
    const SimRunner::Ends* here = host->runner().ends(task);
    if (here == nullptr) continue;
    all.failures += here->failures;
    all.successes += here->successes;
    all.lost_with.insert(here->lost_with.begin(), here->lost_with.end());
  }
  // A host that holds an attempt may be gone before it begins.
  all.lost_with.insert(declared_dead_.begin(), declared_dead_.end());
  return all;
}

void SimWorld::collect_disk_counts() {
  for (const auto& host : hosts_) keep_disk_counts(host->disk());
}

}  // namespace dunlin::sim
