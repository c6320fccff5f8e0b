// Who is to be ended when the disk is nearly full: from what the tasks' directories hold, and from
// what came of the last end. Something else may fill the disk (what tasks write outside of their
// directories, another service): then room made by an end is gone again although no directory has
// grown, and those that have not grown are spared. Pure: knows neither disk nor clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/time.h"

namespace dunlin {

struct DiskHolder {
  std::uint64_t task = 0;   // never another one's later
  std::uint64_t bytes = 0;  // what it has put on the disk
};

class DiskBlame {
 public:
  // What a directory must have grown by to be blamed where others are spared.
  static constexpr std::uint64_t kGrown = 1024 * 1024;
  // Between two counts, and, while nobody is found to blame, twice as long each time up to the
  // other.
  static constexpr Duration kShortestPause = milliseconds(100);
  static constexpr Duration kLongestPause = seconds(3);
  // With room for so long, the last end says nothing about the next want of it.
  static constexpr Duration kForgottenAfter = seconds(600);

  // Counting what tasks hold takes time. Is it worth it now? Room that shrinks does not wait.
  bool is_due(Instant now, std::uint64_t free, std::uint64_t least) const;

  // All that may be ended, who is most to blame first. `holders`: all tasks; `free`: bytes;
  // `least`: ending who holds less would not help.
  std::vector<DiskHolder> blame(const std::vector<DiskHolder>& holders, std::uint64_t free,
                                std::uint64_t least) const;

  // `who` of `holders` was told to end, with so much room left.
  void on_told(DiskHolder who, const std::vector<DiskHolder>& holders, std::uint64_t free);
  // That one is gone, and its directory is emptied; false: it was over before it was ended.
  void on_gone(bool was_ended);

  // A count found nobody who can be ended.
  void on_nobody(Instant now, std::uint64_t free);
  void on_room(Instant now);
  void on_low() { room_since_ = Instant::never(); }

 private:
  struct End {
    std::uint64_t free = 0;  // before it
    std::uint64_t bytes = 0;
    std::map<std::uint64_t, std::uint64_t> held;  // by each task, then
  };

  static std::uint64_t growth(const End& end, const DiskHolder& holder);
  static bool was_in_vain(const End& end, const std::vector<DiskHolder>& holders,
                          std::uint64_t free);

  std::optional<End> last_;
  std::optional<End> pending_;
  Instant room_since_ = Instant::never();
  Duration pause_ = kShortestPause;
  Instant due_at_;
  std::uint64_t counted_free_ = 0;
};

}  // namespace dunlin
