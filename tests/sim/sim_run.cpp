// Runs seeds of the simulated cluster:
//   sim_run --seed N | --seeds A-B | --list FILE [--twice EVERY] [--verbose] [--frames SECOND]
// A list has one seed a line, and behind it words for people. Exit 0: all passed; 1: some did not
// (each prints the command that replays it); 2: usage.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "sim/seed_run.h"

namespace {

struct Arguments {
  std::vector<std::uint64_t> seeds;
  std::uint64_t twice = 10;  // every so many seeds are run again, and the traces compared
  bool verbose = false;
  std::uint64_t frames_from = 1'000'000'000;
};

bool take_list(const std::string& path, std::vector<std::uint64_t>& seeds) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    seeds.push_back(std::strtoull(line.c_str(), nullptr, 10));
  }
  return file.eof() && !seeds.empty();
}

bool take_number(const char* word, std::uint64_t& value) {
  char* end = nullptr;
  value = std::strtoull(word, &end, 10);
  return end != word && *end == 0;
}

bool take_range(const char* word, std::vector<std::uint64_t>& seeds) {
  char* end = nullptr;
  const std::uint64_t first = std::strtoull(word, &end, 10);
  std::uint64_t last = first;
  if (*end == '-' && !take_number(end + 1, last)) return false;
  for (std::uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
  return first <= last;
}

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--verbose") {
      out.verbose = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    const char* value = argv[++i];
    bool good = false;
    if (word == "--seed" || word == "--seeds") good = take_range(value, out.seeds);
    if (word == "--list") good = take_list(value, out.seeds);
    if (word == "--twice") good = take_number(value, out.twice);
    if (word == "--frames") good = take_number(value, out.frames_from);
    if (!good) return false;
  }
  return !out.seeds.empty();
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: sim_run --seed N | --seeds A-B | --list FILE [--twice EVERY] [--verbose] "
                 "[--frames SECOND]\n");
    return 2;
  }
  dunlin::sim::FaultCounts faults;
  std::size_t failed = 0;
  for (const std::uint64_t seed : arguments.seeds) {
    dunlin::sim::SeedOptions options;
    options.seed = seed;
    options.verbose = arguments.verbose;
    options.frames_from = dunlin::seconds(static_cast<std::int64_t>(arguments.frames_from));
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
  std::printf("%zu of %zu seeds failed; faults: %s\n", failed, arguments.seeds.size(),
              faults.text().c_str());
  return failed == 0 ? 0 : 1;
}
