#include "sim/sim_host.h"

#include "base/assert.h"
#include "base/codec.h"
#include "sim/sim_world.h"

namespace dunlin::sim {

namespace {

constexpr Duration kLoopTurn = microseconds(20);
constexpr Duration kChores = seconds(1);
constexpr Duration kStallLimit = seconds(1);
constexpr std::uint64_t kDiskSize = 64ULL << 30;
// What trace entries are about.
enum : std::uint64_t { kFrameEvent = 1, kDiskEvent, kReplyEvent, kProcessEvent, kLifeEvent };

}  // namespace

SimHost::SimHost(SimWorld& world, HostIndex index, Random random)
    : world_(world),
      index_(index),
      name_("h" + std::to_string(index)),
      random_(random),
      clock_offset_(random_.between(seconds(10), seconds(100'000))),
      wall_offset_ms_(random_.between(-2000, 2000)),
      runner_(
          world.queue(), random_.fork(),
          [this](ProcessEvent event) {
            input([event = std::move(event)](Node& node) { node.on_process(event); });
          },
          [this] { return wall(); }) {}

Instant SimHost::now() const {
  return world_.queue().now() + clock_offset_;
}
WallTime SimHost::wall() const {
  return {1'800'000'000'000 + wall_offset_ms_ + world_.queue().now().us / 1000};
}

// ---- turns --------------------------------------------------------------------------------------

void SimHost::input(std::function<void(Node&)> what) {
  if (!node_) return;
  if (paused_) {
    backlog_.push_back(std::move(what));
    return;
  }
  node_->begin_turn(now(), wall());
  what(*node_);
  if (node_->next_deadline() <= now()) node_->tick();
  perform(node_->end_turn());
  if (node_) {
    world_.after_turn(*this);
    arm_timer();
  }
}

void SimHost::arm_timer() {
  const Instant next = node_->next_deadline();
  if (next == Instant::never()) return;
  // A loop needs a moment to come round.
  const Instant at = std::max(next - clock_offset_, world_.queue().now() + kLoopTurn);
  if (armed_ <= at) return;
  armed_ = at;
  world_.queue().at(at, [this, at, life = life_] {
    if (life != life_ || armed_ != at) return;
    armed_ = Instant::never();
    if (paused_) return;
    input([](Node& node) { node.tick(); });
    world_.after_tick(*this);
  });
}

void SimHost::perform(Output output) {
  for (const PeerAddress& peer : output.peers) {
    if (const auto place = world_.host_at(peer.address)) places_[peer.id] = *place;
    Boot& known = boots_[peer.id];
    known = std::max(known, peer.boot);
  }
  for (const NodeId& peer : output.forgotten_peers) places_.erase(peer);
  if (output.batch) submit(std::move(*output.batch));
  for (Send& message : output.sends) send(message);
  if (output.checkpoint) disk_.checkpoint(std::move(*output.checkpoint));
  for (FileRead& read : output.file_reads) disk_.read_file(std::move(read.extent), read.ticket);
  for (std::string& file : output.file_removals) disk_.remove_file(std::move(file));
  wake_disk();
  perform_processes(output);
  for (JoinAnswer& answer : output.join_answers) {
    const auto joiner = joiners_.find(answer.join);
    if (joiner == joiners_.end()) continue;
    world_.send_join_reply(index_, joiner->second.first, joiner->second.second,
                           std::move(answer.reply));
    joiners_.erase(joiner);
  }
  for (client::Reply& reply : output.replies) {
    const auto client = clients_.find(reply.request);
    if (client == clients_.end() || mute_) continue;
    world_.trace().note(world_.queue().now(), kReplyEvent, index_, reply.answer.has_value());
    world_.on_reply(*this, reply);
    const OnReply on_reply = client->second.on_reply;
    if (reply.last) clients_.erase(client);
    reply_later(on_reply, std::move(reply.answer), reply.last);
  }
  if (output.fatal) {
    end_process(End::kFatal, *output.fatal, Crash{}, false);
  } else if (output.stop) {
    Crash in_order;
    in_order.keep_batches = SIZE_MAX;
    in_order.keep_checkpoint = true;
    end_process(leaving_ ? End::kLeft : End::kStopped, "", in_order, false);
  }
}

void SimHost::perform_processes(const Output& output) {
  for (const StartProcess& start : output.starts) {
    world_.trace().note(world_.queue().now(), kProcessEvent, index_, start.key, start.label);
    world_.on_process(*this, start);
    runner_.start(start);
  }
  for (const SignalProcess& order : output.signals) runner_.signal(order);
  for (const OutputTaken& taken : output.taken) runner_.taken(taken);
  for (const FindOutputs& search : output.output_searches) runner_.find(search);
  for (const ReadOutput& read : output.output_reads) runner_.read(read);
  for (const ReleaseProcess& release : output.releases) runner_.release(release);
}

// ---- the network --------------------------------------------------------------------------------

void SimHost::send(Send& message) {
  if (message.to == id_) {
    world_.on_own_send(*this, message.frame);
    local_.push_back(std::move(message.frame));
    if (local_.size() == 1) {
      world_.queue().after(kLoopTurn, [this, life = life_] {
        if (life == life_) deliver_local();
      });
    }
    return;
  }
  world_.on_send(*this, message);
  const auto place = places_.find(message.to);
  if (place == places_.end()) return;
  const Sender sender{index_, id_, boot_, node_ ? node_->membership().cluster : ClusterId{}};
  const HostIndex to = place->second;
  world_.network().send(index_, to, message.channel,
                        [this, sender, to, id = message.to, channel = message.channel,
                         frame = std::move(message.frame)](SimNetwork::Fate fate) {
                          return world_.host(to).on_frame(fate, sender, id, channel, frame);
                        });
}

// Frames of the node to itself make one round a turn.
void SimHost::deliver_local() {
  std::vector<Bytes> frames = std::exchange(local_, {});
  input([this, frames = std::move(frames)](Node& node) {
    for (const Bytes& frame : frames) {
      world_.on_received(*this, id_, frame);
      node.receive(node.id(), Channel::kStream, frame);
    }
  });
}

bool SimHost::on_frame(SimNetwork::Fate fate, const Sender& sender, const NodeId& to,
                       Channel channel, const Bytes& frame) {
  if (!node_) return false;
  // The handshake: the other end is whom it was meant for, of the same cluster, admitted, and in
  // no earlier life than is known of it.
  if (to != id_ || sender.cluster != node_->membership().cluster) return false;
  if (!node_->is_admitted(sender.id)) {
    const bool is_told = fate != SimNetwork::Fate::kLost && channel == Channel::kStream;
    if (is_told) world_.send_shut_out(index_, sender);
    return false;
  }
  if (fate == SimNetwork::Fate::kLost) {
    const auto known = boots_.find(sender.id);
    return known == boots_.end() || sender.boot >= known->second;
  }
  Boot& known = boots_[sender.id];
  if (sender.boot < known) {
    world_.send_newer_self(index_, sender, known);
    return false;
  }
  known = sender.boot;
  places_[sender.id] = sender.host;
  Boot& met = met_[sender.id];
  const bool was_older = met != 0 && met < sender.boot;
  met = sender.boot;
  world_.trace().note(world_.queue().now(), kFrameEvent, sender.host, index_, frame);
  world_.on_delivered(sender.host, index_, frame);
  if (paused_ && !std::exchange(kept_waiting_, true)) world_.faults().note(Fault::kPause);
  input([this, from = sender.id, channel, frame, was_older](Node& node) {
    world_.on_received(*this, from, frame);
    if (was_older) node.on_peer_reset(from);
    node.receive(from, channel, frame);
  });
  return true;
}

bool SimHost::on_newer_self(SimNetwork::Fate fate, const NodeId& id, Boot boot) {
  if (!node_ || id != id_ || boot <= boot_) return false;
  if (fate == SimNetwork::Fate::kLost) return true;
  end_process(End::kFatal, "others know a later life of this node", Crash{}, false);
  return true;
}

bool SimHost::on_shut_out(SimNetwork::Fate fate, const NodeId& id) {
  if (!node_ || id != id_) return false;
  if (fate == SimNetwork::Fate::kLost) return true;
  end_process(End::kFatal, "the cluster has retired this node's identity", Crash{}, false);
  return true;
}

// ---- clients ------------------------------------------------------------------------------------

void SimHost::ask(client::Request request, OnReply on_reply) {
  if (!node_) {
    reply_later(on_reply, fail(Code::kUnreachable, "no node behind the socket"), true);
    return;
  }
  const client::RequestId id = next_request_++;
  clients_[id] = {std::move(on_reply), world_.queue().now()};
  if (std::holds_alternative<client::LeaveNode>(request) &&
      std::get<client::LeaveNode>(request).node == id_) {
    leaving_ = true;
  }
  input([id, request = std::move(request)](Node& node) { node.on_client(id, request); });
}

std::optional<Instant> SimHost::oldest_question() const {
  if (clients_.empty()) return std::nullopt;
  return clients_.begin()->second.asked;
}

// ---- the disk -----------------------------------------------------------------------------------

void SimHost::submit(DiskBatch batch) {
  const std::uint64_t row = batch.row;
  disk_.submit(world_.queue().now(), std::move(batch));
  if (!lying_disk_ || !node_) return;
  world_.queue().after(kLoopTurn, [this, row, life = life_] {
    if (life == life_) input([row](Node& node) { node.on_disk(row); });
  });
}

void SimHost::wake_disk() {
  if (disk_scheduled_ || !disk_.has_waiting()) return;
  disk_scheduled_ = true;
  world_.queue().after(world_.disk_time(lying_disk_, random_), [this, life = life_] {
    disk_scheduled_ = false;
    if (life == life_) {
      disk_event();
    } else {
      wake_disk();
    }
  });
}

void SimHost::disk_event() {
  if (paused_) {
    disk_scheduled_ = true;
    world_.queue().after(milliseconds(20), [this, life = life_] {
      disk_scheduled_ = false;
      if (life == life_) disk_event();
    });
    return;
  }
  SimDisk::Completions done = disk_.complete();
  if (done.durable != 0) {
    world_.trace().note(world_.queue().now(), kDiskEvent, index_, done.durable);
    if (birth_) {
      begin();
    } else if (!lying_disk_) {
      input([row = done.durable](Node& node) { node.on_disk(row); });
    }
  }
  for (const std::uint64_t id : done.checkpoints) {
    input([id](Node& node) { node.on_checkpoint(id); });
  }
  for (auto& [ticket, data] : done.file_data) {
    input(
        [ticket = ticket, data = std::move(data)](Node& node) { node.on_file_data(ticket, data); });
  }
  if (done.fatal) {
    end_process(End::kIoError, *done.fatal, Crash{}, false);
    return;
  }
  wake_disk();
}

void SimHost::chores() {
  if (phase_ != Phase::kUp) return;
  const bool full = disk_.is_full();
  const bool stalled = disk_.stalled_since(world_.queue().now(), kStallLimit).has_value();
  const bool changed = stalled != stalled_;
  stalled_ = stalled;
  input([full, stalled, changed](Node& node) {
    node.set_disk_space(kDiskSize, full ? 0 : kDiskSize / 2);
    if (changed) node.set_storage_stalled(stalled);
  });
  world_.queue().after(kChores, [this, life = life_] {
    if (life == life_) chores();
  });
}

// ---- birth --------------------------------------------------------------------------------------

bool SimHost::open(Journal& journal, Recovered& recovered) {
  ASSERT(phase_ == Phase::kDown);
  ++life_;
  leaving_ = false;
  Result<DiskImage> image = disk_.read_image();
  ASSERT(image.has_value());
  Result<Recovered> opened = journal.open(std::move(*image));
  if (!opened) {
    refuse(End::kRotten, opened.error().message);
    return false;
  }
  recovered = std::move(*opened);
  return true;
}

void SimHost::refuse(End end, const std::string& words) {
  phase_ = Phase::kDown;
  last_end_ = end;
  last_words_ = words;
  world_.trace().note(world_.queue().now(), kLifeEvent, index_,
                      100 + static_cast<std::uint64_t>(end));
  count_tampering(true);
}

// Rot took effect when the journal refused it; a disk gone back in time, when a process begins on
// it in any case.
void SimHost::count_tampering(bool refused) {
  const std::optional<Fault> how = std::exchange(tampered_, std::nullopt);
  if (!how) return;
  if (refused || how == Fault::kLostTail || how == Fault::kRestored) world_.faults().note(*how);
}

void SimHost::found() {
  Journal journal;
  Recovered recovered;
  if (!open(journal, recovered)) return;
  Effects first;
  first.row = journal.next_row();
  NodeStart start;
  Key32 seed{};
  random_.fill(seed);
  start.membership.keys = key_pair_from_seed(seed);
  random_.fill(start.membership.cluster.raw);
  start.membership.group_count = world_.options().groups;
  Key32 key{};
  random_.fill(key);
  start.membership.key_ring.keys = {{std::uint8_t{1}, key}};
  start.founding = true;
  put_membership(start.membership, seed, first);
  put_boot(1, first);
  put_founding(first);
  bear(std::move(journal), std::move(recovered), std::move(start), first);
}

void SimHost::resume() {
  Journal journal;
  Recovered recovered;
  if (!open(journal, recovered)) return;
  Result<Remembered> before = remembered(recovered.facts);
  if (!before) return refuse(End::kRotten, before.error().message);
  Effects first;
  first.row = journal.next_row();
  NodeStart start;
  start.boot = before->boot + 1;
  start.founding = before->founding;
  start.membership = std::move(before->membership);
  start.seeds = std::move(before->seeds);
  put_boot(start.boot, first);
  bear(std::move(journal), std::move(recovered), std::move(start), first);
}

// Nobody hears of this life before its boot is on disk.
void SimHost::bear(Journal journal, Recovered recovered, NodeStart start, Effects& first) {
  phase_ = Phase::kStarting;
  count_tampering(false);
  disk_.submit(world_.queue().now(), journal.seal(first));
  id_ = start.membership.id();
  boot_ = start.boot;
  world_.on_start(*this, recovered);
  birth_ = Birth{std::move(journal), std::move(recovered), std::move(start)};
  wake_disk();
}

void SimHost::begin() {
  Birth birth = std::move(*birth_);
  birth_.reset();
  birth.journal.on_durable(birth.journal.last_row());
  phase_ = Phase::kUp;
  armed_ = Instant::never();
  local_.clear();
  places_.clear();
  boots_.clear();
  met_.clear();
  stalled_ = false;
  world_.trace().note(world_.queue().now(), kLifeEvent, index_, boot_);
  node_ = std::make_unique<Node>(config(), std::move(birth.start), std::move(birth.journal),
                                 std::move(birth.recovered), random_.fork(), now(), wall());
  input([](Node& node) { node.tick(); });
  runner_.attach(id_);
  chores();
}

NodeConfig SimHost::config() const {
  NodeConfig config = world_.options().node;
  config.facts.name = name_;
  config.facts.address = world_.address_of(index_);
  config.facts.cpus = world_.options().cpus;
  config.facts.memory = 16ULL << 30;
  config.facts.disk_total = kDiskSize;
  config.facts.version = "0.1.0";
  config.sched.cpus = config.facts.cpus;
  config.sched.memory = config.facts.memory;
  config.sched.node_name = name_;
  config.sched.server = "api.sock";
  return config;
}

// ---- joining ------------------------------------------------------------------------------------

void SimHost::join(const JoinToken& token) {
  Journal journal;
  Recovered recovered;
  if (!open(journal, recovered)) return;
  ASSERT(recovered.facts.empty());
  Joining joining;
  joining.token = token;
  random_.fill(joining.seed);
  joining.membership.keys = key_pair_from_seed(joining.seed);
  joining_ = std::move(joining);
  phase_ = Phase::kJoining;
  id_ = NodeId{};
  boot_ = 0;
  ask_to_join();
}

// One server after another, until one answers.
void SimHost::ask_to_join() {
  Joining& j = *joining_;
  j.attempt = next_attempt_++;
  const HostIndex server = j.next_server++ % world_.host_count();
  if (server != index_) {
    const Bytes request = encode(AdmissionRequest{name_, world_.address_of(index_), "0.1.0", {}});
    world_.network().send(index_, server, Channel::kStream,
                          [this, server, attempt = j.attempt, token = j.token,
                           key = j.membership.keys.public_key, request](SimNetwork::Fate fate) {
                            return world_.host(server).on_join_question(fate, index_, attempt,
                                                                        token, key, request);
                          });
  }
  world_.queue().after(seconds(server == index_ ? 0 : 2),
                       [this, attempt = j.attempt, life = life_] {
                         if (life == life_ && joining_ && joining_->attempt == attempt)
                           ask_to_join();
                       });
}

bool SimHost::on_join_question(SimNetwork::Fate fate, HostIndex joiner, std::uint64_t attempt,
                               const JoinToken& token, const PublicKey& key, const Bytes& request) {
  if (!node_ || node_->token_psk(token.id) != token.psk()) return false;
  if (fate == SimNetwork::Fate::kLost) return true;
  const JoinId join = next_join_++;
  joiners_[join] = {joiner, attempt};
  input([join, token, key, request](Node& node) { node.on_join(join, token.id, key, request); });
  return true;
}

bool SimHost::on_join_reply(SimNetwork::Fate fate, std::uint64_t attempt, const Bytes& bytes) {
  if (!joining_ || joining_->attempt != attempt) return false;
  if (fate == SimNetwork::Fate::kLost) return true;
  const Result<AdmissionReply> reply = decode<AdmissionReply>(bytes);
  // A refusal is asked about again: a person would type the command once more.
  if (reply && reply->admitted) take_welcome(*reply);
  return true;
}

void SimHost::take_welcome(const AdmissionReply& reply) {
  Joining joining = std::move(*joining_);
  joining_.reset();
  Result<KeyRing> ring = decode_key_ring(reply.key_ring);
  ASSERT(ring.has_value());
  NodeStart start;
  for (const Bytes& bytes : reply.seeds) {
    if (Result<Member> member = decode_member(bytes)) start.seeds.push_back(std::move(*member));
  }
  start.membership = std::move(joining.membership);
  start.membership.cluster = reply.cluster;
  start.membership.group_count = reply.group_count;
  start.membership.key_ring = std::move(*ring);
  Journal journal;
  Recovered recovered = std::move(*journal.open(*disk_.read_image()));
  Effects first;
  first.row = journal.next_row();
  put_membership(start.membership, joining.seed, first);
  put_boot(1, first);
  put_seeds(start.seeds, first);
  world_.faults().note(Fault::kJoin);
  bear(std::move(journal), std::move(recovered), std::move(start), first);
}

// ---- death --------------------------------------------------------------------------------------

void SimHost::end_process(End end, const std::string& words, const Crash& crash, bool silent) {
  world_.trace().note(world_.queue().now(), kLifeEvent, index_,
                      200 + static_cast<std::uint64_t>(end));
  const bool in_order = end == End::kStopped || end == End::kLeft;
  const bool was_up = is_up();
  ++life_;
  node_.reset();
  birth_.reset();
  joining_.reset();
  phase_ = Phase::kDown;
  last_end_ = end;
  last_words_ = words;
  paused_ = false;
  backlog_.clear();
  local_.clear();
  joiners_.clear();
  disk_.crash(crash);
  if (in_order) {
    runner_.clear();
  } else {
    runner_.detach();
  }
  if (was_up && !silent) world_.tell_resets(index_, id_);
  if (was_up && silent) world_.faults().note(Fault::kMissedReset);
  for (auto& [request, client] : std::exchange(clients_, {})) {
    reply_later(client.on_reply, fail(Code::kUnreachable, "the node went away"), true);
  }
  world_.after_end(*this);
}

// Clients live elsewhere: what they do next happens in a turn of its own.
void SimHost::reply_later(const OnReply& on_reply, Result<client::Answer> answer, bool last) {
  world_.queue().after(kLoopTurn,
                       [on_reply, answer = std::move(answer), last] { on_reply(answer, last); });
}

void SimHost::kill(const Crash& crash, bool silent) {
  if (phase_ != Phase::kDown) end_process(End::kKilled, "", crash, silent);
}

void SimHost::crash(const Crash& crash) {
  if (phase_ != Phase::kDown) end_process(End::kKilled, "", crash, true);
  runner_.crash();
}

void SimHost::wipe() {
  ASSERT(phase_ == Phase::kDown);
  world_.keep_disk_counts(disk_);
  disk_ = SimDisk();
  honest_ = true;
  tampered_.reset();
  runner_.crash();
  id_ = NodeId{};
  boot_ = 0;
}

void SimHost::pause() {
  if (!node_) return;
  paused_ = true;
  kept_waiting_ = false;
}

void SimHost::proceed() {
  if (!paused_) return;
  paused_ = false;
  auto held = std::exchange(backlog_, {});
  for (auto& what : held) input(std::move(what));
  if (node_) input([](Node& node) { node.tick(); });
}

}  // namespace dunlin::sim
