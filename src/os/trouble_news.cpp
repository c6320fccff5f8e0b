#include "os/trouble_news.h"

namespace dunlin {

TroubleNews::News TroubleNews::news_of(const std::string& place, const std::string& what,
                                       Instant now) {
  const auto at = told_.find(place);
  if (at == told_.end() && !has_room(now)) return News::kNone;
  const bool is_new = at == told_.end() || at->second.what != what;
  if (!is_new && now < at->second.at + again_) return News::kNone;
  told_.insert_or_assign(place, Told{what, now});
  return is_new ? News::kNew : News::kStill;
}

bool TroubleNews::has_room(Instant now) {
  if (told_.size() < kMaxPlaces) return true;
  std::erase_if(told_, [&](const auto& each) { return now >= each.second.at + again_; });
  return told_.size() < kMaxPlaces;
}

}  // namespace dunlin
