// Links between simulated hosts. A message may be lost, doubled, late or overtaken; links can be
// cut one way, both ways, or between some pairs only. Hosts are numbers here: who sits behind one,
// and whether he speaks to the sender at all, is the hosts' business.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
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
  enum class Fate : std::uint8_t { kArrives, kLost };
  // Something sent. It is told its fate when it arrives, or would have, and answers whether the
  // receiver takes it, or would have: what nobody wanted is no loss.
  using Parcel = std::function<bool(Fate)>;

  SimNetwork(EventQueue& queue, FaultCounts& faults, Random random)
      : queue_(queue), faults_(faults), random_(random) {}

  void set_weather(const Weather& weather) { weather_ = weather; }

  // Nothing sent from one to the other arrives; `kind` says as what it counts. What is under way
  // still does.
  void cut(HostIndex from, HostIndex to, Fault kind) { cuts_[{from, to}] = kind; }
  void mend() { cuts_.clear(); }
  bool is_cut(HostIndex from, HostIndex to) const { return cuts_.contains({from, to}); }
  bool has_cuts() const { return !cuts_.empty(); }

  // The parcel arrives once, twice or never.
  void send(HostIndex from, HostIndex to, Channel channel, Parcel parcel);

 private:
  struct Link {
    Instant last_arrival;         // a stream keeps its order but where reordering strikes
    std::uint64_t sent = 0;       // numbers what is sent
    std::uint64_t last_took = 0;  // the highest number taken
  };
  struct Flight {
    Duration time;
    bool is_delayed = false;  // beyond what the link takes at most
    bool is_held_back = false;
  };

  Flight draw_flight();
  void lose(Fault why, Parcel parcel);
  void land(Link& link, std::uint64_t number, const Flight& flight, const Parcel& parcel);

  EventQueue& queue_;
  FaultCounts& faults_;
  Random random_;
  Weather weather_;
  std::map<std::pair<HostIndex, HostIndex>, Fault> cuts_;
  std::map<std::pair<HostIndex, HostIndex>, Link> links_;
};

}  // namespace dunlin::sim
