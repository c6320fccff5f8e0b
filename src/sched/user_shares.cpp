#include "sched/user_shares.h"

#include <cmath>

#include "base/assert.h"

namespace dunlin::sched {

void UserShares::settle(Instant now) {
  if (now <= settled_) return;
  const double passed = static_cast<double>((now - settled_).us);
  const double kept = std::exp(-passed / static_cast<double>(kShareMemory.us));
  settled_ = now;
  is_stale_ = true;
  for (auto& [user, use] : users_) {
    use.average = use.average * kept + static_cast<double>(use.cpus) * (1 - kept);
  }
  std::erase_if(users_, [](const auto& entry) {
    return entry.second.cpus == 0 && entry.second.average < 0.001;
  });
}

void UserShares::add(Instant now, const std::string& user, std::uint32_t cpus) {
  settle(now);
  users_[user].cpus += cpus;
  is_stale_ = true;
}

void UserShares::remove(Instant now, const std::string& user, std::uint32_t cpus) {
  settle(now);
  Use& use = users_[user];
  ASSERT(use.cpus >= cpus);
  use.cpus -= cpus;
  is_stale_ = true;
}

const std::map<std::string, std::uint32_t>& UserShares::at(Instant now) {
  settle(now);
  if (!is_stale_) return shares_;
  is_stale_ = false;
  shares_.clear();
  for (const auto& [user, use] : users_) {
    const double share = static_cast<double>(use.cpus) + use.average;
    shares_[user] = static_cast<std::uint32_t>(share * 1000);
  }
  return shares_;
}

}  // namespace dunlin::sched
