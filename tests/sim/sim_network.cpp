#include "sim/sim_network.h"

namespace dunlin::sim {

Duration SimNetwork::delay(bool& late) {
  Duration delay = random_.between(weather_.least_delay, weather_.most_delay);
  if (weather_.delays > 0 && random_.chance(weather_.delays)) {
    faults_.note(Fault::kDelay);
    delay = delay + random_.between(Duration{}, weather_.longest);
  }
  if (weather_.reordering > 0 && random_.chance(weather_.reordering)) {
    faults_.note(Fault::kReordering);
    delay = delay + random_.between(Duration{}, weather_.straggle);
    late = true;
  }
  return delay;
}

void SimNetwork::send(HostIndex from, HostIndex to, Channel channel, std::function<void()> arrive) {
  if (const auto cut = cuts_.find({from, to}); cut != cuts_.end()) {
    faults_.note(cut->second);
    return;
  }
  const bool is_stream = channel == Channel::kStream;
  if (weather_.loss > 0 && random_.chance(is_stream ? weather_.loss / 10 : weather_.loss)) {
    faults_.note(Fault::kLoss);
    return;
  }
  int copies = 1;
  if (weather_.duplication > 0 && random_.chance(weather_.duplication)) {
    faults_.note(Fault::kDuplication);
    copies = 2;
  }
  for (int i = 0; i < copies; ++i) {
    bool overtaken = i > 0;
    Instant at = queue_.now() + delay(overtaken);
    if (is_stream && !overtaken) {
      Instant& last = last_arrival_[{from, to}];
      at = std::max(at, last);
      last = at;
    }
    queue_.at(at, i + 1 == copies ? std::move(arrive) : arrive);
  }
}

}  // namespace dunlin::sim
