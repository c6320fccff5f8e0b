// What clients ask of the node itself; what they ask about jobs goes to the scheduler.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "node/parts.h"

namespace dunlin {

namespace {

// How long a leaver waits for its good-bye to spread.
constexpr Duration kFarewell = seconds(3);
// How long a node that ends goes on for its coordinators to hear, and commit, that it holds
// nothing.
constexpr Duration kLastWords = milliseconds(500);

}  // namespace

void Node::on_client(client::RequestId request, client::Request body) {
  Parts& p = *parts_;
  ASSERT(p.in_turn);
  if (p.waiting.size() >= kMaxClientRequests) {
    p.output.replies.push_back(
        {request,
         fail(Code::kLimit,
              "this node serves " + std::to_string(kMaxClientRequests) + " requests already",
              "try again, or ask another node"),
         true});
    return;
  }
  p.waiting.insert(request);
  p.serve(request, body);
}

void Node::on_client_gone(client::RequestId request) {
  Parts& p = *parts_;
  p.waiting.erase(request);
  p.leaving.clients.erase(request);
  p.ending.clients.erase(request);
  if (p.event_readers.erase(request) > 0) p.sched.forget_events(request);
  std::erase_if(p.sent_orders, [&](const auto& order) { return order.second.request == request; });
}

void Node::Parts::answer(client::RequestId request, Result<client::Answer> what, bool last) {
  if (!waiting.contains(request)) return;
  if (last) waiting.erase(request);
  if (!what) what = tl::unexpected(with_names(what.error()));
  output.replies.push_back({request, std::move(what), last});
}

// Modules know nodes by their ids, people by their names.
Error Node::Parts::with_names(Error error) const {
  for (const auto& [id, member] : gossip.members()) {
    const std::string text = id.text();
    const std::size_t at = error.message.find(text);
    if (at == std::string::npos || member.facts.name.empty()) continue;
    error.message.replace(at, text.size(), member.facts.name);
  }
  return error;
}

// Dead members hold up a move until their own places are refilled.
std::string Node::Parts::dead_members() const {
  std::string names;
  for (const auto& [id, member] : gossip.members()) {
    if (member.state != MemberState::kDead) continue;
    if (names.size() > 100) return names + " ...";
    names += (names.empty() ? "" : ", ") +
             (member.facts.name.empty() ? id.short_text() : member.facts.name);
  }
  return names;
}

void Node::Parts::serve(client::RequestId request, client::Request& body) {
  std::visit([&](auto& one) { serve(request, one); }, body);
}

void Node::Parts::serve(client::RequestId request, JobRequest& body) {
  sched.request(now, wall, request, std::move(body), out);
}

bool Node::Parts::is_alive(const NodeId& node) const {
  const auto member = gossip.members().find(node);
  return member != gossip.members().end() && member->second.state == MemberState::kAlive;
}

bool Node::Parts::is_whole() const {
  return std::ranges::none_of(gossip.members(), [](const auto& member) {
    return member.second.state == MemberState::kSuspect ||
           member.second.state == MemberState::kDead;
  });
}

// Where nothing is known of a group, it is as well as the cluster is.
bool Node::Parts::is_served(GroupId group, bool is_whole) const {
  const std::optional<GroupConfig> known = groups.config(group);
  if (!known) return is_whole;
  return known->has_quorum([&](const Seat& seat) { return is_alive(seat.node); });
}

// One with a quorum, by what is known here; else one whose leader, by hearsay, lives: that may have
// lost its quorum since.
void Node::Parts::serve(client::RequestId request, const client::PickGroup&) {
  const std::uint16_t count = start.membership.group_count;
  const auto first = static_cast<std::uint16_t>(random.below(count));
  const bool whole = is_whole();
  for (const bool by_hearsay : {false, true}) {
    for (std::uint16_t i = 0; i < count; ++i) {
      const GroupId group{static_cast<std::uint16_t>((first + i) % count)};
      const std::optional<NodeId> leader = groups.leader(group);
      if (!leader || !is_alive(*leader) || (!by_hearsay && !is_served(group, whole))) continue;
      answer(request, client::Answer(client::PickedGroup{group, count}));
      return;
    }
  }
  answer(request, fail(Code::kTimeout, "no group has a leader that this node can reach",
                       "see which hosts are missing: dunlin nodes"));
}

void Node::Parts::serve(client::RequestId request, client::PutBlob& body) {
  // Nothing refers to the blob yet: an intent of its own keeps it until something does.
  const Pin pin{kClusterGroup, random.next()};
  blobs.put(now, asked_blobs.issue(BlobAsker::kClient, request), pin, std::move(body.data), out);
}

void Node::Parts::serve(client::RequestId request, const client::GetBlob& body) {
  blobs.fetch(now, asked_blobs.issue(BlobAsker::kClient, request), body.id, {}, out);
}

void Node::Parts::serve(client::RequestId request, const client::ListNodes& body) {
  if (!body.asks) {
    answer(request, client::Answer(list_of_nodes()));
  } else if (!load_surveys.begin(now, request, gossip.members(), out)) {
    answer(request, fail(Code::kLimit, "too many ask all nodes at once", "try again"));
  }
}

// As gossip has told, but of this node, which knows.
client::NodeList Node::Parts::list_of_nodes() const {
  client::NodeList list;
  list.self = self;
  list.now = now;
  list.devices_free[self] = sched.devices_free();
  list.isolation_note = sched.isolation_note();
  for (const auto& [id, member] : gossip.members()) {
    Member& told = list.nodes.emplace_back(member);
    if (id != self) continue;
    told.load = exact_load();
    told.load_at = now;
  }
  return list;
}

// Called at the end of every turn.
void Node::Parts::end_load_surveys() {
  for (const LoadSurveys::Ended& ended : load_surveys.take_ended()) {
    client::NodeList list = list_of_nodes();
    for (Member& member : list.nodes) {
      const auto told = ended.loads.find(member.facts.id);
      if (told == ended.loads.end()) continue;
      member.load_at = told->second.first;
      member.load = told->second.second.load;
      list.devices_free[member.facts.id] = told->second.second.devices_free;
    }
    answer(ended.request, client::Answer(std::move(list)));
  }
}

void Node::Parts::serve(client::RequestId request, const client::GetStatus&) {
  if (!status.begin(now, request, gossip.members(), out)) {
    answer(request, fail(Code::kLimit, "too many ask for the status at once", "try again"));
  }
}

void Node::Parts::serve(client::RequestId request, const client::CreateToken& body) {
  JoinToken token;
  token.cluster = start.membership.cluster;
  std::copy_n(body.entropy.begin(), token.id.raw.size(), token.id.raw.begin());
  std::copy_n(body.entropy.begin() + 8, token.secret.size(), token.secret.begin());
  TokenRecord record;
  record.id = token.id;
  record.psk.raw = token.psk();
  record.role = body.role;
  record.user = body.user;
  record.uses = body.uses;
  if (body.ttl.us > 0) record.expires_at = {wall.ms + body.ttl.milliseconds()};
  if (Result<void> fine = check_new_token(record); !fine) {
    answer(request, tl::unexpected(fine.error()));
    return;
  }
  record_answers[request] = client::TokenCreated{token.text(), token.id.text(), record.expires_at,
                                                 record.role, record.user};
  admission.issue(request, AddToken{std::move(record), wall});
}

void Node::Parts::serve(client::RequestId request, const client::ListTokens& body) {
  client::TokenList list;
  for (const auto& [id, token] : admission.record().tokens()) {
    const TokenState state = state_of(token, wall);
    if (state != TokenState::kValid && !body.all) continue;
    list.tokens.push_back(
        {id, token.role, token.user, state, token.expires_at, token.uses, token.used});
  }
  answer(request, client::Answer(std::move(list)));
}

void Node::Parts::serve(client::RequestId request, const client::EndToken& body) {
  record_answers[request] = client::Done{};
  admission.issue(request, RevokeToken{body.token});
}

// ---- ending -------------------------------------------------------------------------------------

void Node::Parts::serve(client::RequestId request, const client::StopNode&) {
  ending.clients.insert(request);
  begin_ending();
}

// Returns when they are given up, if they are still there.
Instant Node::Parts::hand_back_tasks() {
  sched.hand_back(now, out);
  return std::max(now, sched.hand_back_until()) + kAfterGrace;
}

void Node::Parts::begin_ending() {
  if (ending.active) return;
  ending.active = true;
  ending.is_empty = !sched.has_tasks();
  const Instant until = hand_back_tasks();
  ending.at = ending.is_empty ? now : until;
}

// Called at the end of every turn. What nobody holds is bound anew at once, and not first when the
// cluster misses this node: its coordinators are to hear of it before it goes.
void Node::Parts::follow_ending() {
  if (!ending.active) return;
  if (!ending.is_empty && !sched.has_tasks()) {
    ending.is_empty = true;
    ending.at = std::min(ending.at, now + kLastWords);
  }
  if (now < ending.at) return;
  for (const client::RequestId client : std::exchange(ending.clients, {})) {
    answer(client, client::Answer(client::Done{}));
  }
  output.stop = true;
}

// ---- leaving ------------------------------------------------------------------------------------

void Node::Parts::serve(client::RequestId request, const client::LeaveNode& body) {
  if (body.node == self) {
    if (Result<void> allowed = may_begin_leaving(); !allowed && !body.now) {
      answer(request, tl::unexpected(allowed.error()));
      return;
    }
    leaving.clients.insert(request);
    begin_leaving(body.now);
    return;
  }
  if (Result<void> allowed = may_order(body.node, "cannot leave"); !allowed) {
    answer(request, tl::unexpected(allowed.error()));
    return;
  }
  const std::uint64_t number = next_order_number++;
  send_order(number, {request, body.node, node_frame(LeaveOrder{number, body.now})});
}

Result<void> Node::Parts::may_begin_leaving() const {
  std::string silent;
  for (const auto& [id, member] : gossip.members()) {
    if (id == self || member.state == MemberState::kLeft) continue;
    if (member.state == MemberState::kAlive) return {};
    silent += (silent.empty() ? "" : ", ") + member.facts.name;
  }
  if (!silent.empty()) {
    return fail(Code::kRefused, "nobody is there to take over: these do not answer: " + silent,
                "start them again first; --now leaves anyway, and loses what they do not have");
  }
  return fail(Code::kRefused, "this is the last node: all jobs and blobs would be lost",
              "add --now to do it anyway, or stop it with: dunlin down");
}

void Node::Parts::begin_leaving(bool at_once) {
  if (!leaving.active) leaving.tasks_until = hand_back_tasks();
  leaving.active = true;
  leaving.at_once = leaving.at_once || at_once;
  load.draining = true;
  gossip.set_load(now, load);
  groups.prepare_to_leave(now, out);
  blobs.prepare_to_leave(now, out);
  follow_leaving();
}

std::size_t Node::Parts::seats() const {
  std::size_t count = 0;
  for (std::uint16_t group = 0; group < start.membership.group_count; ++group) {
    if (groups.config({group})) ++count;
  }
  return count;
}

// Called on every tick while leaving: says what is still to be handed over, and goes at the end.
void Node::Parts::follow_leaving() {
  if (!leaving.active) return;
  const LeaveState state = blobs.leave_state();
  const bool has_tasks = sched.has_tasks() && now < leaving.tasks_until;
  const bool ready = !has_tasks && ((groups.may_leave() && state.ready) || leaving.at_once);
  if (!ready) {
    groups.prepare_to_leave(now, out);
    const std::string dead = dead_members();
    say_leaving("still to hand over: groups " + std::to_string(seats()) + ", blobs " +
                    std::to_string(state.blobs_only_here) +
                    (dead.empty() ? ""
                                  : "; this may wait until dead hosts are replaced: " + dead +
                                        " (dunlin forget replaces one that never comes back)"),
                false);
    return;
  }
  if (!leaving.gossip_said) {
    leaving.gossip_said = true;
    leaving.said_at = now;
    gossip.leave(now, out);
    return;
  }
  if (!gossip.is_quiet() && now < leaving.said_at + kFarewell) return;
  say_leaving("left", true);
  output.stop = true;
}

void Node::Parts::say_leaving(const std::string& line, bool done) {
  if (line == leaving.last_line) return;
  leaving.last_line = line;
  for (const client::RequestId client : std::set(leaving.clients)) {
    answer(client, client::Answer(client::Progress{line}), false);
    if (done) answer(client, client::Answer(client::Done{}));
  }
  for (const auto& [node, order] : leaving.orders) {
    out.send(node, Channel::kStream, node_frame(OrderProgress{order, line, done, false}));
  }
}

// ---- messages between nodes ---------------------------------------------------------------------

void Node::Parts::receive(NodeId from, Channel channel, const NodeMessage& message) {
  if (const auto* query = std::get_if<RecordQuery>(&message)) {
    admission.on_query(from, *query, out);
  } else if (const auto* copy = std::get_if<RecordCopyMessage>(&message)) {
    (void)admission.merge_record(copy->copy);
    follow_record();
  } else if (const auto* asked = std::get_if<StatusQuery>(&message)) {
    out.send(from, Channel::kStream, node_frame(share_of_status(asked->query)));
  } else if (const auto* share = std::get_if<StatusShare>(&message)) {
    status.on_share(from, *share, gossip.members());
  } else if (const auto* load_query = std::get_if<LoadQuery>(&message)) {
    out.send(from, Channel::kStream,
             node_frame(LoadShare{load_query->query, exact_load(), sched.devices_free()}));
  } else if (const auto* load_share = std::get_if<LoadShare>(&message)) {
    load_surveys.on_share(now, from, *load_share);
  } else if (const auto* order = std::get_if<LeaveOrder>(&message)) {
    on_leave_order(from, *order);
  } else if (const auto* drain = std::get_if<DrainOrder>(&message)) {
    on_drain_order(from, *drain);
  } else if (const auto* progress = std::get_if<OrderProgress>(&message)) {
    on_order_progress(from, *progress);
  } else if (const auto* ping = std::get_if<ReachPing>(&message)) {
    const Bytes pong = node_frame(pong_of(*ping, channel, wall));
    for (const Channel way : {Channel::kDatagram, Channel::kStream}) out.send(from, way, pong);
  } else if (const auto* pong = std::get_if<ReachPong>(&message)) {
    reach.on_pong(now, wall, from, channel, *pong);
  } else if (const auto* dial = std::get_if<DialOrder>(&message)) {
    output.dials.push_back({from, dial->round});
  } else if (const auto* dialled = std::get_if<DialReport>(&message)) {
    reach.on_dialled(from, *dialled);
  } else if (const auto* checkup = std::get_if<CheckupQuery>(&message)) {
    on_checkup_query(from, *checkup);
  } else if (const auto* share_of_node = std::get_if<CheckupShare>(&message)) {
    checkups.on_share(from, *share_of_node, gossip.members());
  }
}

void Node::Parts::on_leave_order(NodeId from, const LeaveOrder& order) {
  if (Result<void> allowed = may_begin_leaving(); !allowed && !order.now) {
    out.send(from, Channel::kStream,
             node_frame(OrderProgress{order.order, allowed.error().message, true, true}));
    return;
  }
  const std::pair id{from, order.order};
  if (leaving.orders.size() < kMaxOrders || leaving.orders.contains(id)) {
    leaving.orders.insert(id);
  } else {
    out.send(from, Channel::kStream,
             node_frame(
                 OrderProgress{order.order, "it leaves, but too many wait for that", true, true}));
  }
  // Who orders it again, or later, hears how far it is.
  leaving.last_line.clear();
  begin_leaving(order.now);
}

Load Node::Parts::exact_load() const {
  const LoadChanged own = sched.load();
  return {own.cpus_free, own.memory_free, own.running, own.queued, load.disk_free, load.draining};
}

StatusShare Node::Parts::share_of_status(std::uint64_t query) const {
  StatusShare share;
  share.query = query;
  for (std::uint16_t group = 0; group < start.membership.group_count; ++group) {
    if (!groups.is_leading({group})) continue;
    for (const std::vector<NodeId>& voters : groups.voter_sets({group}))
      share.led.push_back({{group}, voters});
  }
  const StoreStats stats = blobs.stats();
  share.blobs = stats.total;
  share.blobs_under_replicated = stats.under_replicated;
  share.blobs_missing = stats.missing;
  return share;
}

}  // namespace dunlin
