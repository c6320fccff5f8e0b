#include "sim/sim_network.h"

#include <algorithm>

namespace dunlin::sim {

SimNetwork::Flight SimNetwork::draw_flight() {
  Flight flight;
  flight.time = random_.between(weather_.least_delay, weather_.most_delay);
  if (weather_.delays > 0 && random_.chance(weather_.delays)) {
    const Duration late = random_.between(Duration{}, weather_.longest);
    flight.time = flight.time + late;
    flight.is_delayed = late > weather_.most_delay;
  }
  if (weather_.reordering > 0 && random_.chance(weather_.reordering)) {
    flight.time = flight.time + random_.between(Duration{}, weather_.straggle);
    flight.is_held_back = true;
  }
  return flight;
}

void SimNetwork::lose(Fault why, Parcel parcel) {
  if (!faults_.is_counting()) return;
  queue_.after(weather_.most_delay, [this, why, parcel = std::move(parcel)] {
    if (parcel(Fate::kLost)) faults_.note(why);
  });
}

void SimNetwork::land(Link& link, std::uint64_t number, const Flight& flight,
                      const Parcel& parcel) {
  if (!parcel(Fate::kArrives)) return;
  if (flight.is_delayed) faults_.note(Fault::kDelay);
  if (flight.is_held_back && number < link.last_took) faults_.note(Fault::kReordering);
  link.last_took = std::max(link.last_took, number);
}

void SimNetwork::send(HostIndex from, HostIndex to, Channel channel, Parcel parcel) {
  if (const auto cut = cuts_.find({from, to}); cut != cuts_.end()) {
    return lose(cut->second, std::move(parcel));
  }
  const bool is_stream = channel == Channel::kStream;
  if (weather_.loss > 0 && random_.chance(is_stream ? weather_.loss / 10 : weather_.loss)) {
    return lose(Fault::kLoss, std::move(parcel));
  }
  if (weather_.duplication > 0 && random_.chance(weather_.duplication)) {
    auto taken = std::make_shared<int>(0);
    Parcel counted = [this, taken, parcel](Fate fate) {
      const bool is_taken = parcel(fate);
      if (is_taken && ++*taken == 2) faults_.note(Fault::kDuplication);
      return is_taken;
    };
    // The second copy keeps no order.
    const Flight flight = draw_flight();
    queue_.after(flight.time, [counted] { counted(Fate::kArrives); });
    parcel = std::move(counted);
  }
  Link& link = links_[{from, to}];
  const Flight flight = draw_flight();
  Instant at = queue_.now() + flight.time;
  if (is_stream && !flight.is_held_back) {
    at = std::max(at, link.last_arrival);
    link.last_arrival = at;
  }
  queue_.at(at, [this, &link, number = ++link.sent, flight, parcel = std::move(parcel)] {
    land(link, number, flight, parcel);
  });
}

}  // namespace dunlin::sim
