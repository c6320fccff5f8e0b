#include "os/cores.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace dunlin {

Cores::Cores(bool may_pin, std::string_view claim) {
  CPU_ZERO(&free_);
  if (!may_pin || sched_getaffinity(0, sizeof free_, &free_) != 0) return;
  // A name in Linux' abstract space: gone with the process, however that ends.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t length = std::min(claim.size(), sizeof address.sun_path - 1);
  std::memcpy(address.sun_path + 1, claim.data(), length);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  claim_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  pins_ = claim_ >= 0 && bind(claim_, reinterpret_cast<sockaddr*>(&address), size) == 0;
  if (!pins_) CPU_ZERO(&free_);
}

Cores::~Cores() {
  if (claim_ >= 0) close(claim_);
}

std::optional<cpu_set_t> Cores::take(std::uint32_t count) {
  if (count == 0 || count > static_cast<std::uint32_t>(CPU_COUNT(&free_))) return std::nullopt;
  cpu_set_t taken;
  CPU_ZERO(&taken);
  for (std::size_t core = 0; count > 0; ++core) {
    if (!CPU_ISSET(core, &free_)) continue;
    CPU_CLR(core, &free_);
    CPU_SET(core, &taken);
    --count;
  }
  return taken;
}

void Cores::give_back(const cpu_set_t& cores) {
  CPU_OR(&free_, &free_, &cores);
}

}  // namespace dunlin
