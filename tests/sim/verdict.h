// What the checkers found wrong. The first few are kept with their time; a run with any has failed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace dunlin::sim {

class Verdict {
 public:
  static constexpr std::size_t kMaxKept = 20;

  void fail(Instant at, const std::string& promise, const std::string& what) {
    ++count_;
    if (lines_.size() == kMaxKept) return;
    lines_.push_back(promise + " at " + std::to_string(at.us / 1000) + " ms: " + what);
  }
  bool is_clean() const { return count_ == 0; }
  const std::vector<std::string>& lines() const { return lines_; }
  // Was this promise found broken? For the tests of the checkers.
  bool names(const std::string& promise) const {
    for (const std::string& line : lines_) {
      if (line.rfind(promise + " ", 0) == 0) return true;
    }
    return false;
  }

 private:
  std::uint64_t count_ = 0;
  std::vector<std::string> lines_;
};

}  // namespace dunlin::sim
