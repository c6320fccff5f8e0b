// Decides when applied state goes to state.db, and remembers what a checkpoint under way contains,
// so that the log is cut only up to what is synced there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/time.h"
#include "dht/dht.h"

namespace dunlin {

class Checkpointer {
 public:
  // `delay`: after the first change; `most`: changes that make it due at once.
  Checkpointer(Duration delay, std::size_t most) : delay_(delay), most_(most) {}

  void changed(Instant now, GroupId group) {
    if (groups_.empty()) since_ = now;
    groups_.insert(group);
    ++changes_;
  }
  bool is_due(Instant now) const {
    return !under_way_ && !groups_.empty() && (changes_ >= most_ || now >= since_ + delay_);
  }
  Instant next_deadline() const {
    return under_way_ || groups_.empty() ? Instant::never() : since_ + delay_;
  }
  // The groups whose state goes into the checkpoint that begins now.
  std::set<GroupId> take_groups() {
    changes_ = 0;
    return std::exchange(groups_, {});
  }
  void begin(std::uint64_t id, std::map<GroupId, AppliedState> contents) {
    under_way_ = id;
    contents_ = std::move(contents);
  }
  // What the completed checkpoint contains; nothing when it is not the one under way.
  std::optional<std::map<GroupId, AppliedState>> complete(std::uint64_t id) {
    if (under_way_ != id) return std::nullopt;
    under_way_.reset();
    return std::exchange(contents_, {});
  }

 private:
  Duration delay_;
  std::size_t most_;
  Instant since_;
  std::size_t changes_ = 0;
  std::set<GroupId> groups_;
  std::optional<std::uint64_t> under_way_;
  std::map<GroupId, AppliedState> contents_;
};

}  // namespace dunlin
