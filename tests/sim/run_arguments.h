// What sim_run is told on its command line:
//   sim_run --seed N | --seeds A-B | --list FILE [--faults KIND,KIND...] [--twice EVERY]
//           [--summary FILE] [--verbose] [--frames SECOND]
//   sim_run --sum FILE...
// A list has one line for a seed: its number, the kinds of faults that strike it, and behind a
// colon words for people. Lines that begin with # are for people alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/fault_counts.h"

namespace dunlin::sim {

constexpr std::uint64_t kMostSeeds = 10'000'000;  // of one run

struct SeedOrder {
  std::uint64_t seed = 0;
  std::vector<Fault> faults;  // these, as strong as may be; empty: drawn from the seed
};

struct RunArguments {
  std::vector<SeedOrder> orders;
  std::uint64_t twice = 10;  // every so many seeds another process runs them too; 0: none
  bool verbose = false;
  std::uint64_t frames_from = 1'000'000'000;
  std::string summary;              // file to be written; empty: none
  std::vector<std::string> to_sum;  // summaries to be added up, instead of running seeds
};

// Nothing: not to be understood.
std::optional<std::uint64_t> parse_number(std::string_view word);
std::optional<std::vector<Fault>> parse_faults(std::string_view words);
std::optional<std::vector<SeedOrder>> parse_list(std::string_view text);
std::optional<RunArguments> parse_arguments(const std::vector<std::string>& words);

}  // namespace dunlin::sim
