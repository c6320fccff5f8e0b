// One random history of a cluster: everything at once, at strengths drawn from the seed; then a
// bare majority of the disks is healed and must come to agree (Q7).
#pragma once

#include <map>
#include <string>

#include "dht/raft_cluster.h"

namespace dunlin {

// What each seed must do.
constexpr std::uint64_t kFewestAcknowledged = 5;
constexpr std::uint64_t kFewestReads = 1;

struct SeedResult {
  std::string violation;  // empty: none
  std::string trace;
  std::uint64_t acknowledged = 0;
  std::uint64_t reads = 0;
  std::map<std::string, std::uint64_t> faults;  // that took effect during the trouble, by kind
};

class SeedRun {
 public:
  SeedRun(std::uint64_t seed, Mutation mutation, bool trace)
      : chance_(seed * 7919 + 13), cluster_(draw(seed, mutation, trace)) {}

  SeedResult run(Duration trouble = seconds(12)) {
    cluster_.found(0);
    cluster_.run_for(milliseconds(200));
    for (std::size_t i = 1; i < cluster_.size(); ++i) {
      cluster_.start(i);
      if (chance_.chance(0.5)) cluster_.run_for(milliseconds(300));
    }
    cluster_.run_for(seconds(3));
    const Instant end = cluster_.now() + trouble;
    // Where faults let little begin there would be too little to judge: they go on for a while.
    const auto goes_on = [&] {
      return cluster_.now() < end ||
             (cluster_.acknowledged() < kFewestAcknowledged && cluster_.now() < end + trouble * 2);
    };
    while (goes_on() && cluster_.violation().empty()) {
      something_happens();
      work();
      cluster_.run_for(chance_.between(milliseconds(10), milliseconds(400)));
    }
    faults_.insert(cluster_.took_effect().begin(), cluster_.took_effect().end());
    if (cluster_.violation().empty()) settle();
    return {cluster_.violation() + verdict_, cluster_.trace(), cluster_.acknowledged(),
            cluster_.reads_done(), faults_};
  }

 private:
  ClusterOptions draw(std::uint64_t seed, Mutation mutation, bool trace) {
    ClusterOptions options;
    options.seed = seed;
    options.mutation = mutation;
    options.trace = trace;
    const int sizes[] = {1, 2, 3, 3, 3, 4, 5, 5, 7};
    options.nodes = sizes[chance_.below(9)];
    options.groups = static_cast<std::uint16_t>(1 + chance_.below(4));
    if (chance_.chance(0.7)) options.loss = chance_.unit() * 0.2;
    if (chance_.chance(0.5)) options.duplicate = chance_.unit() * 0.3;
    if (chance_.chance(0.5)) options.slow = chance_.unit() * 0.1;
    if (chance_.chance(0.3)) options.disk_most = milliseconds(60);
    options.checkpoint_every = chance_.between(milliseconds(100), seconds(3));
    may_leave_ = chance_.chance(0.3);
    crashes_ = chance_.unit();
    cuts_ = chance_.unit();
    return options;
  }

  std::size_t any() { return chance_.below(cluster_.size()); }

  void something_happens() {
    const double draw = chance_.unit() * 2.4;
    if (draw < crashes_ * 0.5) {
      cluster_.crash(any());
    } else if (draw < 0.6) {
      const std::size_t node = any();
      if (!cluster_.is_up(node) && !left_.contains(node) && !cluster_.has_failed(node)) {
        cluster_.start(node);
      }
    } else if (draw < 0.6 + cuts_ * 0.4) {
      trouble_links();
    } else if (draw < 1.3) {
      cluster_.heal();
    } else if (draw < 1.33) {
      // The power fails everywhere at once.
      ++faults_["power cut"];
      for (std::size_t i = 0; i < cluster_.size(); ++i) cluster_.crash(i);
      for (std::size_t i = 0; i < cluster_.size(); ++i) {
        if (!left_.contains(i) && !cluster_.has_failed(i)) cluster_.start(i);
      }
    } else if (draw < 1.36 && may_leave_ && left_.size() + 3 < cluster_.size()) {
      const std::size_t node = any();
      if (cluster_.is_up(node)) {
        ++faults_["leave"];
        cluster_.leave(node);
        left_.insert(node);
      }
    } else if (draw < 1.4) {
      const std::size_t node = any();
      if (cluster_.is_up(node)) {
        cluster_.stall_storage(node, true);
        cluster_.run_for(chance_.between(milliseconds(50), seconds(2)));
        if (cluster_.is_up(node)) cluster_.stall_storage(node, false);
      }
    }
  }

  void trouble_links() {
    const std::uint64_t kind = chance_.below(4);
    if (kind == 0) {
      cluster_.isolate(any());
    } else if (kind == 1) {
      const std::size_t a = any();
      const std::size_t b = any();
      if (a != b) cluster_.cut_both(a, b);
    } else if (kind == 2) {
      const std::size_t a = any();
      const std::size_t b = any();
      if (a != b) cluster_.cut(a, b);
    } else {
      for (std::size_t a = 0; a < cluster_.size(); ++a) {
        if (!chance_.chance(0.5)) continue;
        for (std::size_t b = 0; b < cluster_.size(); ++b) {
          if (b != a && chance_.chance(0.5)) cluster_.cut_both(a, b);
        }
      }
    }
  }

  void work() {
    for (std::uint16_t g = 0; g < cluster_.group_count(); ++g) {
      const GroupId group{g};
      const std::uint64_t proposals = chance_.below(5);
      for (std::uint64_t i = 0; i < proposals; ++i) {
        cluster_.propose(group, 1 + chance_.below(200));
      }
      // Old leaders too believe that they lead: they must not answer with old news.
      for (std::size_t i = 0; i < cluster_.size(); ++i) {
        if (!cluster_.is_up(i) || !cluster_.groups(i).is_leading(group)) continue;
        if (chance_.chance(0.3)) cluster_.propose_at(i, group);
        if (chance_.chance(0.5)) cluster_.read_at(i, group);
      }
    }
  }

  // Heals a random bare quorum; the rest stays dead.
  void settle() {
    cluster_.heal();
    cluster_.set_loss(0, 0, 0);
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (cluster_.is_up(i)) cluster_.stall_storage(i, false);
    }
    for (std::size_t i = 0; i < cluster_.size(); ++i) {
      if (!cluster_.is_up(i) && !cluster_.has_failed(i)) cluster_.start(i);
    }
    const auto converged = [&] { return cluster_.has_converged(); };
    if (!cluster_.run_until(converged, seconds(60))) {
      if (cluster_.violation().empty()) {
        verdict_ = "convergence: after healing, " + cluster_.apart();
      }
      return;
    }
    cluster_.check_durability();
    // A group on the move may need two quorums: let all moves end first.
    cluster_.run_for(seconds(20));
    const auto leads = [&] { return all_lead(); };
    bool is_bare = false;
    for (int i = 0; i < kKillings && !is_bare; ++i) {
      is_bare = kill_down_to_quorum();
      if (!cluster_.run_until(leads, seconds(30))) {
        verdict_ = "convergence: a bare quorum elects nobody";
        return;
      }
    }
    if (!is_bare && cluster_.violation().empty()) {
      verdict_ = "harness: the quorum was never bare";
      return;
    }
    for (std::uint16_t g = 0; g < cluster_.group_count() && cluster_.violation().empty(); ++g) {
      use(GroupId{g});
    }
    if (!cluster_.run_until(converged, seconds(30))) {
      if (cluster_.violation().empty()) {
        verdict_ = "convergence: a bare quorum does not commit: " + cluster_.apart();
      }
      return;
    }
    cluster_.check_durability();
    rest();
  }

  // A bare quorum takes entries and answers reads. A group that is just being handed over does a
  // moment later.
  void use(GroupId group) {
    const std::uint64_t entries = cluster_.acknowledged();
    const std::uint64_t reads = cluster_.reads_done();
    for (int i = 0; i < 30; ++i) {
      if (cluster_.acknowledged() > entries && cluster_.reads_done() > reads) return;
      cluster_.propose(group);
      if (const auto leader = cluster_.leader_of(group)) cluster_.read_at(*leader, group);
      cluster_.run_for(milliseconds(300));
    }
    verdict_ = "convergence: a bare quorum is stuck";
  }

  bool all_lead() const {
    for (std::uint16_t g = 0; g < cluster_.group_count(); ++g) {
      if (!cluster_.leader_of(GroupId{g})) return false;
    }
    return true;
  }

  // Kills nodes as long as every group keeps a majority of its voters. False: a group was not led,
  // so who is needed cannot be told, and some may live that are not.
  bool kill_down_to_quorum() {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < cluster_.size(); ++i) order.push_back(i);
    chance_.shuffle(order);
    for (const std::size_t victim : order) {
      bool needed = false;
      for (std::uint16_t g = 0; g < cluster_.group_count(); ++g) {
        const auto leader = cluster_.leader_of(GroupId{g});
        if (!leader) return false;
        const auto config = cluster_.groups(*leader).config(GroupId{g});
        needed = needed || !config->has_quorum([&](const Seat& seat) {
          const std::size_t at = cluster_.index_of(seat.node);
          return at != victim && cluster_.is_up(at);
        });
      }
      if (!needed) cluster_.crash(victim);
    }
    return true;
  }

  void rest() {
    cluster_.run_for(seconds(25));
    const std::uint64_t frames = cluster_.group_frames();
    cluster_.run_for(seconds(20));
    if (cluster_.group_frames() != frames) {
      verdict_ =
          "rest: idle groups sent " + std::to_string(cluster_.group_frames() - frames) + " frames";
    }
  }

  static constexpr int kKillings = 10;  // tries to find all groups led at once

  Random chance_;
  bool may_leave_ = false;
  double crashes_ = 0;
  double cuts_ = 0;
  std::set<std::size_t> left_;
  std::map<std::string, std::uint64_t> faults_;
  std::string verdict_;
  Cluster cluster_;
};

}  // namespace dunlin
