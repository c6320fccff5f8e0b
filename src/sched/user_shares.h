// How much of a node each user has: what his tasks hold now, and what they held in the last
// seconds. By the present alone, one slot would always fall to the same user: it is free whenever
// it is given away.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/time.h"

namespace dunlin::sched {

// What was held so long ago counts by 1/e. Whoever comes anew is ahead of others for about that
// long: his few tasks start at once, and over a minute the shares are equal within a few percent.
constexpr Duration kShareMemory = seconds(5);

class UserShares {
 public:
  void add(Instant now, const std::string& user, std::uint32_t cpus);
  void remove(Instant now, const std::string& user, std::uint32_t cpus);
  // In thousandths of a processor; who is not in it has none.
  const std::map<std::string, std::uint32_t>& at(Instant now);

 private:
  struct Use {
    std::uint32_t cpus = 0;
    double average = 0;
  };
  void settle(Instant now);

  std::map<std::string, Use> users_;
  std::map<std::string, std::uint32_t> shares_;  // as of `settled_`, when not stale
  Instant settled_;
  bool is_stale_ = true;
};

}  // namespace dunlin::sched
