// The one queue of a simulated world: everything that happens is an event in it, ordered by time
// and, at one time, by the order in which it was asked for. Nothing else moves virtual time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace dunlin::sim {

class EventQueue {
 public:
  Instant now() const { return now_; }
  std::uint64_t executed() const { return executed_; }
  std::size_t waiting() const { return heap_.size(); }

  void at(Instant when, std::function<void()> what) {
    heap_.push_back({std::max(when, now_), sequence_++, std::move(what)});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }
  void after(Duration time, std::function<void()> what) { at(now_ + time, std::move(what)); }

  // Runs the next event if it is due by `until`; false when there is none, and it is `until` then.
  bool step(Instant until) {
    if (heap_.empty() || heap_.front().at > until) {
      now_ = std::max(now_, until);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    const Event event = std::move(heap_.back());
    heap_.pop_back();
    ASSERT(event.at >= now_);
    now_ = event.at;
    ++executed_;
    event.what();
    return true;
  }

 private:
  struct Event {
    Instant at;
    std::uint64_t sequence = 0;
    std::function<void()> what;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
    }
  };

  Instant now_;
  std::uint64_t sequence_ = 0;
  std::uint64_t executed_ = 0;
  std::vector<Event> heap_;
};

}  // namespace dunlin::sim
