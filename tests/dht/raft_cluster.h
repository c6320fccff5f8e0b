// A cluster of `Groups` in one process. Tests say what happens to it; checkers look at what nodes
// say and do, never inside.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dht/raft_world.h"

namespace dunlin {

class Cluster : private World {
 public:
  explicit Cluster(ClusterOptions options) : World(options) {}

  // ---- what a test does -------------------------------------------------------------------------
  void found(std::size_t node) {
    nodes_[node].is_founder = true;
    start(node);
  }

  // What a disk holds before the first start: for histories that are hard to bring about.
  void set_disk(std::size_t index, std::map<std::string, Bytes> facts,
                std::vector<GroupRecord> records) {
    nodes_[index].facts = std::move(facts);
    std::uint64_t row = 0;
    for (const GroupRecord& record : records) nodes_[index].rows[++row] = {encode(record)};
  }

  // A copy of the directory as it is now, and its return later.
  void back_up(std::size_t index) {
    backup_ = disk_of(nodes_[index]);
    backup_boot_ = nodes_[index].boot;
  }
  void restore_backup(std::size_t index) {
    put_back(nodes_[index], backup_);
    nodes_[index].boot = backup_boot_;
  }

  // Starts the process on what its disk holds.
  void start(std::size_t index) {
    Node& node = nodes_[index];
    if (node.groups) return;
    ++node.boot;
    ++node.life;
    node.in_view = true;
    node.left = false;
    node.machines = node.checkpoint_machines;
    node.watch.clear();
    node.row = node.rows.empty() ? node.trimmed_row : node.rows.rbegin()->first;
    GroupsConfig config = options_.groups_config;
    node.groups = std::make_unique<Groups>(node.id, node.boot, config, random_.fork());
    node.router = std::make_unique<Router>(node.id, *node.groups, random_.fork());
    Effects out = effects(node);
    if (node.is_founder && node.row == 0) {
      node.groups->found(now_, out);
    } else {
      GroupsRecovery recovery;
      recovery.facts = node.facts;
      for (const auto& [row, records] : node.rows) {
        for (const Bytes& record : records) recovery.records.emplace_back(row, record);
      }
      recovery.applied = node.checkpoint_applied;
      recovery.last_row = node.row;
      node.groups->recover(now_, std::move(recovery), out);
    }
    perform(index, out);
    after_input(index);
    members_changed();
    schedule(now_ + random_.between(Duration{}, kHeartbeat), index, node.life,
             [this, index] { heartbeat(index); });
    schedule(now_ + options_.checkpoint_every, index, node.life,
             [this, index] { checkpoint(index); });
  }

  void crash(std::size_t index) {
    Node& node = nodes_[index];
    if (!node.groups) return;
    node.router.reset();
    node.groups.reset();
    ++node.life;
    // Batches become durable in order: some of those under way may have made it.
    std::size_t survivors = node.disk_queue.empty() ? 0 : random_.below(node.disk_queue.size() + 1);
    if (options_.mutation == Mutation::kSendBeforeDurable) survivors = 0;
    for (std::size_t i = 0; i < survivors; ++i) write(node, node.disk_queue[i]);
    ++took_effect_["crash"];
    if (survivors < node.disk_queue.size()) ++took_effect_["lost writes"];
    node.disk_queue.clear();
    node.reads.clear();
    node.proposed.clear();
    node.answers.clear();
    forget(node);
    members_changed();
  }

  void cut(std::size_t from, std::size_t to) { cuts_.insert({from, to}); }
  void cut_both(std::size_t a, std::size_t b) {
    cut(a, b);
    cut(b, a);
  }
  void join(std::size_t a, std::size_t b) {
    cuts_.erase({a, b});
    cuts_.erase({b, a});
  }
  void isolate(std::size_t node) {
    for (std::size_t other = 0; other < nodes_.size(); ++other) {
      if (other != node) cut_both(node, other);
    }
  }
  void heal() { cuts_.clear(); }
  void set_loss(double loss, double duplicate, double slow) {
    options_.loss = loss;
    options_.duplicate = duplicate;
    options_.slow = slow;
  }
  void leave(std::size_t index) {
    Node& node = nodes_[index];
    if (!node.groups) return;
    node.leaving = true;
    Effects out = effects(node);
    node.groups->prepare_to_leave(now_, out);
    perform(index, out);
    after_input(index);
    members_changed();
  }
  void stall_storage(std::size_t index, bool stalled) {
    Node& node = nodes_[index];
    if (!stalled && !node.disk_queue.empty()) ++took_effect_["hung disk"];
    node.disk_stalled = stalled;
    Effects out = effects(node);
    node.groups->on_storage_stalled(now_, stalled, out);
    perform(index, out);
    after_input(index);
    if (!stalled) next_disk(index);
  }
  // Its process is stopped, and the others are told that it is gone for good.
  void forget_member(std::size_t index) {
    crash(index);
    nodes_[index].left = true;
    members_changed();
  }

  void expect_fatal() { expects_fatal_ = true; }
  // Damage that a checksummed journal would notice, done behind its back.
  void lose_rows(std::size_t index, std::size_t count) {
    auto& rows = nodes_[index].rows;
    for (std::size_t i = 0; i < count && !rows.empty(); ++i) rows.erase(std::prev(rows.end()));
  }
  void forget_fact(std::size_t index, const std::string& key) { nodes_[index].facts.erase(key); }

  bool is_up(std::size_t index) const { return nodes_[index].groups != nullptr; }
  bool has_failed(std::size_t index) const { return nodes_[index].failed; }
  const std::string& fatal(std::size_t index) const { return nodes_[index].fatal; }
  Groups& groups(std::size_t index) { return *nodes_[index].groups; }
  const NodeId& id(std::size_t index) const { return nodes_[index].id; }
  std::size_t index_of(const NodeId& id) const { return index_of_.at(id); }
  const Machine& machine(std::size_t index, GroupId group) { return nodes_[index].machines[group]; }
  Instant now() const { return now_; }
  Random& random() { return random_; }
  std::size_t size() const { return nodes_.size(); }
  std::uint16_t group_count() const { return options_.groups; }
  std::uint64_t group_frames() const { return group_frames_; }
  std::uint64_t acknowledged() const { return checkers_.acknowledged(); }
  std::uint64_t reads_done() const { return reads_done_; }
  std::uint64_t snapshot_pieces() const { return snapshot_pieces_; }
  // Faults by kind, counted when they did something to a node that runs.
  const std::map<std::string, std::uint64_t>& took_effect() const { return took_effect_; }
  // Votes and acknowledgements sent.
  std::uint64_t promises_made() const { return promises_made_; }
  // Group frames sent lately, for tests with altered ones.
  const std::vector<Bytes>& some_frames() const { return some_frames_; }
  void clear_trace() { trace_.str({}); }

  std::optional<std::size_t> leader_of(GroupId group) const {
    std::optional<std::size_t> best;
    Term best_term = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!nodes_[i].groups || !nodes_[i].groups->is_leading(group)) continue;
      if (nodes_[i].groups->leading_term(group) <= best_term) continue;
      best_term = nodes_[i].groups->leading_term(group);
      best = i;
    }
    return best;
  }

  // A proposal at whoever leads; false when nobody takes it. Acknowledged when given out there.
  bool propose(GroupId group, std::size_t size = 16) {
    const std::optional<std::size_t> at = leader_of(group);
    return at && propose_at(*at, group, size);
  }

  bool propose_at(std::size_t at, GroupId group, std::size_t size = 16) {
    Node& node = nodes_[at];
    Bytes payload(size);
    random_.fill(payload);
    Effects out = effects(node);
    const auto place = node.groups->propose(now_, group, payload, out);
    perform(at, out);
    if (place) node.proposed[{group, place->second}] = {place->first, payload};
    after_input(at);
    return place.has_value();
  }

  // A read at a node that believes that it leads.
  void read_at(std::size_t at, GroupId group) {
    Node& node = nodes_[at];
    const std::uint64_t token = ++next_token_;
    node.reads[token] = checkers_.newest_acknowledged(group);
    Effects out = effects(node);
    node.groups->read(now_, group, token, out);
    perform(at, out);
    after_input(at);
  }

  // Through the router of any node; answers(token) tells what came of it.
  std::uint64_t request(std::size_t at, GroupId group, const std::string& body, Duration wait) {
    Node& node = nodes_[at];
    const std::uint64_t token = ++next_token_;
    Effects out = effects(node);
    node.router->request(now_, token, group, to_bytes(body), now_ + wait, out);
    perform(at, out);
    after_input(at);
    return token;
  }
  const std::vector<Result<Bytes>>& answers(std::uint64_t token) { return replies_[token]; }
  std::uint64_t requests_served() const { return requests_served_; }
  Router& router(std::size_t index) { return *nodes_[index].router; }

  void run_for(Duration time) {
    const Instant until = now_ + time;
    while (violation().empty() && !queue_.empty() && queue_.top().at <= until) step();
    now_ = std::max(now_, until);
  }

  // True when `done` came true within `most`.
  bool run_until(const std::function<bool()>& done, Duration most) {
    const Instant until = now_ + most;
    while (violation().empty() && !done()) {
      if (queue_.empty() || queue_.top().at > until) {
        now_ = until;
        return done();
      }
      step();
    }
    return violation().empty();
  }

  // Every group has a leader, and all its live voters and learners have applied the same.
  bool has_converged() { return apart().empty(); }

  // What stands in the way of that.
  std::string apart() {
    for (std::uint16_t g = 0; g < options_.groups; ++g) {
      const GroupId group{g};
      const std::string where = " in group " + std::to_string(g);
      const std::optional<std::size_t> leader = leader_of(group);
      if (!leader) return "no leader" + where;
      const LogIndex index = nodes_[*leader].groups->applied(group)->index;
      if (index < checkers_.newest_acknowledged(group)) return "the leader lags" + where;
      for (const Seat& seat : nodes_[*leader].groups->config(group)->seats()) {
        const std::size_t at = index_of_.at(seat.node);
        if (!is_up(at) || nodes_[at].failed || is_cut(at, *leader)) continue;
        const std::string who = "node " + std::to_string(at) + where;
        const auto applied = nodes_[at].groups->applied(group);
        if (!applied) return who + " has no replica";
        if (applied->index != index) return who + " lags";
        if (nodes_[at].machines[group] != nodes_[*leader].machines[group]) return who + " differs";
      }
    }
    return {};
  }

  // ---- checkers ---------------------------------------------------------------------------------
  // Empty when all is well; what was seen first otherwise.
  const std::string& violation() const { return checkers_.violation(); }
  std::string trace() const { return trace_.str(); }

  // Everything acknowledged is in the state of the group's present leader.
  void check_durability() {
    for (std::uint16_t g = 0; g < options_.groups; ++g) {
      const std::optional<std::size_t> leader = leader_of(GroupId{g});
      if (leader) {
        checkers_.check_durability(GroupId{g}, nodes_[*leader].machines[GroupId{g}]);
      } else {
        checkers_.violate("durability: no leader to ask in group " + std::to_string(g));
      }
    }
  }

 private:
  static constexpr Duration kHeartbeat = milliseconds(200);
  static constexpr Duration kSuspectAfter = milliseconds(800);
  static constexpr Duration kDeadAfter = seconds(2);

  void after_input(std::size_t index) {
    Node& node = nodes_[index];
    if (!node.groups) return;
    for (GroupsEvent& event : node.groups->take_events()) {
      std::visit([&](auto& held) { on_event(index, held); }, event);
      if (!node.groups) return;
    }
    for (RouterEvent& event : node.router->take_events()) {
      std::visit([&](auto& held) { on_event(index, held); }, event);
    }
    const Instant at = std::min(node.groups->next_deadline(), node.router->next_deadline());
    if (at >= node.tick_at && node.tick_at > now_) return;
    if (at == Instant::never()) return;
    node.tick_at = std::max(at, now_);
    const Instant planned = node.tick_at;
    schedule(planned, index, node.life, [this, index, planned] {
      Node& due = nodes_[index];
      if (due.tick_at != planned) return;
      due.tick_at = Instant::never();
      Effects out = effects(due);
      due.groups->tick(now_, out);
      due.router->tick(now_, out);
      perform(index, out);
      after_input(index);
    });
  }

  // ---- events of a node -------------------------------------------------------------------------
  void on_event(std::size_t index, Committed& event) {
    Node& node = nodes_[index];
    Machine& machine = node.machines[event.group];
    checkers_.gave_out(event.group, event.index, event.term, event.payload, machine);
    machine[event.index] = event.payload;
    const auto proposed = node.proposed.find({event.group, event.index});
    if (proposed == node.proposed.end()) return;
    if (proposed->second == std::pair{event.term, event.payload}) {
      checkers_.acknowledge(event.group, event.index, event.payload);
      const auto answer = node.answers.find({event.group, event.index});
      if (answer != node.answers.end()) {
        Effects out = effects(node);
        node.router->reply(now_, answer->second, to_bytes("done"), out);
        perform(index, out);
        node.answers.erase(answer);
      }
    }
    node.proposed.erase(proposed);
  }

  void on_event(std::size_t index, LeadershipGained& event) {
    note(index, "leads group " + std::to_string(event.group.value) + " in term " +
                    std::to_string(event.term));
    checkers_.leads(index, event.group, event.term, nodes_[index].machines[event.group]);
  }

  void on_event(std::size_t index, LeadershipLost& event) {
    note(index, "no longer leads group " + std::to_string(event.group.value));
  }
  void on_event(std::size_t, RouteLearnt&) {}

  void on_event(std::size_t index, SnapshotWanted& event) {
    Node& node = nodes_[index];
    const LogIndex at = node.groups->applied(event.group)->index;
    Effects out = effects(node);
    node.groups->provide_snapshot(now_, event.group, event.token, at,
                                  encode(node.machines[event.group]), out);
    perform(index, out);
  }

  void on_event(std::size_t index, RestoreState& event) {
    note(index, "restores group " + std::to_string(event.group.value) + " to entry " +
                    std::to_string(event.index));
    const Result<Machine> machine = decode<Machine>(event.state);
    if (!machine) {
      checkers_.violate("a snapshot came back altered");
      return;
    }
    nodes_[index].machines[event.group] = *machine;
  }

  void on_event(std::size_t index, ReplicaRemoved& event) {
    note(index, "drops group " + std::to_string(event.group.value));
    nodes_[index].machines.erase(event.group);
  }

  void on_event(std::size_t index, ReadReady& event) {
    Node& node = nodes_[index];
    const auto read = node.reads.find(event.token);
    if (read == node.reads.end()) return;
    if (event.ok) {
      ++reads_done_;
      checkers_.read(index, read->second, node.machines[event.group]);
    }
    node.reads.erase(read);
  }

  void on_event(std::size_t index, GroupsFatal& event) {
    note(index, "fatal: " + event.text);
    nodes_[index].failed = true;
    nodes_[index].fatal = event.text;
    if (!expects_fatal_ && options_.mutation == Mutation::kNone)
      checkers_.violate("a node takes itself for amnesiac: " + event.text);
    schedule(now_, [this, index] { crash(index); });
  }

  // A request is answered when its body is committed, or at once when it says so.
  void on_event(std::size_t index, RouterRequest& event) {
    ++requests_served_;
    Node& node = nodes_[index];
    Effects out = effects(node);
    if (event.body == to_bytes("echo")) {
      node.router->reply(now_, event.handle, to_bytes("from " + std::to_string(index)), out);
    } else if (event.body == to_bytes("refuse")) {
      node.router->reply(now_, event.handle, fail(Code::kConflict, "no"), out);
    } else if (event.body != to_bytes("silence")) {
      const auto place = node.groups->propose(now_, event.group, event.body, out);
      if (place) {
        node.proposed[{event.group, place->second}] = {place->first, event.body};
        node.answers[{event.group, place->second}] = event.handle;
      } else {
        node.router->reply(now_, event.handle, tl::unexpected(place.error()), out);
      }
    }
    perform(index, out);
    after_input(index);
  }
  void on_event(std::size_t, RouterReply& event) {
    replies_[event.token].push_back(std::move(event.result));
  }

  // ---- checkpoints ------------------------------------------------------------------------------
  void checkpoint(std::size_t index) {
    Node& node = nodes_[index];
    std::map<GroupId, AppliedState> applied;
    std::map<GroupId, Machine> machines;
    for (std::uint16_t g = 0; g < options_.groups; ++g) {
      const auto at = node.groups->applied(GroupId{g});
      if (!at) continue;
      applied[GroupId{g}] = *at;
      machines[GroupId{g}] = node.machines[GroupId{g}];
    }
    const Duration time = random_.between(options_.disk_least, options_.disk_most * 3);
    schedule(now_ + time, index, node.life,
             [this, index, applied = std::move(applied), machines = std::move(machines)] {
               Node& done = nodes_[index];
               done.checkpoint_applied = applied;
               done.checkpoint_machines = machines;
               Effects out = effects(done);
               done.groups->compact(now_, applied, out);
               perform(index, out);
               after_input(index);
               schedule(now_ + options_.checkpoint_every, index, done.life,
                        [this, index] { checkpoint(index); });
             });
  }

  // ---- pairwise liveness and membership ---------------------------------------------------------
  void heartbeat(std::size_t index) {
    Node& node = nodes_[index];
    schedule(now_ + kHeartbeat, index, node.life, [this, index] { heartbeat(index); });
    if (node.failed) return;
    const std::set<NodeId> peers = node.groups->peers();
    for (const NodeId& peer : peers) {
      const auto [watch, is_new] = node.watch.try_emplace(peer, Watch{now_, false});
      const bool is_blind = options_.mutation == Mutation::kForgeReadReplies && leads_any(index);
      if (!is_blind && !watch->second.suspected && watch->second.heard + kSuspectAfter < now_) {
        watch->second.suspected = true;
        Effects out = effects(node);
        node.groups->peer_suspected(now_, peer, out);
        perform(index, out);
      }
      ping(index, index_of_.at(peer));
    }
    std::erase_if(node.watch,
                  [&](const auto& item) { return !node.groups->peers().contains(item.first); });
    after_input(index);
  }

  bool leads_any(std::size_t index) const {
    for (std::uint16_t g = 0; g < options_.groups; ++g) {
      if (nodes_[index].groups->is_leading(GroupId{g})) return true;
    }
    return false;
  }

  // There and back, as heartbeats go in both directions.
  void ping(std::size_t from, std::size_t to) {
    if (node_hung(from)) return;
    send_beat(from, to, [this, from, to] {
      heard(to, from);
      if (node_hung(to)) return;
      send_beat(to, from, [this, from, to] { heard(from, to); });
    });
  }
  bool node_hung(std::size_t index) const { return nodes_[index].disk_stalled; }
  void send_beat(std::size_t from, std::size_t to, std::function<void()> action) {
    if (cuts_.contains({from, to}) || random_.chance(options_.loss)) return;
    schedule(now_ + random_.between(options_.delay_least, options_.delay_most),
             [this, to, action = std::move(action)] {
               if (nodes_[to].groups) action();
             });
  }
  void heard(std::size_t at, std::size_t of) {
    Node& node = nodes_[at];
    const Node& peer = nodes_[of];
    if (!peer.groups) return;
    Effects out = effects(node);
    node.groups->peer_restarted(now_, peer.id, peer.boot, out);
    const std::uint64_t durable = peer.rows.empty() ? 0 : peer.rows.rbegin()->first;
    node.groups->peer_durable(peer.id, peer.boot, durable);
    const auto watch = node.watch.find(peer.id);
    if (watch != node.watch.end()) {
      watch->second.heard = now_;
      if (watch->second.suspected) {
        watch->second.suspected = false;
        node.groups->peer_recovered(now_, peer.id, out);
      }
    }
    perform(at, out);
    after_input(at);
  }

  // Gossip, shortened: everybody learns of joins and leaves soon, and of deaths a little later.
  void members_changed() {
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      const bool dead = node.in_view && !node.groups;
      if (dead && !node.dead_since) node.dead_since = now_;
      if (!dead) node.dead_since.reset();
    }
    for (const Duration wait : {milliseconds(20), kDeadAfter + milliseconds(20)}) {
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        schedule(now_ + wait + random_.between(Duration{}, milliseconds(100)), [this, i] {
          if (nodes_[i].groups) tell_members(i);
        });
      }
    }
  }

  void tell_members(std::size_t index) {
    std::vector<GroupMember> members;
    for (const Node& node : nodes_) {
      if (!node.in_view) continue;
      GroupMember member{node.id, {}, 1, GroupMemberState::kAlive};
      if (node.dead_since && *node.dead_since + kDeadAfter <= now_) {
        member.state = GroupMemberState::kDead;
      }
      if (node.leaving) member.state = GroupMemberState::kLeaving;
      if (node.left) member.state = GroupMemberState::kLeft;
      members.push_back(member);
    }
    Effects out = effects(nodes_[index]);
    nodes_[index].groups->set_members(now_, members, out);
    perform(index, out);
    after_input(index);
  }

  std::uint64_t next_token_ = 0;
  bool expects_fatal_ = false;
  std::uint64_t reads_done_ = 0;
  std::map<std::uint64_t, std::vector<Result<Bytes>>> replies_;
  std::uint64_t requests_served_ = 0;
  Disk backup_;
  Boot backup_boot_ = 0;
};

}  // namespace dunlin
