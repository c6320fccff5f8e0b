// The order in which jobs get a node's room, decided on the node itself because many coordinators
// compete for it: priority, raised by waiting; then the user who uses the least of the node; then
// age. A job that does not fit lets smaller ones pass, until it has waited so long that it keeps
// what frees up for itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "base/ids.h"
#include "base/time.h"
#include "sched/room.h"

namespace dunlin::sched {

constexpr std::size_t kMaxReservations = 50'000;  // jobs in the queue
constexpr Duration kAgingStep = seconds(60);      // of waiting: one step of priority
constexpr Duration kPassingTime = seconds(5);     // how long smaller ones may pass
constexpr std::size_t kLookAhead = 32;            // jobs of a user that may pass

class ReservationQueue {
 public:
  struct Claim {
    std::string user;
    std::int32_t priority = 0;
    Room task;  // what one takes
    Instant since;
  };

  // Enters a job, or changes its claim; `since` of one that is there already stays. False when
  // full.
  bool put(const JobId& job, const Claim& claim);
  void erase(const JobId& job);
  // It got room: it keeps its place, but its patience begins anew.
  void served(const JobId& job, Instant now);
  bool contains(const JobId& job) const { return claims_.contains(job); }
  std::size_t size() const { return claims_.size(); }

  // Who gets room for one task now? `used` are the processors that each user's tasks have;
  // `eligible` says whether a job could use room at this moment.
  std::optional<JobId> next(Instant now, const Room& free,
                            const std::map<std::string, std::uint32_t>& used,
                            const std::function<bool(const JobId&)>& eligible);

 private:
  // Waiting raises all claims alike, so that the order within a user does not change with time.
  using Order = std::pair<std::int64_t, JobId>;
  static Order order_of(const JobId& job, const Claim& claim);

  struct Entry {
    Claim claim;
    Instant served;
  };
  std::map<JobId, Entry> claims_;
  // The job for which room is kept until it fits. Without this, the order would turn against it
  // each time one of its rivals' tasks ends.
  std::optional<JobId> holder_;
  std::map<std::string, std::set<Order>> users_;
};

}  // namespace dunlin::sched
