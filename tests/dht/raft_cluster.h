// A cluster of `Groups` in one process, driven by one seed: virtual time, a network that loses,
// delays, doubles and reorders, links that are cut one way or both, disks that lose what was not
// durable. Around it stand the checkers: they look at what nodes say and do, never inside.
//
// Mutations break one rule of the *driver* (never of the code under test), to prove that the
// checker concerned can fail.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "base/crypto.h"
#include "base/random.h"
#include "dht/groups.h"
#include "dht/messages.h"
#include "dht/records.h"
#include "dht/router.h"

namespace dunlin {

enum class Mutation {
  kNone,
  kSendBeforeDurable,  // promises leave, and completions come, before the disk has anything
  kForgetVotes,        // facts written in the last life are lost, and peers' memory is ignored
  kForgetEntries,      // likewise the tail of the log
  kAmnesia,            // the tail of the log is lost, and peers' memory is honoured
  kForgeVotes,         // every vote is granted on the wire
  kForgeReadReplies,   // reads are confirmed by nobody
  kCorruptEntries,     // payloads are altered on the wire
  kDropCommitNews,     // acknowledgements lose the commit index they confirm
  kForgeAcks,          // a refused or pending acknowledgement claims everything
};

struct ClusterOptions {
  std::uint64_t seed = 1;
  int nodes = 3;
  std::uint16_t groups = 3;
  double loss = 0;
  double duplicate = 0;
  Duration delay_least = microseconds(100);
  Duration delay_most = milliseconds(2);
  double slow = 0;  // share of messages delayed by up to 100 times as much
  Duration disk_least = microseconds(200);
  Duration disk_most = milliseconds(3);
  Duration checkpoint_every = milliseconds(700);
  Mutation mutation = Mutation::kNone;
  GroupsConfig groups_config = fast_config();
  bool trace = false;

  static GroupsConfig fast_config() {
    GroupsConfig config;
    config.stable_view = milliseconds(300);
    config.replace_after = seconds(6);
    config.move_interval = seconds(3);
    config.settle = seconds(1);
    return config;
  }
};

class Cluster {
 public:
  using Machine = std::map<LogIndex, Bytes>;  // what a group's state machine was given

  explicit Cluster(ClusterOptions options) : options_(options), random_(options.seed) {
    options_.groups_config.group_count = options_.groups;
    nodes_.resize(static_cast<std::size_t>(options_.nodes));
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      random_.fill(nodes_[i].id.raw);
      index_of_[nodes_[i].id] = i;
    }
  }

  // ---- what a test does -------------------------------------------------------------------------
  void found(std::size_t node) {
    nodes_[node].is_founder = true;
    start(node);
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
  std::uint64_t acknowledged() const { return acknowledged_count_; }
  std::uint64_t reads_done() const { return reads_done_; }

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
    node.reads[token] = acknowledged_index_[group];
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
    while (violation_.empty() && !queue_.empty() && queue_.top().at <= until) step();
    now_ = std::max(now_, until);
  }

  // True when `done` came true within `most`.
  bool run_until(const std::function<bool()>& done, Duration most) {
    const Instant until = now_ + most;
    while (violation_.empty() && !done()) {
      if (queue_.empty() || queue_.top().at > until) {
        now_ = until;
        return done();
      }
      step();
    }
    return violation_.empty();
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
      if (index < acknowledged_index_[group]) return "the leader lags" + where;
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
  const std::string& violation() const { return violation_; }
  std::string trace() const { return trace_.str(); }

  // Everything acknowledged is in the state of the group's present leader.
  void check_durability() {
    for (const auto& [place, payload] : acknowledged_) {
      const std::optional<std::size_t> leader = leader_of(place.first);
      if (!leader) {
        violate("no leader to ask for an acknowledged entry");
        continue;
      }
      const Machine& machine = nodes_[*leader].machines[place.first];
      const auto found = machine.find(place.second);
      if (found == machine.end() || found->second != payload) {
        violate("durability: acknowledged entry " + std::to_string(place.second) + " of group " +
                std::to_string(place.first.value) + " is gone");
      }
    }
  }

 private:
  static constexpr Duration kHeartbeat = milliseconds(200);
  static constexpr Duration kSuspectAfter = milliseconds(800);
  static constexpr Duration kDeadAfter = seconds(2);

  struct Batch {
    std::uint64_t row = 0;
    std::vector<Bytes> records;
    std::vector<Fact> facts;
    std::vector<Send> sends;
    std::vector<Ticket> tickets;
    std::uint64_t trim_below = 0;
    bool told = false;  // completions were given out already (a mutation)
  };
  struct Watch {
    Instant heard;
    bool suspected = false;
  };
  struct Node {
    NodeId id;
    std::unique_ptr<Groups> groups;
    std::unique_ptr<Router> router;
    Boot boot = 0;
    std::uint64_t life = 0;  // counts starts and crashes, for events that are too late
    bool is_founder = false;
    bool in_view = false;
    bool leaving = false;
    bool left = false;
    bool failed = false;
    bool disk_stalled = false;
    std::string fatal;
    std::optional<Instant> dead_since;
    // The disk.
    std::map<std::string, Bytes> facts;
    std::map<std::uint64_t, std::vector<Bytes>> rows;
    std::uint64_t trimmed_row = 0;
    std::map<GroupId, Machine> checkpoint_machines;
    std::map<GroupId, AppliedState> checkpoint_applied;
    std::map<std::string, Bytes> facts_at_boot;  // for kForgetVotes
    std::uint64_t row_at_boot = 0;
    // Memory.
    std::uint64_t row = 0;  // of the last batch sealed
    std::deque<Batch> disk_queue;
    bool disk_busy = false;
    std::map<GroupId, Machine> machines;
    std::map<NodeId, Watch> watch;
    std::map<std::pair<GroupId, LogIndex>, std::pair<Term, Bytes>> proposed;
    std::map<std::pair<GroupId, LogIndex>, std::uint64_t> answers;  // to the router, when committed
    std::map<std::uint64_t, LogIndex> reads;
    Instant tick_at = Instant::never();
  };
  struct Event {
    Instant at;
    std::uint64_t sequence = 0;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return std::tie(at, sequence) > std::tie(other.at, other.sequence);
    }
  };

  void schedule(Instant at, std::function<void()> action) {
    queue_.push({at, ++sequence_, std::move(action)});
  }
  void schedule(Instant at, std::size_t index, std::uint64_t life, std::function<void()> action) {
    schedule(at, [this, index, life, action = std::move(action)] {
      if (nodes_[index].life == life && nodes_[index].groups) action();
    });
  }
  void step() {
    Event event = queue_.top();
    queue_.pop();
    now_ = std::max(now_, event.at);
    event.action();
  }

  Effects effects(const Node& node) const {
    Effects out;
    out.row = node.row + 1;
    return out;
  }

  bool is_cut(std::size_t a, std::size_t b) const {
    return cuts_.contains({a, b}) || cuts_.contains({b, a});
  }

  void violate(const std::string& text) {
    if (violation_.empty()) violation_ = text;
  }

  // ---- effects ----------------------------------------------------------------------------------
  void perform(std::size_t index, Effects& out) {
    Node& node = nodes_[index];
    for (Send& send : out.sends) transmit(index, std::move(send));
    const bool has_batch = out.has_durable() || out.trim_below != 0;
    if (!has_batch && out.sends_when_durable.empty() && out.tickets.empty()) return;
    if (!has_batch && node.disk_queue.empty()) {
      finish(index, out.sends_when_durable, out.tickets);
      return;
    }
    Batch batch;
    if (has_batch) {
      batch.row = ++node.row;
      for (auto& [module, record] : out.records) batch.records.push_back(std::move(record));
      batch.facts = std::move(out.facts);
      batch.trim_below = out.trim_below;
      note_records(batch.records);
    }
    batch.sends = std::move(out.sends_when_durable);
    batch.tickets = std::move(out.tickets);
    if (options_.mutation == Mutation::kSendBeforeDurable) {
      batch.told = true;
      const std::vector<Ticket> tickets = batch.tickets;
      for (Send& send : batch.sends) transmit(index, std::move(send));
      schedule(now_, index, node.life, [this, index, tickets] { complete(index, tickets); });
    }
    node.disk_queue.push_back(std::move(batch));
    next_disk(index);
  }

  void next_disk(std::size_t index) {
    Node& node = nodes_[index];
    if (node.disk_busy || node.disk_queue.empty() || node.disk_stalled) return;
    node.disk_busy = true;
    const std::uint64_t life = node.life;
    Duration time = random_.between(options_.disk_least, options_.disk_most);
    if (options_.mutation == Mutation::kSendBeforeDurable) time = time * 100;
    schedule(now_ + time, [this, index, life] {
      Node& disk_of = nodes_[index];
      disk_of.disk_busy = false;
      if (disk_of.life != life) {
        next_disk(index);
        return;
      }
      if (disk_of.disk_queue.empty()) return;
      Batch batch = std::move(disk_of.disk_queue.front());
      disk_of.disk_queue.pop_front();
      write(disk_of, batch);
      next_disk(index);
      if (!batch.told) finish(index, batch.sends, batch.tickets);
    });
  }

  void finish(std::size_t index, std::vector<Send>& sends, const std::vector<Ticket>& tickets) {
    for (Send& send : sends) transmit(index, std::move(send));
    complete(index, tickets);
  }

  void complete(std::size_t index, const std::vector<Ticket>& tickets) {
    for (const Ticket& ticket : tickets) {
      Node& node = nodes_[index];
      if (!node.groups) return;
      Effects out = effects(node);
      node.groups->on_durable(now_, ticket, out);
      perform(index, out);
      after_input(index);
    }
  }

  static void write(Node& node, const Batch& batch) {
    if (batch.row == 0) return;
    node.rows[batch.row] = batch.records;
    for (const Fact& fact : batch.facts) {
      if (fact.value) {
        node.facts[fact.key] = *fact.value;
      } else {
        node.facts.erase(fact.key);
      }
    }
    while (node.rows.size() > 1 && node.rows.begin()->first < batch.trim_below) {
      node.rows.erase(node.rows.begin());
    }
  }

  // What some mutations make a disk forget when its process dies.
  void forget(Node& node) {
    if (options_.mutation == Mutation::kForgetVotes) {
      for (auto& [key, value] : node.facts) {
        const auto old = node.facts_at_boot.find(key);
        if (old == node.facts_at_boot.end()) continue;
        VoteFact now = *decode<VoteFact>(value);
        const VoteFact then = *decode<VoteFact>(old->second);
        if (now.generation == then.generation) now.vote = {};
        value = encode(now);
      }
    }
    if (options_.mutation == Mutation::kForgetEntries || options_.mutation == Mutation::kAmnesia) {
      const std::size_t lost = random_.below(6);
      for (std::size_t i = 0; i < lost && node.rows.size() > 2; ++i) {
        node.rows.erase(std::prev(node.rows.end()));
      }
    }
    node.facts_at_boot = node.facts;
  }

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
    if (!machine.empty() && machine.rbegin()->first >= event.index) {
      violate("state machine: indexes go back at node " + std::to_string(index));
    }
    machine[event.index] = event.payload;
    const auto [known, is_new] =
        committed_.try_emplace({event.group, event.index}, std::pair{event.term, event.payload});
    if (!is_new && known->second != std::pair{event.term, event.payload}) {
      violate("state machine safety: two entries " + std::to_string(event.index) + " in group " +
              std::to_string(event.group.value));
    }
    const auto proposed = node.proposed.find({event.group, event.index});
    if (proposed == node.proposed.end()) return;
    if (proposed->second == std::pair{event.term, event.payload}) {
      acknowledged_[{event.group, event.index}] = event.payload;
      acknowledged_index_[event.group] = std::max(acknowledged_index_[event.group], event.index);
      ++acknowledged_count_;
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
    const Machine& machine = nodes_[index].machines[event.group];
    for (const auto& [place, entry] : committed_) {
      if (place.first != event.group || entry.first >= event.term) continue;
      const auto found = machine.find(place.second);
      if (found == machine.end() || found->second != entry.second) {
        violate("leader completeness: node " + std::to_string(index) + " leads group " +
                std::to_string(event.group.value) + " in term " + std::to_string(event.term) +
                " without entry " + std::to_string(place.second));
      }
    }
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
      violate("a snapshot came back altered");
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
      const Machine& machine = node.machines[event.group];
      const LogIndex seen = machine.empty() ? 0 : machine.rbegin()->first;
      if (seen < read->second) {
        violate("linearizable reads: node " + std::to_string(index) + " read up to " +
                std::to_string(seen) + " after " + std::to_string(read->second) +
                " was acknowledged");
      }
    }
    node.reads.erase(read);
  }

  void on_event(std::size_t index, GroupsFatal& event) {
    note(index, "fatal: " + event.text);
    nodes_[index].failed = true;
    nodes_[index].fatal = event.text;
    const bool expected =
        options_.mutation == Mutation::kAmnesia || options_.mutation == Mutation::kForgetEntries;
    if (!expected) violate("a node takes itself for amnesiac: " + event.text);
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

  // ---- network ----------------------------------------------------------------------------------
  void transmit(std::size_t from, Send send) {
    const auto found = index_of_.find(send.to);
    if (found == index_of_.end()) return;
    const std::size_t to = found->second;
    if (send.frame[0] == static_cast<std::uint8_t>(Module::kGroups)) {
      ++group_frames_;
      note_frame(from, to, send.frame);
      mutate(send.frame);
    }
    const int copies = random_.chance(options_.duplicate) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      if (random_.chance(options_.loss)) continue;
      Duration delay = random_.between(options_.delay_least, options_.delay_most);
      if (random_.chance(options_.slow)) delay = delay * random_.between(1, 100);
      schedule(now_ + delay, [this, from, to, frame = send.frame] {
        Node& node = nodes_[to];
        if (!node.groups || cuts_.contains({from, to})) return;
        Effects out = effects(node);
        if (frame[0] == static_cast<std::uint8_t>(Module::kRouter)) {
          node.router->receive(now_, nodes_[from].id, frame, out);
        } else {
          node.groups->receive(now_, nodes_[from].id, frame, out);
        }
        perform(to, out);
        after_input(to);
      });
    }
  }

  void mutate(Bytes& frame) {
    const Mutation mutation = options_.mutation;
    if (mutation == Mutation::kNone || mutation == Mutation::kAmnesia ||
        mutation == Mutation::kSendBeforeDurable) {
      return;
    }
    Result<Envelope> envelope = decode<Envelope>(ByteView(frame).subspan(1));
    if (!envelope) return;
    for (NodeMessage& note : envelope->notes) {
      // Nobody remembers: the second line of defence would hide what the first one lets through.
      if (auto* reply = std::get_if<PromiseReply>(&note)) {
        reply->groups.clear();
        reply->row = 0;
      }
    }
    for (GroupMessage& message : envelope->messages) mutate(message);
    Bytes changed{frame[0]};
    append(changed, encode(*envelope));
    frame = std::move(changed);
  }

  void mutate(GroupMessage& message) {
    if (auto* vote = std::get_if<VoteReply>(&message.body)) {
      if (options_.mutation == Mutation::kForgeVotes && !vote->granted) {
        vote->granted = true;
        if (vote->pre) ++message.term;
      }
    } else if (auto* reply = std::get_if<AppendReply>(&message.body)) {
      if (options_.mutation == Mutation::kDropCommitNews) reply->commit = 0;
      if (options_.mutation == Mutation::kForgeAcks && reply->ok) reply->index += 2;
    } else if (auto* append = std::get_if<Append>(&message.body)) {
      if (options_.mutation != Mutation::kCorruptEntries) return;
      for (Entry& entry : append->entries) {
        if (entry.kind == EntryKind::kPayload && random_.chance(0.01)) entry.payload[0] ^= 1;
      }
    }
  }

  // What frames prove without looking into nodes.
  void note_frame(std::size_t from, std::size_t to, const Bytes& frame) {
    const Result<Envelope> envelope = decode<Envelope>(ByteView(frame).subspan(1));
    if (!envelope) {
      violate("a frame does not decode");
      return;
    }
    for (const GroupMessage& message : envelope->messages) {
      if (options_.trace) note(from, "-> " + std::to_string(to) + " " + describe(message));
      const bool leads = std::holds_alternative<Append>(message.body) ||
                         std::holds_alternative<SnapshotChunk>(message.body) ||
                         std::holds_alternative<ReadProbe>(message.body);
      if (!leads) continue;
      const auto [known, is_new] = leaders_.try_emplace({message.group, message.term}, from);
      if (known->second != from) {
        violate("election safety: nodes " + std::to_string(known->second) + " and " +
                std::to_string(from) + " lead group " + std::to_string(message.group.value) +
                " in term " + std::to_string(message.term));
      }
    }
  }

  // Log matching: one term and index, one entry.
  void note_records(const std::vector<Bytes>& records) {
    for (const Bytes& bytes : records) {
      const Result<GroupRecord> record = decode<GroupRecord>(bytes);
      const auto* entry = record ? std::get_if<EntryRecord>(&*record) : nullptr;
      if (entry == nullptr) continue;
      const std::uint64_t hash = blake2b_64(encode(entry->entry));
      const auto [known, is_new] =
          entries_.try_emplace({entry->group, entry->index, entry->entry.term}, hash);
      if (known->second != hash) {
        violate("log matching: two entries " + std::to_string(entry->index) + " of term " +
                std::to_string(entry->entry.term) + " in group " +
                std::to_string(entry->group.value));
      }
    }
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
             });
    schedule(now_ + options_.checkpoint_every, index, node.life,
             [this, index] { checkpoint(index); });
  }

  // ---- pairwise liveness and membership ---------------------------------------------------------
  void heartbeat(std::size_t index) {
    Node& node = nodes_[index];
    schedule(now_ + kHeartbeat, index, node.life, [this, index] { heartbeat(index); });
    if (node.failed) return;
    for (const NodeId& peer : node.groups->peers()) {
      const auto [watch, is_new] = node.watch.try_emplace(peer, Watch{now_, false});
      if (!watch->second.suspected && watch->second.heard + kSuspectAfter < now_) {
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

  // There and back: whoever is cut off in one direction hears nothing either.
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
    // Only what was answered shows that both directions work.
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

  // ---- transcripts ------------------------------------------------------------------------------
  void note(std::size_t index, const std::string& text) {
    if (!options_.trace) return;
    trace_ << now_.us / 1000 << "." << (now_.us / 100) % 10 << " n" << index << " " << text << "\n";
  }

  struct Describe {
    std::string operator()(const Append& m) const {
      return "append after " + std::to_string(m.previous) + "/" + std::to_string(m.previous_term) +
             ": " + std::to_string(m.entries.size()) + ", commit " + std::to_string(m.commit);
    }
    std::string operator()(const AppendReply& m) const {
      return m.ok ? "has " + std::to_string(m.index) + ", commit " + std::to_string(m.commit)
                  : "lacks " + std::to_string(m.index) + ", try " + std::to_string(m.hint) + "/" +
                        std::to_string(m.hint_term);
    }
    std::string operator()(const VoteRequest& m) const {
      return std::string(m.pre ? "would you vote" : "vote") + (m.transfer ? " (transfer)" : "") +
             "? log " + std::to_string(m.last) + "/" + std::to_string(m.last_term);
    }
    std::string operator()(const VoteReply& m) const {
      return std::string(m.pre ? "would " : "does ") + (m.granted ? "vote" : "not vote");
    }
    std::string operator()(const ReadProbe& m) const {
      return "leading still, " + std::to_string(m.sequence) + "?";
    }
    std::string operator()(const ReadReply& m) const {
      return "leading still, " + std::to_string(m.sequence);
    }
    std::string operator()(const SnapshotChunk& m) const {
      return "snapshot " + std::to_string(m.index) + ": " + std::to_string(m.data.size()) +
             " bytes at " + std::to_string(m.offset) + " of " + std::to_string(m.total);
    }
    std::string operator()(const SnapshotReply& m) const {
      return "snapshot " + std::to_string(m.index) + " held to " + std::to_string(m.received);
    }
    std::string operator()(const TransferNow&) const { return "stand now"; }
    std::string operator()(const Hello&) const { return "do you lead?"; }
    std::string operator()(const NotLeading&) const { return "not leading"; }
    std::string operator()(const Removed& m) const {
      return "you were removed by " + std::to_string(m.committed);
    }
    std::string operator()(const Gone&) const { return "gone"; }
  };
  static std::string describe(const GroupMessage& message) {
    return "g" + std::to_string(message.group.value) + " t" + std::to_string(message.term) + " " +
           std::to_string(message.from) + ">" + std::to_string(message.to) + " " +
           std::visit(Describe{}, message.body);
  }

  ClusterOptions options_;
  Random random_;
  Instant now_{1'000'000};
  std::priority_queue<Event> queue_;
  std::uint64_t sequence_ = 0;
  std::vector<Node> nodes_;
  std::map<NodeId, std::size_t> index_of_;
  std::set<std::pair<std::size_t, std::size_t>> cuts_;
  std::uint64_t next_token_ = 0;

  std::string violation_;
  std::map<std::pair<GroupId, Term>, std::size_t> leaders_;
  std::map<std::tuple<GroupId, LogIndex, Term>, std::uint64_t> entries_;
  std::map<std::pair<GroupId, LogIndex>, std::pair<Term, Bytes>> committed_;
  std::map<std::pair<GroupId, LogIndex>, Bytes> acknowledged_;
  std::map<GroupId, LogIndex> acknowledged_index_;
  std::uint64_t acknowledged_count_ = 0;
  std::uint64_t reads_done_ = 0;
  std::uint64_t group_frames_ = 0;
  std::map<std::uint64_t, std::vector<Result<Bytes>>> replies_;
  std::uint64_t requests_served_ = 0;
  std::ostringstream trace_;
};

}  // namespace dunlin
