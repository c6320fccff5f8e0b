// How fast batches become durable, beside a bare append + fdatasync loop on the same disk in the
// same run:   commit_bench [DIR [SECONDS]]
//
// Each line: how many batches are kept waiting for the disk, records of 200 bytes a batch, batches
// and rows (records) a second, and the time from submit to the loop's callback (p50 / p99 / max).
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/crypto.h"
#include "dht/journal.h"
#include "os/storage.h"

namespace dunlin {
namespace {

constexpr std::size_t kRecord = 200;

double now_ms() {
  return static_cast<double>(uv_hrtime()) / 1e6;
}

double cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto ms = [](timeval t) {
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

struct Run {
  double started = now_ms();
  double cpu = cpu_ms();
  std::vector<double> latencies;

  void print(const std::string& name, std::size_t records) {
    const double elapsed = now_ms() - started;
    const double used = cpu_ms() - cpu;
    const auto count = static_cast<double>(latencies.size());
    std::sort(latencies.begin(), latencies.end());
    const auto at = [&](double q) { return latencies[static_cast<std::size_t>(q * (count - 1))]; };
    std::printf("%-34s %8.0f batches/s %9.0f rows/s   %6.2f / %6.2f / %6.2f ms   %4.0f us CPU\n",
                name.c_str(), count / elapsed * 1e3,
                count * static_cast<double>(records) / elapsed * 1e3, at(0.5), at(0.99), at(1.0),
                used * 1e3 / count);
  }
};

void bare_loop(const std::string& directory, std::size_t records, double length_ms) {
  const std::string path = directory + "/bare";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  const std::vector<char> data(records * kRecord, 'x');
  Run run;
  while (now_ms() - run.started < length_ms) {
    const double from = now_ms();
    if (::write(file, data.data(), data.size()) < 0 || ::fdatasync(file) != 0) std::abort();
    run.latencies.push_back(now_ms() - from);
  }
  run.print("append + fdatasync, " + std::to_string(records) + " records", records);
  ::close(file);
  ::unlink(path.c_str());
}

void storage_loop(const std::string& directory, std::size_t records, std::size_t window,
                  double length_ms) {
  std::filesystem::remove_all(directory + "/node");
  auto storage = Storage::open(directory + "/node", 0);
  if (!storage) {
    std::fprintf(stderr, "%s\n", storage.error().message.c_str());
    std::exit(1);
  }
  Journal journal;
  if (!journal.open(*(*storage)->read_image())) std::exit(1);
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<double> submitted{0};
  Run run;
  std::uint64_t durable = 0;
  (*storage)->start(&loop,
                    {[&](std::uint64_t row) {
                       while (durable < row) {
                         run.latencies.push_back(now_ms() - submitted[++durable]);
                       }
                     },
                     [](std::uint64_t) {}, [](const Ticket&, Result<Bytes>) {}, [](bool) {}});
  run = Run();
  while (now_ms() - run.started < length_ms) {
    while (journal.last_row() - durable < window) {
      Effects effects;
      effects.row = journal.next_row();
      for (std::size_t i = 0; i < records; ++i) {
        effects.append(Module::kGroups, Bytes(kRecord, static_cast<std::uint8_t>(i)));
      }
      if (effects.row > 4000) effects.trim_below = effects.row - 4000;
      submitted.push_back(now_ms());
      (*storage)->submit(journal.seal(effects));
    }
    uv_run(&loop, UV_RUN_ONCE);
  }
  run.print(
      "journal, " + std::to_string(records) + " records, " + std::to_string(window) + " waiting",
      records);
  storage->reset();
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  std::filesystem::remove_all(directory + "/node");
}

}  // namespace
}  // namespace dunlin

int main(int argc, char** argv) {
  const std::string directory =
      std::string(argc > 1 ? argv[1] : ".") + "/commit-bench-" + std::to_string(::getpid());
  const double length_ms = (argc > 2 ? std::atof(argv[2]) : 3) * 1e3;
  dunlin::initialise_crypto();
  std::filesystem::create_directory(directory);
  for (const std::size_t records : {1u, 64u}) {
    dunlin::bare_loop(directory, records, length_ms);
    for (const std::size_t window : {1u, 16u, 64u}) {
      dunlin::storage_loop(directory, records, window, length_ms);
    }
    dunlin::bare_loop(directory, records, length_ms);
  }
  std::filesystem::remove_all(directory);
}
