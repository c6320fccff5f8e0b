// Which processor cores are whose: tasks are pinned to cores that no other task holds. Of several
// runners on one host (as in tests) only the first pins, since none knows of the others' tasks.
#pragma once

#include <sched.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace dunlin {

class Cores {
 public:
  // `claim` is what the runners of a host compete for.
  explicit Cores(bool may_pin, std::string_view claim = "dunlin cores");
  ~Cores();
  Cores(const Cores&) = delete;
  Cores& operator=(const Cores&) = delete;

  // Nothing when there are not that many free cores, or this runner does not pin: the task then
  // runs on all.
  std::optional<cpu_set_t> take(std::uint32_t count);
  void give_back(const cpu_set_t& cores);
  // Are there cores of which this runner disposes?
  bool pins() const { return pins_; }

 private:
  int claim_ = -1;  // a socket whose name says that this host's cores are taken care of
  cpu_set_t free_;
  bool pins_ = false;
};

}  // namespace dunlin
