// Runs seeds of the simulated cluster, or adds up what several runs covered; see run_arguments.h.
// Exit 0: all passed; 1: some did not (each prints the command that replays it), or what they
// cover together falls short; 2: usage.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "sim/run_arguments.h"
#include "sim/seed_run.h"
#include "sim/seed_summary.h"

namespace {

using dunlin::sim::RunArguments;
using dunlin::sim::SeedOptions;
using dunlin::sim::SeedOrder;
using dunlin::sim::SeedReport;
using dunlin::sim::SeedSummary;

SeedReport run(const RunArguments& arguments, const SeedOrder& order) {
  SeedOptions options;
  options.seed = order.seed;
  options.faults = order.faults;
  options.verbose = arguments.verbose;
  options.frames_from = dunlin::seconds(static_cast<std::int64_t>(arguments.frames_from));
  return dunlin::sim::run_seed(options);
}

// What another process says of the same seed: it has other addresses, and no state left by
// earlier seeds.
std::string told_by_another_process(const SeedOrder& order) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string command = "'" + program + "' --twice 0 --seed " + std::to_string(order.seed);
  if (!order.faults.empty()) command += " --faults '" + names_of(order.faults) + "'";
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char piece[4096];
  for (std::size_t got = 1; got > 0;) {
    got = std::fread(piece, 1, sizeof(piece), pipe);
    text.append(piece, got);
  }
  pclose(pipe);
  return text;
}

int run_all(const RunArguments& arguments) {
  // What an earlier run left must not pass for this one's.
  if (!arguments.summary.empty()) std::remove(arguments.summary.c_str());
  SeedSummary summary;
  for (const SeedOrder& order : arguments.orders) {
    SeedReport report = run(arguments, order);
    if (arguments.twice != 0 && order.seed % arguments.twice == 0 &&
        !told_by_another_process(order).starts_with(report.text())) {
      report.violations.push_back("replay: a second run went another way");
    }
    summary.add(report);
    std::fputs(report.text().c_str(), stdout);
    std::fflush(stdout);
  }
  std::printf("%llu of %llu seeds failed\n", static_cast<unsigned long long>(summary.failed()),
              static_cast<unsigned long long>(summary.seeds()));
  if (!arguments.summary.empty()) {
    std::ofstream file(arguments.summary);
    file << summary.text() << std::flush;
    if (!file) {
      std::fprintf(stderr, "sim_run: cannot write %s\n", arguments.summary.c_str());
      return 1;
    }
  }
  return summary.failed() == 0 ? 0 : 1;
}

int add_up(const std::vector<std::string>& files) {
  SeedSummary sum;
  for (const std::string& name : files) {
    std::ifstream file(name);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    const auto piece = SeedSummary::parse(text);
    if (!piece) {
      std::fprintf(stderr, "sim_run: %s is no summary\n", name.c_str());
      return 1;
    }
    sum.add(*piece);
  }
  std::fputs(sum.table().c_str(), stdout);
  const std::vector<std::string> uncovered = sum.uncovered();
  for (const std::string& line : uncovered) std::printf("  coverage: %s\n", line.c_str());
  return uncovered.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = dunlin::sim::parse_arguments({argv + 1, argv + argc});
  if (!arguments) {
    std::fputs(
        "usage: sim_run --seed N | --seeds A-B | --list FILE [--faults KIND,KIND...]\n"
        "               [--twice EVERY] [--summary FILE] [--verbose] [--frames SECOND]\n"
        "       sim_run --sum FILE...\n",
        stderr);
    return 2;
  }
  return arguments->to_sum.empty() ? run_all(*arguments) : add_up(arguments->to_sum);
}
