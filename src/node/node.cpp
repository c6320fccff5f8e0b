#include "node/node.h"

#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"
#include "node/parts.h"

namespace dunlin {

Node::Parts::Parts(NodeConfig config_given, NodeStart start_given, Journal journal_given,
                   Random random_given)
    : config(std::move(config_given)),
      start(std::move(start_given)),
      self(start.membership.id()),
      journal(std::move(journal_given)),
      random(random_given),
      gossip(config.facts, start.boot, config.gossip, random.fork()),
      liveness(self, start.boot, config.liveness, random.fork()),
      groups(self, start.boot, config.groups, random.fork()),
      router(self, groups, random.fork()),
      blobs(self, config.store, random.fork()),
      sched(self, start.boot, config.sched, random.fork()),
      admission(start.membership, random.fork()),
      status(self, start.membership.cluster, start.membership.group_count),
      reach((start.boot << 32) + 1),
      checkups(self),
      load_surveys(self),
      checkpointer(config.checkpoint_delay, config.checkpoint_changes),
      next_order_number((start.boot << 32) + 1) {}

Node::Node(NodeConfig config, NodeStart start, Journal journal, Recovered recovered, Random random,
           Instant now, WallTime wall) {
  config.facts.id = start.membership.id();
  config.facts.key = start.membership.keys.public_key;
  config.groups.group_count = start.membership.group_count;
  config.sched.group_count = start.membership.group_count;
  config.sched.devices = devices_of(config.facts);
  parts_ = std::make_unique<Parts>(std::move(config), std::move(start), std::move(journal), random);
  parts_->durable_row = parts_->journal.last_row();
  parts_->checkpointer.on_durable(parts_->durable_row);
  parts_->now = now;
  parts_->wall = wall;
  parts_->out.row = parts_->journal.next_row();
  parts_->recover(std::move(recovered));
}

Node::~Node() = default;

// ---- turns --------------------------------------------------------------------------------------

void Node::begin_turn(Instant now, WallTime wall) {
  ASSERT(!parts_->in_turn);
  parts_->in_turn = true;
  parts_->now = now;
  parts_->wall = wall;
}

Output Node::end_turn() {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  // Applied state and its place in the log belong together: no checkpoint amid events, nor of what
  // could not be applied.
  p.follow_ending();
  p.follow_draining();
  p.follow_orders();
  p.follow_reach();
  p.end_load_surveys();
  p.unsettled = !p.settle();
  if (!p.unsettled && !p.out.fatal) p.checkpoint_if_due();
  p.mark_peers();
  p.seal_batch();
  for (const Send& send : p.out.sends) {
    if (send.to == p.self) continue;
    p.liveness.sent(p.now, send.to);
    p.sent.add(send.frame);
  }
  Output output = std::exchange(p.output, {});
  output.sends.insert(output.sends.begin(), std::make_move_iterator(p.out.sends.begin()),
                      std::make_move_iterator(p.out.sends.end()));
  output.file_reads = std::move(p.out.file_reads);
  output.file_removals = std::move(p.out.file_removals);
  output.starts = std::move(p.out.starts);
  output.signals = std::move(p.out.signals);
  output.taken = std::move(p.out.taken);
  output.output_searches = std::move(p.out.output_searches);
  output.output_reads = std::move(p.out.output_reads);
  output.releases = std::move(p.out.releases);
  if (p.out.fatal) output.fatal = p.out.fatal;
  p.out = Effects{};
  p.out.row = p.journal.next_row();
  p.in_turn = false;
  return output;
}

// With a batch that is written anyway: nobody is woken for it, and what it says is a lower bound.
void Node::Parts::mark_peers() {
  constexpr Duration kMarkPeriod = seconds(5);
  if (now < mark_at || !journal.needs_batch(out)) return;
  mark_at = now + kMarkPeriod;
  Bytes marks = encode(groups.peer_marks());
  if (marks == marked) return;
  marked = marks;
  out.put_fact(kMarksFact, std::move(marks));
}

// Everything durable of the turn becomes one batch; what must not leave before it waits under its
// row. A promise without new records rests on the rows before, and waits for the last of them.
void Node::Parts::seal_batch() {
  const bool waits = !out.sends_when_durable.empty() || !out.tickets.empty();
  std::uint64_t row = journal.last_row();
  Gated later{std::move(out.sends_when_durable), std::move(out.tickets)};
  if (journal.needs_batch(out)) {
    output.batch = journal.seal(out);
    row = output.batch->row;
  }
  if (!waits) return;
  Gated& gate = gated[row];
  std::move(later.sends.begin(), later.sends.end(), std::back_inserter(gate.sends));
  std::move(later.tickets.begin(), later.tickets.end(), std::back_inserter(gate.tickets));
}

Instant Node::next_deadline() const {
  const Parts& p = *parts_;
  if (p.unsettled) return p.now;
  // A gate whose row is durable already was closed within the last turn: it opens in the next.
  if (!p.gated.empty() && p.gated.begin()->first <= p.durable_row) return p.now;
  return std::min({p.gossip.next_deadline(), p.liveness.next_deadline(), p.groups.next_deadline(),
                   p.router.next_deadline(), p.blobs.next_deadline(), p.sched.next_deadline(),
                   p.admission.next_deadline(), p.status.next_deadline(),
                   p.load_surveys.next_deadline(), p.checkpointer.next_deadline(), p.ending.at,
                   p.draining.until, p.next_order_deadline(), p.next_reach()});
}

void Node::tick() {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.release_gated(p.durable_row);
  p.gossip.tick(p.now, p.out);
  p.liveness.tick(p.now, p.out);
  p.blobs.tick(p.now, p.out);
  p.sched.tick(p.now, p.wall, p.out);
  p.status.tick(p.now, p.gossip.members(), p.out);
  p.reach.tick(p.now, p.out);
  p.checkups.tick(p.now, p.gossip.members());
  p.load_surveys.tick(p.now);
  p.spread_record();
  p.follow_leaving();
}

// ---- inputs -------------------------------------------------------------------------------------

void Node::receive(NodeId from, Channel channel, ByteView frame) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  if (frame.empty() || p.admission.record().is_retired(from)) return;
  if (from != p.self) {
    p.gossip.heard(p.now, from);
    p.liveness.heard(p.now, from);
    p.received.add(frame);
  }
  switch (static_cast<Module>(frame[0])) {
    case Module::kGossip:
      p.gossip.receive(p.now, from, frame, p.out);
      p.liveness.receive(p.now, from, frame, p.out);
      if (const auto mark = p.liveness.last_durable(from)) {
        p.groups.peer_durable(from, mark->boot, mark->sequence);
      }
      break;
    case Module::kGroups: p.groups.receive(p.now, from, frame, p.out); break;
    case Module::kRouter: p.router.receive(p.now, from, frame, p.out); break;
    case Module::kStore: p.blobs.receive(p.now, from, frame, p.out); break;
    case Module::kSched: p.sched.receive(p.now, from, frame, p.out); break;
    case Module::kNode:
      if (const auto message = decode<NodeMessage>(frame.subspan(1))) {
        p.receive(from, channel, *message);
      }
      break;
  }
}

void Node::on_peer_reset(NodeId peer) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.liveness.reset(p.now, peer);
  p.gossip.doubt(p.now, peer);
}

void Node::on_disk(std::uint64_t row) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.journal.on_durable(row);
  p.durable_row = std::max(p.durable_row, row);
  p.checkpointer.on_durable(p.durable_row);
  p.liveness.set_storage(p.now, p.durable_row, false);
  p.release_gated(p.durable_row);
}

void Node::Parts::release_gated(std::uint64_t row) {
  while (!gated.empty() && gated.begin()->first <= row) {
    Gated ready = std::move(gated.begin()->second);
    gated.erase(gated.begin());
    std::move(ready.sends.begin(), ready.sends.end(), std::back_inserter(out.sends));
    for (const Ticket& ticket : ready.tickets) route_ticket(ticket);
  }
}

void Node::Parts::route_ticket(const Ticket& ticket) {
  switch (ticket.module) {
    case Module::kGroups: groups.on_durable(now, ticket, out); break;
    case Module::kStore: blobs.on_durable(now, ticket, out); break;
    case Module::kSched: sched.on_durable(now, ticket, out); break;
    case Module::kGossip:
    case Module::kRouter:
    case Module::kNode: break;
  }
}

void Node::on_checkpoint(std::uint64_t id) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.journal.on_checkpoint(id);
  if (const auto contents = p.checkpointer.complete(id)) {
    p.groups.compact(p.now, *contents, p.out);
  }
}

void Node::on_file_data(const Ticket& ticket, Result<Bytes> data) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  if (ticket.module == Module::kStore) {
    p.blobs.on_file_data(p.now, ticket, std::move(data), p.out);
  }
}

void Node::on_process(ProcessEvent event) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.sched.on_process(p.now, p.wall, std::move(event), p.out);
}

void Node::on_join(JoinId join, const TokenId& token, const PublicKey& key, ByteView request) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.admission.on_join(join, token, key, request, p.gossip.members(), p.wall);
}

void Node::set_disk_space(std::uint64_t total, std::uint64_t free) {
  Parts& p = *parts_;
  p.blobs.set_disk(total, free);
  p.sched.set_disk(total, free);
  p.load.disk_free = free;
  p.gossip.set_load(p.now, p.load);
}

void Node::set_storage_stalled(bool stalled) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  p.liveness.set_storage(p.now, p.durable_row, stalled);
}

void Node::stop() {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  if (p.ending.active) p.ending.at = p.now;
  p.begin_ending();
}

// ---- questions ----------------------------------------------------------------------------------

const Membership& Node::membership() const {
  return parts_->start.membership;
}
NodeId Node::id() const {
  return parts_->self;
}
Boot Node::boot() const {
  return parts_->start.boot;
}

std::vector<Member> Node::reachable_members() const {
  return parts_->reachable_members();
}

std::optional<Key32> Node::token_psk(const TokenId& token) const {
  const TokenRecord* record = parts_->admission.record().find_token(token);
  if (record == nullptr) return std::nullopt;
  return record->psk.raw;
}

Verdict Node::admit_client(const TokenId& token) const {
  const TokenRecord* record = parts_->admission.record().find_token(token);
  if (record == nullptr) return Verdict::kNotAdmitted;
  if (record->role != "user") return Verdict::kTokenOfNode;
  switch (state_of(*record, parts_->wall)) {
    case TokenState::kValid: return Verdict::kAdmitted;
    case TokenState::kExpired:
    case TokenState::kUsedUp: return Verdict::kTokenExpired;
    case TokenState::kRevoked: return Verdict::kTokenRevoked;
  }
  return Verdict::kNotAdmitted;
}

std::string Node::user_of_client(const TokenId& token) const {
  const TokenRecord* record = parts_->admission.record().find_token(token);
  return record == nullptr ? std::string() : record->user;
}

Result<std::string> Node::user_of_bearer(const JoinToken& token) const {
  constexpr const char* kHint = "make one with: dunlin token create --role user --user NAME";
  if (token.cluster != membership().cluster) {
    return fail(Code::kRefused, "the token is one of another cluster", kHint);
  }
  const std::optional<Key32> psk = token_psk(token.id);
  if (!psk || !equal_secrets(*psk, token.psk())) {
    return fail(Code::kRefused, "this cluster does not know the token", kHint);
  }
  return parts_->admission.record().user_of_token(token.id, parts_->wall);
}

bool Node::is_admitted(const NodeId& id) const {
  return !parts_->admission.record().is_retired(id);
}

bool Node::is_ready() const {
  for (std::uint16_t group = 0; group < parts_->start.membership.group_count; ++group) {
    if (parts_->groups.leader({group})) return true;
  }
  return false;
}

const Groups& Node::groups() const {
  return parts_->groups;
}
const Gossip& Node::gossip() const {
  return parts_->gossip;
}
const Blobs& Node::blobs() const {
  return parts_->blobs;
}
const Scheduler& Node::scheduler() const {
  return parts_->sched;
}

}  // namespace dunlin
