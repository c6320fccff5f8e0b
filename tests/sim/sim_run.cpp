// Runs seeds of the simulated cluster:
//   sim_run --seed N | --seeds A-B [--verbose] [--twice EVERY]
// Exit 0: all passed; 1: some did not (each prints the command that replays it); 2: usage.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "sim/seed_run.h"

namespace {

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 1;
  std::uint64_t twice = 10;  // every so many seeds are run again, and the traces compared
  bool verbose = false;
};

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--verbose") {
      out.verbose = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(argv[++i], &end, 10);
    if (word == "--seed") {
      out.first = out.last = value;
    } else if (word == "--seeds" && *end == '-') {
      out.first = value;
      out.last = std::strtoull(end + 1, &end, 10);
    } else if (word == "--twice") {
      out.twice = value;
    } else {
      return false;
    }
    if (*end != 0) return false;
  }
  return out.first <= out.last;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: sim_run --seed N | --seeds A-B [--twice EVERY] [--verbose]\n");
    return 2;
  }
  dunlin::sim::FaultCounts faults;
  std::uint64_t failed = 0;
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    dunlin::sim::SeedOptions options;
    options.seed = seed;
    options.verbose = arguments.verbose;
    dunlin::sim::SeedReport report = dunlin::sim::run_seed(options);
    if (arguments.twice != 0 && seed % arguments.twice == 0 &&
        dunlin::sim::run_seed(options).trace != report.trace) {
      report.violations.push_back("replay: a second run went another way");
    }
    failed += report.passed() ? 0 : 1;
    faults.add(report.faults);
    std::fputs(report.text().c_str(), stdout);
    std::fflush(stdout);
  }
  std::printf("%llu of %llu seeds failed; faults: %s\n", static_cast<unsigned long long>(failed),
              static_cast<unsigned long long>(arguments.last - arguments.first + 1),
              faults.text().c_str());
  return failed == 0 ? 0 : 1;
}
