#include "sched/reservation_queue.h"

#include <algorithm>
#include <vector>

namespace dunlin::sched {

ReservationQueue::Order ReservationQueue::order_of(const JobId& job, const Claim& claim) {
  return {claim.since.us - claim.priority * kAgingStep.us, job};
}

bool ReservationQueue::put(const JobId& job, const Claim& claim) {
  Claim entered = claim;
  const auto known = claims_.find(job);
  if (known != claims_.end()) {
    entered.since = known->second.since;
    erase(job);
  } else if (claims_.size() >= kMaxReservations) {
    return false;
  }
  claims_[job] = entered;
  users_[entered.user].insert(order_of(job, entered));
  return true;
}

void ReservationQueue::erase(const JobId& job) {
  const auto at = claims_.find(job);
  if (at == claims_.end()) return;
  const auto user = users_.find(at->second.user);
  user->second.erase(order_of(job, at->second));
  if (user->second.empty()) users_.erase(user);
  claims_.erase(at);
}

std::optional<JobId> ReservationQueue::next(
    Instant now, const Room& free, const std::map<std::string, std::uint32_t>& used,
    const std::function<bool(const JobId&)>& eligible) const {
  struct Candidate {
    std::int64_t level;  // negative: higher first
    std::uint32_t used;
    Instant since;
    JobId job;
    auto operator<=>(const Candidate&) const = default;
  };
  std::vector<Candidate> candidates;
  for (const auto& [user, orders] : users_) {
    const auto cpus = used.find(user);
    std::size_t looked = 0;
    for (const auto& [order, job] : orders) {
      if (looked == kLookAhead) break;
      if (!eligible(job)) continue;
      ++looked;
      const Claim& claim = claims_.at(job);
      const std::int64_t level = claim.priority + (now - claim.since).us / kAgingStep.us;
      candidates.push_back({-level, cpus == used.end() ? 0 : cpus->second, claim.since, job});
    }
  }
  std::sort(candidates.begin(), candidates.end());
  for (const Candidate& candidate : candidates) {
    const Claim& claim = claims_.at(candidate.job);
    if (claim.cpus <= free.cpus && claim.memory <= free.memory) return candidate.job;
    if (now - candidate.since >= kPassingTime) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace dunlin::sched
