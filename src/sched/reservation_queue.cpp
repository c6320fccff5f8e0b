#include "sched/reservation_queue.h"

#include <algorithm>
#include <vector>

namespace dunlin::sched {

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
  users_[entered.user].insert(order_of(job, claims_.at(job)));
  return true;
}

void ReservationQueue::erase(const JobId& job) {
  const auto at = claims_.find(job);
  if (at == claims_.end()) return;
  const auto user = users_.find(at->second.claim.user);
  user->second.erase(order_of(job, at->second));
  if (user->second.empty()) users_.erase(user);
  claims_.erase(at);
  if (holder_ == job) holder_.reset();
}

void ReservationQueue::served(const JobId& job, Instant now) {
  const auto at = claims_.find(job);
  if (at != claims_.end()) {
    std::set<Order>& orders = users_.at(at->second.claim.user);
    orders.erase(order_of(job, at->second));
    at->second.served = now;
    orders.insert(order_of(job, at->second));
  }
  if (holder_ == job) holder_.reset();
}

ReservationQueue::Rank ReservationQueue::rank_of(const JobId& job, const Entry& entry,
                                                 const std::map<std::string, std::uint32_t>& used) {
  const auto of_user = used.find(entry.claim.user);
  return {level_of(entry), of_user == used.end() ? 0 : of_user->second, entry.claim.since, job};
}

std::size_t ReservationQueue::ahead(const JobId& job, const Claim& claim,
                                    const std::map<std::string, std::uint32_t>& used) const {
  const auto known = claims_.find(job);
  const Rank own = rank_of(job, known == claims_.end() ? Entry{claim, {}} : known->second, used);
  return static_cast<std::size_t>(
      std::count_if(claims_.begin(), claims_.end(), [&](const auto& entry) {
        if (entry.first == job) return false;
        return entry.first == holder_ || rank_of(entry.first, entry.second, used) < own;
      }));
}

std::optional<JobId> ReservationQueue::next(Instant now, const Room& free,
                                            const std::map<std::string, std::uint32_t>& used,
                                            const std::function<bool(const JobId&)>& eligible) {
  std::vector<Rank> candidates;
  for (const auto& [user, orders] : users_) {
    std::size_t looked = 0;
    for (const auto& [level, since, job] : orders) {
      if (looked == kLookAhead) break;
      if (!eligible(job)) continue;
      ++looked;
      candidates.push_back(rank_of(job, claims_.at(job), used));
    }
  }
  std::sort(candidates.begin(), candidates.end());
  // The holder comes first among its equals.
  const auto held = std::find_if(candidates.begin(), candidates.end(),
                                 [&](const Rank& c) { return holder_ == c.job; });
  if (held != candidates.end() && held->level <= candidates.front().level) {
    std::rotate(candidates.begin(), held, std::next(held));
  }
  for (const Rank& candidate : candidates) {
    const Entry& entry = claims_.at(candidate.job);
    if (free.holds(entry.claim.task)) return candidate.job;
    if (now - entry.base() < kPassingTime) continue;
    holder_ = candidate.job;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace dunlin::sched
