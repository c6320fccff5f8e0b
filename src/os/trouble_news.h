// Which troubles are worth a line: a new one at once, one that stays now and then.
#pragma once

#include <map>
#include <string>

#include "base/time.h"

namespace dunlin {

class TroubleNews {
 public:
  enum class News {
    kNew,
    kStill,  // said before, and time to say it again
    kNone
  };
  // `again`: after how long the same trouble at the same place is told once more.
  explicit TroubleNews(Duration again) : again_(again) {}

  News news_of(const std::string& place, const std::string& what, Instant now);

  // It is over there: should it come again, it is new.
  void forget(const std::string& place) { told_.erase(place); }

 private:
  struct Told {
    std::string what;
    Instant at;
  };
  // Strangers make up places: beyond so many, those not heard of for `again_` make room, and where
  // none does nothing is told.
  static constexpr std::size_t kMaxPlaces = 1000;
  bool has_room(Instant now);

  Duration again_;
  std::map<std::string, Told> told_;  // by place
};

}  // namespace dunlin
