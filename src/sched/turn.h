// One input of the scheduler, handled to the end: when it happens, and where its wishes go.
#pragma once

#include <utility>
#include <vector>

#include "base/effects.h"
#include "base/time.h"
#include "sched/messages.h"
#include "sched/sched_events.h"

namespace dunlin::sched {

struct Turn {
  Instant now;
  WallTime wall;
  Effects& effects;
  std::vector<SchedEvent>& events;

  void send(NodeId to, const SchedMessage& message) {
    effects.send(to, Channel::kStream, encode_frame(message));
  }
  void raise(SchedEvent event) { events.push_back(std::move(event)); }
};

}  // namespace dunlin::sched
