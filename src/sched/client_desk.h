// The client's side, at whatever node it asked: sends what concerns one job to the leader of the
// job's group, and hands the one answer back.
#pragma once

#include <cstdint>
#include <map>

#include "sched/group_requests.h"
#include "sched/turn.h"

namespace dunlin::sched {

constexpr std::size_t kMaxForwarded = 20'000;      // requests under way from this node
constexpr Duration kRequestPatience = seconds(5);  // while a group has no leader

class ClientDesk {
 public:
  // `chance` differs from that of every other life of every node.
  ClientDesk(std::uint16_t group_count, std::uint64_t chance, std::uint64_t first_token)
      : group_count_(group_count), chance_(chance), next_token_(first_token) {}

  // Any request but ListJobs, ReadLog, and ShowJob that may be stale.
  void forward(Turn& turn, std::uint64_t request, const JobRequest& what);
  // True when the token is one of these.
  bool on_reply(Turn& turn, std::uint64_t token, const Result<Bytes>& reply);

 private:
  const std::uint16_t group_count_;
  const std::uint64_t chance_;
  std::uint64_t next_token_;
  std::map<std::uint64_t, std::uint64_t> forwarded_;  // token -> request
};

}  // namespace dunlin::sched
