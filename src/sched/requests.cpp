#include "sched/requests.h"

#include <algorithm>

#include "base/codec.h"
#include "base/crypto.h"

namespace dunlin {

JobId job_id_for_key(const std::string& user, const std::string& key, std::uint16_t group_count) {
  const Hash32 hash = blake2b_256(encode(std::pair{user, key}));
  std::array<std::uint8_t, 10> chance;
  std::copy_n(hash.begin(), chance.size(), chance.begin());
  const GroupId group{static_cast<std::uint16_t>(get_u32(hash.data() + 16) % group_count)};
  return JobId::make(group, group_count, chance);
}

}  // namespace dunlin
