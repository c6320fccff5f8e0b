// The order in which jobs get a node's room, decided on the node itself because many coordinators
// compete for it: priority, raised by waiting; then the user who uses the least of the node; then
// age. A job that does not fit lets smaller ones pass, until it has waited so long that it keeps
// what frees up for itself.
#pragma once

#include <algorithm>
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
// Of waiting: one step of priority. Ten steps of priority are made up for in less than ten minutes.
constexpr Duration kAgingStep = seconds(50);
constexpr Duration kPassingTime = seconds(5);  // how long smaller ones may pass
constexpr std::size_t kLookAhead = 32;         // jobs of a user that may pass

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
  // It got room: among its equals it keeps its place, but it has waited no more.
  void served(const JobId& job, Instant now);
  bool contains(const JobId& job) const { return claims_.contains(job); }
  std::size_t size() const { return claims_.size(); }

  // Who gets room for one task now? `used` says how much of the node each user has;
  // `eligible` says whether a job could use room at this moment.
  std::optional<JobId> next(Instant now, const Room& free,
                            const std::map<std::string, std::uint32_t>& used,
                            const std::function<bool(const JobId&)>& eligible);

  // How many jobs come before this one, which would enter with this claim if it is not here yet?
  std::size_t ahead(const JobId& job, const Claim& claim,
                    const std::map<std::string, std::uint32_t>& used) const;

 private:
  struct Entry {
    Claim claim;
    Instant served;
    // Since when it waits for any room at all.
    Instant base() const { return std::max(claim.since, served); }
  };
  // Steps of time at which jobs of different priority and patience are equals. Waiting raises all
  // claims alike, so that the order within a user does not change with time.
  static std::int64_t level_of(const Entry& entry) {
    return entry.base().us / kAgingStep.us - entry.claim.priority;
  }
  using Order = std::tuple<std::int64_t, Instant, JobId>;
  static Order order_of(const JobId& job, const Entry& entry) {
    return {level_of(entry), entry.claim.since, job};
  }

  // Who comes first.
  struct Rank {
    std::int64_t level;
    std::uint32_t used;
    Instant since;
    JobId job;
    auto operator<=>(const Rank&) const = default;
  };
  static Rank rank_of(const JobId& job, const Entry& entry,
                      const std::map<std::string, std::uint32_t>& used);

  std::map<JobId, Entry> claims_;
  // The job for which room is kept until it fits. Without this, the order would turn against it
  // each time one of its rivals' tasks ends.
  std::optional<JobId> holder_;
  std::map<std::string, std::set<Order>> users_;
};

}  // namespace dunlin::sched
