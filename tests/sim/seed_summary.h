// What many seeds covered together, run in pieces by several processes: each writes its piece as
// text, and the sum of the pieces must name every kind of fault and of use.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/seed_run.h"

namespace dunlin::sim {

// From so many seeds on each kind of fault must have taken effect in some of them, and each use
// been made of most.
constexpr std::uint64_t kSeedsForAllKinds = 100;
// Of so many seeds one may need hosts beyond the bare quorum.
constexpr std::uint64_t kSeedsPerCallBack = 20;

class SeedSummary {
 public:
  void add(const SeedReport& report);
  void add(const SeedSummary& other);
  std::uint64_t seeds() const { return seeds_; }
  std::uint64_t failed() const { return failed_; }

  // For parse().
  std::string text() const;
  static std::optional<SeedSummary> parse(std::string_view text);
  // For people: in how many seeds each kind took effect or was used, and how often.
  std::string table() const;
  // What the seeds together fall short of; empty: nothing.
  std::vector<std::string> uncovered() const;

 private:
  struct Kind {
    std::uint64_t seeds = 0;
    std::uint64_t times = 0;
    void add(std::uint64_t times_in_seed);
    void add(const Kind& other);
  };

  std::uint64_t seeds_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t called_back_ = 0;  // seeds that needed that
  std::uint64_t fewest_kinds_ = ~std::uint64_t{0};
  std::uint64_t fewest_results_ = ~std::uint64_t{0};  // under attack
  std::array<Kind, kFaultKinds> kinds_{};
  std::array<Kind, kUses> uses_{};
};

}  // namespace dunlin::sim
