// Decides when applied state goes to state.db, and remembers what a checkpoint under way contains,
// so that the log is cut only up to what is synced there.
#pragma once

#include <algorithm>
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
  // What is gone from the state was given up by a log row: no checkpoint without it before that row
  // is durable. A crash between them would leave a replica with promises and without a log.
  void wait_for_row(std::uint64_t row) { awaited_row_ = std::max(awaited_row_, row); }
  void on_durable(std::uint64_t row) { durable_row_ = std::max(durable_row_, row); }
  bool is_due(Instant now) const {
    return !is_waiting() && !groups_.empty() && (changes_ >= most_ || now >= since_ + delay_);
  }
  Instant next_deadline() const {
    return is_waiting() || groups_.empty() ? Instant::never() : since_ + delay_;
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
  bool is_waiting() const { return under_way_.has_value() || awaited_row_ > durable_row_; }

  Duration delay_;
  std::size_t most_;
  Instant since_;
  std::size_t changes_ = 0;
  std::set<GroupId> groups_;
  std::optional<std::uint64_t> under_way_;
  std::uint64_t awaited_row_ = 0;
  std::uint64_t durable_row_ = 0;
  std::map<GroupId, AppliedState> contents_;
};

}  // namespace dunlin
