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
    entered.since = known->second.claim.since;
    const Claim& before = known->second.claim;
    const bool is_same = before.user == entered.user && before.priority == entered.priority;
    if (is_same) {
      known->second.claim = std::move(entered);
      return true;
    }
    const Instant served = known->second.served;
    const bool holds = holder_ == job;
    erase(job);
    claims_[job].served = served;
    if (holds) holder_ = job;
  } else if (claims_.size() >= kMaxReservations) {
    return false;
  }
  claims_[job].claim = entered;
  users_[entered.user].insert(order_of(job, entered));
  return true;
}

void ReservationQueue::erase(const JobId& job) {
  const auto at = claims_.find(job);
  if (at == claims_.end()) return;
  const auto user = users_.find(at->second.claim.user);
  user->second.erase(order_of(job, at->second.claim));
  if (user->second.empty()) users_.erase(user);
  claims_.erase(at);
  if (holder_ == job) holder_.reset();
}

void ReservationQueue::served(const JobId& job, Instant now) {
  const auto at = claims_.find(job);
  if (at != claims_.end()) at->second.served = now;
  if (holder_ == job) holder_.reset();
}

std::optional<JobId> ReservationQueue::next(Instant now, const Room& free,
                                            const std::map<std::string, std::uint32_t>& used,
                                            const std::function<bool(const JobId&)>& eligible) {
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
      const Claim& claim = claims_.at(job).claim;
      const std::int64_t level = claim.priority + (now - claim.since).us / kAgingStep.us;
      candidates.push_back({-level, cpus == used.end() ? 0 : cpus->second, claim.since, job});
    }
  }
  std::sort(candidates.begin(), candidates.end());
  // The holder comes first among its equals.
  const auto held = std::find_if(candidates.begin(), candidates.end(),
                                 [&](const Candidate& c) { return holder_ == c.job; });
  if (held != candidates.end() && held->level <= candidates.front().level) {
    std::rotate(candidates.begin(), held, std::next(held));
  }
  for (const Candidate& candidate : candidates) {
    const Entry& entry = claims_.at(candidate.job);
    if (free.holds(entry.claim.task)) return candidate.job;
    if (now - std::max(entry.claim.since, entry.served) < kPassingTime) continue;
    holder_ = candidate.job;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace dunlin::sched
