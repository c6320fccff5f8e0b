// The simulated cluster's processes, and the runner that holds them.
#include <algorithm>

#include "base/assert.h"
#include "base/codec.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {

namespace {

constexpr std::uint64_t kWindow = kMaxUntaken;
constexpr std::size_t kPiece = kMaxOutputPiece;

std::uint64_t word(const std::vector<std::string>& argv, std::size_t at) {
  return at < argv.size() ? std::stoull(argv[at]) : 0;
}

}  // namespace

void Cluster::perform_runner(std::size_t host, const Effects& effects) {
  for (const StartProcess& start : effects.starts) start_process(host, start);
  for (const SignalProcess& order : effects.signals) {
    SimProcess* process = find(host, order.key);
    if (process == nullptr || process->exit) continue;
    process->told_to_end |= order.signal == kSignalTerm || order.signal == kSignalKill;
    if (order.signal == kSignalStop) {
      process->is_frozen = true;
    } else if (order.signal == kSignalContinue) {
      thaw(host, *process);
    } else if (order.signal == kSignalKill || process->argv[0] != "stubborn") {
      if (order.signal == kSignalKill) process->is_frozen = false;
      const auto end = [this, host, key = order.key, number = order.signal] {
        end_process(host, key, 128 + number, number);
      };
      options_.time_to_end.us > 0 ? after(options_.time_to_end, end) : end();
    }
  }
  for (const OutputTaken& taken : effects.taken) {
    SimProcess* process = find(host, taken.key);
    if (process == nullptr) continue;
    const std::size_t stream = taken.is_stderr ? 1 : 0;
    std::uint64_t& from = process->output_from[stream];
    if (taken.up_to <= from) continue;
    Bytes& output = process->output[stream];
    const std::uint64_t count = std::min<std::uint64_t>(taken.up_to - from, output.size());
    output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(count));
    from += count;
    const ProcessKey key = taken.key;
    after(microseconds(50), [this, host, key] { deliver(host, key); });
  }
  for (const FindOutputs& search : effects.output_searches) find_outputs(host, search);
  for (const ReadOutput& read : effects.output_reads) read_output(host, read);
  for (const ReleaseProcess& release : effects.releases) {
    std::erase_if(hosts_[host].running, [&](const SimProcess& p) { return p.key == release.key; });
  }
}

void Cluster::find_outputs(std::size_t host, const FindOutputs& search) {
  const std::uint64_t life = hosts_[host].life;
  after(microseconds(100), [this, host, life, search] {
    SimProcess* process = find(host, search.key);
    if (process == nullptr || hosts_[host].life != life) return;
    OutputsFound found{search.key, {}, ""};
    for (const auto& [name, bytes] : process->files) {
      found.files.push_back({name, bytes.size(), 0644});
    }
    tell(host, found);
  });
}

void Cluster::read_output(std::size_t host, const ReadOutput& read) {
  const std::uint64_t life = hosts_[host].life;
  after(microseconds(100), [this, host, life, read] {
    SimProcess* process = find(host, read.key);
    if (process == nullptr || hosts_[host].life != life) return;
    const Bytes& bytes = process->files[read.name];
    OutputData data{read.key, read.name, read.offset, {}, ""};
    const std::size_t from = std::min<std::size_t>(read.offset, bytes.size());
    const std::size_t count = std::min<std::size_t>(read.length, bytes.size() - from);
    data.bytes = to_bytes(ByteView(bytes).subspan(from, count));
    tell(host, data);
  });
}

SimProcess* Cluster::find(std::size_t host, ProcessKey key) {
  for (SimProcess& process : hosts_[host].running) {
    if (process.key == key) return &process;
  }
  return nullptr;
}

void Cluster::tell(std::size_t host, ProcessEvent event) {
  enter(host, [&](Scheduler& s, Effects& out) { s.on_process(now_, wall(), event, out); });
}

void Cluster::start_process(std::size_t host, const StartProcess& start) {
  const Result<ProcessLabel> label = decode<ProcessLabel>(start.label);
  ASSERT(label.has_value());
  check_start(host, *label);
  SimProcess process;
  process.key = start.key;
  process.label = start.label;
  process.argv = start.argv;
  process.environment.insert(start.environment.begin(), start.environment.end());
  process.started_at = wall();
  process.pid = next_pid_++;
  const std::vector<std::string>& argv = process.argv;
  const std::string what = argv[0];
  const bool makes = what.starts_with("make");
  const std::uint64_t ms = makes ? 1 : word(argv, argv.size() > 2 ? 2 : 1);
  std::int32_t code = 0;
  if (what == "exit") code = static_cast<std::int32_t>(word(argv, 1));
  const bool is_named = argv.size() > 1 && process.environment["DUNLIN_NODE"] == argv[1];
  if (what == "fails-on" && is_named) code = 1;
  if (what == "flaky" && std::stoull(process.environment["DUNLIN_ATTEMPT"]) <= word(argv, 1)) {
    code = 1;
  }
  if (what == "print" || what == "slow-print") process.to_write = word(argv, 1);
  process.writes_at_once = what == "print";
  if (what == "make") {
    process.files[argv[1]] = Bytes(word(argv, 2), 'x');
  }
  for (std::uint64_t i = 0; what == "make-many" && i < word(argv, 1); ++i) {
    std::string name = std::to_string(i);
    name.resize(word(argv, 2), 'n');
    process.files[name] = Bytes{static_cast<std::uint8_t>(i)};
  }
  const std::uint64_t to_write = process.to_write;
  hosts_[host].running.push_back(std::move(process));
  const ProcessKey number = start.key;
  after(microseconds(50), [this, host, number] {
    const SimProcess* started = find(host, number);
    if (started != nullptr) tell(host, ProcessStarted{number, started->pid});
  });
  const bool lacks_means = what == "lacks-means-on" && is_named;
  if (what == "missing" || lacks_means) {
    after(microseconds(100), [this, host, number, lacks_means] {
      if (SimProcess* p = find(host, number)) {
        ProcessExited exit;
        exit.key = number;
        exit.exit_code = lacks_means ? 125 : 127;
        exit.start_error = lacks_means ? EAGAIN : ENOENT;
        exit.started_at = exit.finished_at = wall();
        p->exit = exit;
        deliver(host, number);
      }
    });
    return;
  }
  if (what == "slow-print") {
    for (std::uint64_t i = 0; i < to_write; ++i) {
      after(milliseconds(static_cast<std::int64_t>(ms * (i + 1) / (to_write + 1))),
            [this, host, number, i] {
              SimProcess* p = find(host, number);
              if (p == nullptr || p->exit) return;
              const auto byte = static_cast<std::uint8_t>('a' + i % 26);
              write(host, *p, false, Bytes{byte});
            });
    }
  } else if (to_write > 0) {
    after(microseconds(60), [this, host, number] { deliver(host, number); });
  }
  after(milliseconds(static_cast<std::int64_t>(ms)) + microseconds(200),
        [this, host, number, code] { end_process(host, number, code, 0); });
}

void Cluster::write(std::size_t host, SimProcess& process, bool is_stderr, ByteView bytes) {
  append(process.output[is_stderr ? 1 : 0], bytes);
  deliver(host, process.key);
}

// Gives what the window allows, then the end.
void Cluster::deliver(std::size_t host, ProcessKey key) {
  SimProcess* process = find(host, key);
  if (process == nullptr) return;
  if (process->writes_at_once) {
    // A task that writes as fast as it may: its pipe is read while the window has room.
    while (process->to_write > 0 && process->output[0].size() < kWindow) {
      const std::uint64_t size =
          std::min<std::uint64_t>({process->to_write, kPiece, kWindow - process->output[0].size()});
      const std::uint64_t at = process->output_from[0] + process->output[0].size();
      for (std::uint64_t i = 0; i < size; ++i) {
        process->output[0].push_back(static_cast<std::uint8_t>('a' + (at + i) % 26));
      }
      process->to_write -= size;
    }
  }
  if (!hosts_[host].scheduler) return;
  for (std::size_t stream = 0; stream < 2; ++stream) {
    process = find(host, key);
    while (process != nullptr) {
      const std::uint64_t end = process->output_from[stream] + process->output[stream].size();
      std::uint64_t& delivered = process->delivered[stream];
      delivered = std::max(delivered, process->output_from[stream]);
      if (delivered >= end) break;
      const std::size_t from = static_cast<std::size_t>(delivered - process->output_from[stream]);
      const std::size_t size = std::min<std::size_t>(kPiece, process->output[stream].size() - from);
      ProcessOutput output{key, stream == 1, delivered,
                           to_bytes(ByteView(process->output[stream]).subspan(from, size))};
      delivered += size;
      tell(host, output);
      process = find(host, key);
    }
  }
  if (process == nullptr || !process->exit || process->exit_told || process->to_write > 0) return;
  process->exit_told = true;
  ProcessExited exit = *process->exit;
  for (std::size_t stream = 0; stream < 2; ++stream) {
    const std::uint64_t end = process->output_from[stream] + process->output[stream].size();
    (stream == 0 ? exit.stdout_end : exit.stderr_end) = end;
  }
  tell(host, exit);
}

void Cluster::thaw(std::size_t host, SimProcess& process) {
  process.is_frozen = false;
  if (!process.frozen_end) return;
  const auto [code, signal] = *std::exchange(process.frozen_end, std::nullopt);
  end_process(host, process.key, code, signal);
}

void Cluster::end_process(std::size_t host, ProcessKey key, std::int32_t code,
                          std::int32_t signal) {
  SimProcess* process = find(host, key);
  if (process == nullptr || process->exit) return;
  if (process->is_frozen) {
    process->frozen_end = {code, signal};
    return;
  }
  if (process->to_write > 0 && process->writes_at_once && signal == 0) {
    after(milliseconds(5), [this, host, key, code] { end_process(host, key, code, 0); });
    return;
  }
  process->to_write = 0;
  ProcessExited exit;
  exit.key = key;
  exit.exit_code = code;
  exit.signal = signal;
  exit.started_at = process->started_at;
  exit.finished_at = wall();
  exit.cpu_ms = 1;
  exit.max_rss = 1 << 20;
  process->exit = exit;
  deliver(host, key);
}

}  // namespace dunlin::sched::testing
