// Which of many things is due first. Each key has at most one deadline.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/time.h"

namespace dunlin {

template <class Key>
class Deadlines {
 public:
  void set(const Key& key, Instant at) {
    clear(key);
    when_[key] = at;
    order_.insert({at, key});
  }
  void clear(const Key& key) {
    const auto found = when_.find(key);
    if (found == when_.end()) return;
    order_.erase({found->second, key});
    when_.erase(found);
  }
  // Instant::never() when it has none.
  Instant of(const Key& key) const {
    const auto found = when_.find(key);
    return found == when_.end() ? Instant::never() : found->second;
  }
  Instant next() const { return order_.empty() ? Instant::never() : order_.begin()->first; }
  // Takes out one key whose time has come.
  std::optional<Key> pop_due(Instant now) {
    if (order_.empty() || order_.begin()->first > now) return std::nullopt;
    const Key key = order_.begin()->second;
    clear(key);
    return key;
  }
  std::size_t size() const { return when_.size(); }

 private:
  std::map<Key, Instant> when_;
  std::set<std::pair<Instant, Key>> order_;
};

}  // namespace dunlin
