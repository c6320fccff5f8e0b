// How long a stream that broke is taken up again: at once while it brings news, and with a pause
// between the tries until nobody has answered for too long. Who waits is told once, when it is more
// than a moment.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/time.h"

namespace dunlin {

class Reconnect {
 public:
  explicit Reconnect(Duration patience) : patience_(patience) {}

  // Something came: the patience begins anew with the next loss.
  void has_news() {
    lost_at_ms_ = 0;
    has_said_ = false;
  }
  // After a loss: pauses for a moment, less if an interrupt comes; false when patience has ended.
  bool again(const Error& why);

 private:
  Duration patience_;
  std::int64_t lost_at_ms_ = 0;  // 0: not lost, or news since
  bool has_said_ = false;
};

}  // namespace dunlin
