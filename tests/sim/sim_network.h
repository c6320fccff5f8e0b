// Links between simulated hosts. A message may be lost, doubled, late or overtaken; links can be
// cut one way, both ways, or between some pairs only. Hosts are numbers here: who sits behind one,
// and whether he speaks to the sender at all, is the hosts' business.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "base/effects.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/event_queue.h"
#include "sim/fault_counts.h"

namespace dunlin::sim {

using HostIndex = std::size_t;

struct Weather {
  double loss = 0;  // of datagrams; frames of streams are lost a tenth as often
  double duplication = 0;
  double reordering = 0;  // held back by up to `straggle`
  double delays = 0;      // late by up to `longest`
  Duration least_delay = microseconds(80);
  Duration most_delay = microseconds(400);
  Duration straggle = milliseconds(20);
  Duration longest = milliseconds(1500);
};

class SimNetwork {
 public:
  SimNetwork(EventQueue& queue, FaultCounts& faults, Random random)
      : queue_(queue), faults_(faults), random_(random) {}

  void set_weather(const Weather& weather) { weather_ = weather; }

  // Nothing sent from one to the other arrives; `kind` says as what it counts. What is under way
  // still does.
  void cut(HostIndex from, HostIndex to, Fault kind) { cuts_[{from, to}] = kind; }
  void mend() { cuts_.clear(); }
  bool is_cut(HostIndex from, HostIndex to) const { return cuts_.contains({from, to}); }
  bool has_cuts() const { return !cuts_.empty(); }

  // `arrive` is called once, twice or never.
  void send(HostIndex from, HostIndex to, Channel channel, std::function<void()> arrive);

 private:
  Duration delay(bool& late);

  EventQueue& queue_;
  FaultCounts& faults_;
  Random random_;
  Weather weather_;
  std::map<std::pair<HostIndex, HostIndex>, Fault> cuts_;
  // A stream keeps its order but where reordering strikes.
  std::map<std::pair<HostIndex, HostIndex>, Instant> last_arrival_;
};

}  // namespace dunlin::sim
