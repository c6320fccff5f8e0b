// Many Gossip instances in one process under virtual time: a seeded network with loss, delay,
// duplication, partitions, slow and paused members, crashes and restarts, and checkers that know
// the truth. Two runs of one seed are the same bit for bit.
#pragma once

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/crypto.h"
#include "gossip/gossip.h"

namespace dunlin::test {

struct Network {
  Duration delay_min = microseconds(200);
  Duration delay_max = milliseconds(2);
  double datagram_loss = 0;
  double stream_loss = 0;
  double duplicates = 0;
};

class GossipCluster {
 public:
  // What sealing, UDP and IP add to each frame, about.
  static constexpr std::size_t kOverhead = 60;

  explicit GossipCluster(std::uint64_t seed, GossipConfig config = {})
      : random_(seed), config_(config) {}

  Network network;
  // See what is sent, whether it arrives or not, and what a member makes of it.
  std::function<void(std::size_t from, const Send& send)> on_send;
  std::function<void(std::size_t at, const GossipEvent& event)> on_event;

  // ---- members ---------------------------------------------------------------------------------

  // A host that is not running yet.
  std::size_t add() {
    Host host;
    random_.fill(host.facts.key.raw);
    host.facts.id = node_id_of(host.facts.key);
    const std::string number = std::to_string(hosts_.size());
    host.facts.name = "node-" + number;
    host.facts.address = "10.0." + std::to_string(hosts_.size() / 250) + "." + number + ":7400";
    host.facts.zone = "zone-" + std::to_string(hosts_.size() % 3);
    host.facts.cpus = 8;
    host.facts.memory = 32ULL << 30;
    host.facts.version = "0.1.0";
    host.facts.disk_total = 500ULL << 30;
    index_[host.facts.id] = hosts_.size();
    hosts_.push_back(std::move(host));
    return hosts_.size() - 1;
  }

  // Starts a new life of it; `seeds` are the members that its disk or its join told it.
  void start(std::size_t i, const std::vector<Member>& seeds = {}) {
    Host& host = hosts_[i];
    ASSERT(!host.gossip);
    ++host.boot;
    host.has_left = false;
    host.gossip = std::make_unique<Gossip>(host.facts, host.boot, config_, random_.fork());
    host.gossip->seed(now_, seeds);
    settle(i, {});
  }

  void crash(std::size_t i) {
    hosts_[i].gossip.reset();
    hosts_[i].tick_at = Instant::never();
    hosts_[i].paused_until = {};
    ++hosts_[i].life;
  }

  void leave(std::size_t i) {
    Effects out;
    hosts_[i].has_left = true;
    hosts_[i].gossip->leave(now_, out);
    settle(i, std::move(out));
  }

  // What a joiner would be told by host i.
  std::vector<Member> members_of(std::size_t i) const {
    std::vector<Member> members;
    for (const auto& [id, member] : hosts_[i].gossip->members()) members.push_back(member);
    return members;
  }

  // `count` hosts that know all the others from the start.
  void found(std::size_t count) {
    std::vector<Member> all;
    for (std::size_t i = 0; i < count; ++i) {
      Member member;
      member.facts = hosts_[add()].facts;
      member.boot = 1;
      all.push_back(member);
    }
    for (std::size_t i = 0; i < count; ++i) start(i, all);
  }

  // ---- faults ----------------------------------------------------------------------------------

  void set_side(std::size_t i, int side) { hosts_[i].side = side; }
  void block(std::size_t from, std::size_t to) { blocked_.insert({from, to}); }
  void unblock_all() {
    blocked_.clear();
    for (Host& host : hosts_) host.side = 0;
  }
  // Everything it sends leaves that much later.
  void set_lateness(std::size_t i, Duration late) { hosts_[i].late = late; }
  // It handles nothing until then; what arrives waits.
  void pause(std::size_t i, Duration length) { hosts_[i].paused_until = now_ + length; }
  bool is_any_paused() const {
    return std::ranges::any_of(hosts_, [&](const Host& host) { return host.paused_until > now_; });
  }

  // ---- time ------------------------------------------------------------------------------------

  Instant now() const { return now_; }

  bool step(Instant limit) {
    if (queue_.empty() || queue_.top().at > limit) return false;
    Event event = queue_.top();
    queue_.pop();
    now_ = event.at;
    Host& host = hosts_[event.to];
    if (!host.gossip || event.life != host.life) return true;
    if (host.paused_until > now_) {
      if (!event.frame && event.at != host.tick_at) return true;  // an older alarm
      event.at = host.paused_until;
      if (!event.frame) host.tick_at = event.at;
      event.sequence = ++sequence_;
      queue_.push(std::move(event));
      return true;
    }
    Effects out;
    if (event.frame) {
      host.gossip->receive(now_, hosts_[event.from].facts.id, *event.frame, out);
    } else {
      if (event.at != host.tick_at) return true;  // an older alarm
      host.tick_at = Instant::never();
      host.gossip->tick(now_, out);
      ++ticks;
    }
    settle(event.to, std::move(out));
    return true;
  }

  void run_for(Duration length) {
    const Instant end = now_ + length;
    while (step(end)) {
    }
    now_ = end;
  }

  // True if it became so within the limit; looked at every `grain`.
  bool run_until(Duration limit, const std::function<bool()>& holds,
                 Duration grain = milliseconds(10)) {
    const Instant end = now_ + limit;
    while (!holds()) {
      if (now_ >= end) return false;
      run_for(grain);
    }
    return true;
  }

  // ---- the truth -------------------------------------------------------------------------------

  std::size_t size() const { return hosts_.size(); }
  bool is_up(std::size_t i) const { return hosts_[i].gossip != nullptr; }
  bool has_left(std::size_t i) const { return hosts_[i].has_left; }
  Gossip& gossip(std::size_t i) { return *hosts_[i].gossip; }
  NodeId id(std::size_t i) const { return hosts_[i].facts.id; }
  const NodeFacts& facts(std::size_t i) const { return hosts_[i].facts; }
  Boot boot(std::size_t i) const { return hosts_[i].boot; }
  void set_boot(std::size_t i, Boot boot) { hosts_[i].boot = boot; }

  // After Gossip was called from outside: performs what it wishes now.
  void settle(std::size_t i, Effects out) {
    Host& host = hosts_[i];
    for (Send& send : out.sends) transmit(i, std::move(send));
    for (GossipEvent& event : host.gossip->take_events()) note(i, event);
    const Instant next = std::max(host.gossip->next_deadline(), now_);
    if (next == Instant::never() || next == host.tick_at) return;
    host.tick_at = next;
    push({next, 0, i, i, host.life, nullptr});
  }

  // Nothing when host i's view is true; else the first thing that is wrong with it.
  std::string wrong_in_view(std::size_t i) const {
    const auto& members = hosts_[i].gossip->members();
    for (std::size_t other = 0; other < hosts_.size(); ++other) {
      const Host& host = hosts_[other];
      const auto found = members.find(host.facts.id);
      if (host.boot == 0) continue;
      const std::string who = host.facts.name + " in the view of " + hosts_[i].facts.name;
      const bool is_up_here = host.gossip && !host.has_left && host.side == hosts_[i].side;
      if (found == members.end()) {
        if (is_up_here || is_known(host.facts.id)) return "missing: " + who;
        continue;  // it was gone before anybody heard of it
      }
      const MemberState state = found->second.state;
      const MemberState truth = is_up_here      ? MemberState::kAlive
                                : host.has_left ? MemberState::kLeft
                                                : MemberState::kDead;
      if (state != truth) return std::string(member_state_name(state)) + ": " + who;
      if (is_up_here && found->second.boot != host.boot) return "old boot: " + who;
    }
    return {};
  }

  // By anybody who is still there.
  bool is_known(NodeId id) const {
    return std::ranges::any_of(hosts_, [&](const Host& host) {
      return host.gossip && !host.has_left && host.gossip->members().contains(id);
    });
  }

  // Who has left listens to nobody any more: his view does not count.
  std::string wrong() const {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
      if (!hosts_[i].gossip || hosts_[i].has_left) continue;
      std::string error = wrong_in_view(i);
      if (!error.empty()) return error;
    }
    return {};
  }

  bool is_true() const { return wrong().empty(); }

  bool is_converged() const {
    std::map<int, std::uint64_t> digests;
    for (const Host& host : hosts_) {
      if (!host.gossip || host.has_left) continue;
      const auto [at, is_new] = digests.try_emplace(host.side, host.gossip->digest());
      if (at->second != host.gossip->digest()) return false;
    }
    return true;
  }

  // How many running members hold host `subject` for that.
  std::size_t count_views(std::size_t subject, MemberState state) const {
    std::size_t count = 0;
    for (const Host& host : hosts_) {
      if (!host.gossip) continue;
      const auto found = host.gossip->members().find(id(subject));
      count += found != host.gossip->members().end() && found->second.state == state ? 1 : 0;
    }
    return count;
  }

  template <class Event>
  std::size_t count_events(std::size_t i) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        hosts_[i].events, [](const auto& e) { return std::holds_alternative<Event>(e); }));
  }
  void clear_events() {
    for (Host& host : hosts_) host.events.clear();
  }

  // Declared dead by somebody on its side while it was up.
  std::uint64_t false_deaths = 0;
  std::uint64_t suspicions = 0;
  // Of frames alone; `frames_sent * kOverhead` comes on top.
  std::uint64_t bytes_sent = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t streams_sent = 0;
  std::uint64_t ticks = 0;
  std::uint64_t trace = 0;  // of everything sent: equal for equal seeds

 private:
  struct Host {
    NodeFacts facts;
    Boot boot = 0;
    std::uint64_t life = 0;
    std::unique_ptr<Gossip> gossip;
    bool has_left = false;
    int side = 0;
    Duration late;
    Instant paused_until;
    Instant tick_at = Instant::never();
    std::vector<GossipEvent> events;
  };
  struct Event {
    Instant at;
    std::uint64_t sequence = 0;
    std::size_t to = 0;
    std::size_t from = 0;
    std::uint64_t life = 0;
    std::shared_ptr<const Bytes> frame;  // none: an alarm
    bool operator<(const Event& other) const {
      return std::pair(at, sequence) > std::pair(other.at, other.sequence);
    }
  };

  void push(Event event) {
    event.sequence = ++sequence_;
    queue_.push(std::move(event));
  }

  void transmit(std::size_t from, Send send) {
    ASSERT(send.channel != Channel::kDatagram || send.frame.size() <= kMaxDatagram);
    ASSERT(send.frame.size() <= kMaxFrame);
    if (on_send) on_send(from, send);
    bytes_sent += send.frame.size();
    ++frames_sent;
    streams_sent += send.channel == Channel::kStream ? 1 : 0;
    trace = trace * 0x9e3779b97f4a7c15ULL + blake2b_64(send.frame) +
            static_cast<std::uint64_t>(now_.us);
    const auto found = index_.find(send.to);
    if (found == index_.end()) return;
    const std::size_t to = found->second;
    if (hosts_[to].side != hosts_[from].side || blocked_.contains({from, to})) return;
    const bool is_stream = send.channel == Channel::kStream;
    if (random_.chance(is_stream ? network.stream_loss : network.datagram_loss)) return;
    auto frame = std::make_shared<const Bytes>(std::move(send.frame));
    const int copies = random_.chance(network.duplicates) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
      const Duration delay =
          random_.between(network.delay_min, network.delay_max) + hosts_[from].late;
      push({now_ + delay, 0, to, from, hosts_[to].life, frame});
    }
  }

  void note(std::size_t i, const GossipEvent& event) {
    if (on_event) on_event(i, event);
    hosts_[i].events.push_back(event);
    suspicions += std::holds_alternative<MemberSuspect>(event) ? 1 : 0;
    const auto* dead = std::get_if<MemberDead>(&event);
    if (dead == nullptr) return;
    const Host& subject = hosts_[index_.at(dead->node)];
    const bool is_up = subject.gossip && !subject.has_left && subject.paused_until <= now_ &&
                       subject.side == hosts_[i].side;
    false_deaths += is_up ? 1 : 0;
  }

  Random random_;
  const GossipConfig config_;
  Instant now_;
  std::uint64_t sequence_ = 0;
  std::vector<Host> hosts_;
  std::map<NodeId, std::size_t> index_;
  std::set<std::pair<std::size_t, std::size_t>> blocked_;
  std::priority_queue<Event> queue_;
};

}  // namespace dunlin::test
