// What goes wrong in one seed, after TigerBeetle's swarm testing: each seed draws which kinds of
// faults are on, and how strong. The injector orders them; FaultCounts tells which took effect.
//
// The budget. The promises hold while a majority of each group's disks survives, and a blob's last
// copy. So whatever loses a disk for good (rot, a lost tail, a restored or cloned directory) is
// ordered only when is_settled(): every group has all its voters running, every blob two sound
// copies.
// Until the loss is repaired there is no further one. Crashes, power cuts, partitions, pauses and
// full or hung disks lose no disk and are not counted. But what a node promised and its disk forgot
// is known to the memory of its peers alone: from the moment that an older copy of a directory is
// put back until that node was judged, no other process is killed, paused or cut off. With those
// alone who remember nothing newer it is like a member of a bare quorum, which must go on (Q7). A
// node that the others are told to forget has a disk that is lost for good, too, from the first
// time that they are told.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/fault_counts.h"
#include "sim/sim_world.h"

namespace dunlin::sim {

struct FaultPlan {
  std::array<bool, kFaultKinds> on{};
  Weather weather;
  Duration between = seconds(10);  // episodes, on average
  Duration longest = seconds(15);  // of an episode that ends by itself
  double silence = 0.2;            // a dead process of which no reset tells

  bool has(Fault fault) const { return on[static_cast<std::size_t>(fault)]; }
  void set(Fault fault, bool is_on = true) { on[static_cast<std::size_t>(fault)] = is_on; }

  static FaultPlan draw(Random& random);
  // These and no others, as strong as a drawn plan may have them.
  static FaultPlan of(const std::vector<Fault>& faults);
};

class FaultInjector {
 public:
  FaultInjector(SimWorld& world, const FaultPlan& plan, Random random);

  // What happens from here to end() counts.
  void begin();
  // No more faults; what is broken stays so until heal().
  void end();
  // Links, disks and pauses are well again.
  void heal();
  // A process on one of the two hosts is about to die.
  void kill_one_of(HostIndex a, HostIndex b);
  // Hears of what loses disks, for who follows a seed.
  std::function<void(const std::string&)> say = [](const std::string&) {};

 private:
  void next();
  void strike(Fault fault);
  void partition(Fault kind);
  void pause();
  void kill(HostIndex victim);
  void crash_host(HostIndex victim, bool power);
  void power_cut();
  void fill_disk();
  void break_disk();
  void hang_disk();
  void tamper(Fault fault, int tries = 10);
  void alter(SimHost& host, Fault fault);
  void put_back_later();
  void rot_a_pack();
  void clone(int tries = 10);
  void join();
  void leave();
  void drain();
  void undrain(HostIndex host, NodeId id, int tries);
  void undrain_all(int tries);
  void forget();
  void ask_to_forget();
  void on_forgotten(NodeId id);

  void amid_writes(std::vector<HostIndex> hosts, std::function<void()> strike, int tries = 1000);
  void on_end(SimHost& host);
  void start_later(HostIndex host, Duration least, Duration most);
  void start(HostIndex host);
  void replace(HostIndex host);
  Crash draw_crash(bool power);
  std::vector<HostIndex> running() const;
  std::optional<HostIndex> victim();
  // A node runs, or will, that does not know yet that it cannot go on under its id.
  bool is_one_doomed();
  // Nobody is needed to tell a node what its disk has forgotten.
  bool may_silence();
  void let_all_speak();
  // One more disk may be lost for good.
  bool is_in_budget();
  std::size_t up() const;

  SimWorld& world_;
  const FaultPlan plan_;
  Random random_;
  bool is_over_ = false;
  std::uint64_t partitions_ = 0;
  std::map<HostIndex, SimDisk::Snapshot> copies_;  // older ones, to be put back
  struct Doomed {
    HostIndex host = 0;
    NodeId id;
    Instant until;  // by then it knows
    bool has_forgotten = false;
  };
  std::optional<Doomed> doomed_;
  bool is_draining_ = false;  // some node, or is about to
  struct Forgetting {
    HostIndex host = 0;
    NodeId id;
    std::uint64_t question = 0;  // the last one that was asked
  };
  std::optional<Forgetting> forgetting_;  // a dead host, until the others have
};

}  // namespace dunlin::sim
