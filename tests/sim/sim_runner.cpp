#include "sim/sim_runner.h"

#include <algorithm>
#include <cstdlib>

namespace dunlin::sim {

namespace {

constexpr int kPieces = 3;  // in which a process writes its output

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') break;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::string variable_of(const StartProcess& start, const std::string& wanted) {
  for (const auto& [name, value] : start.environment) {
    if (name == wanted) return value;
  }
  return {};
}

}  // namespace

Script parse_script(const std::vector<std::string>& argv) {
  Script script;
  if (argv.size() < 2 || argv[0] != "simulate") return script;
  script.is_known = true;
  script.time = milliseconds(static_cast<std::int64_t>(number(argv[1])));
  for (std::size_t i = 2; i < argv.size(); ++i) {
    const std::string_view word = argv[i];
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const std::string_view value = equals == word.npos ? "" : word.substr(equals + 1);
    if (name == "exit") script.exit_code = static_cast<std::int32_t>(number(value));
    if (name == "out") script.out[0] = number(value);
    if (name == "err") script.out[1] = number(value);
    if (name == "flaky") script.flaky = static_cast<std::uint32_t>(number(value));
    if (name == "stubborn") script.stubborn = true;
    if (name == "file") {
      const std::size_t colon = value.find(':');
      script.file = std::string(value.substr(0, colon));
      script.file_size = colon == value.npos ? 0 : number(value.substr(colon + 1));
    }
  }
  return script;
}

SimRunner::SimRunner(EventQueue& queue, Random random, std::function<void(ProcessEvent)> tell,
                     std::function<WallTime()> wall)
    : queue_(queue), random_(random), tell_(std::move(tell)), wall_(std::move(wall)) {}

SimRunner::Process* SimRunner::find_process(ProcessKey key) {
  const auto found = processes_.find(key);
  return found == processes_.end() ? nullptr : &found->second;
}

void SimRunner::later(Duration time, ProcessKey key, std::function<void(Process&)> what) {
  queue_.after(time, [this, key, life = life_, what = std::move(what)] {
    if (life != life_) return;
    Process* process = find_process(key);
    if (process == nullptr) return;
    if (process->frozen && !process->exit) {
      process->while_frozen.push_back(what);
    } else {
      what(*process);
    }
  });
}

// ---- the node process comes and goes ------------------------------------------------------------

void SimRunner::attach(const NodeId& node) {
  node_ = node;
  attached_ = true;
  ++attachments_;
  RunnerReady ready;
  for (auto& [key, process] : processes_) {
    process.delivered = process.output_from;
    process.exit_told = false;
    ready.held.push_back({key, process.label, process.pid, process.started_at,
                          process.exit.has_value(), process.output_from[0], process.output_from[1],
                          process.told_to_end});
  }
  tell_(ready);
  for (const RunnerHeld& held : ready.held) deliver(held.key);
}

void SimRunner::detach() {
  attached_ = false;
  queue_.after(kOrphanTime, [this, life = life_, attachments = attachments_] {
    if (life == life_ && attachments == attachments_ && !attached_) crash();
  });
}

void SimRunner::crash() {
  for (const auto& [key, process] : processes_) {
    if (!process.exit) ends_[process.task].lost_with.insert(node_);
  }
  clear();
}

void SimRunner::clear() {
  processes_.clear();
  attached_ = false;
  ++life_;
}

const SimRunner::Ends* SimRunner::ends(const std::string& task) const {
  const auto found = ends_.find(task);
  return found == ends_.end() ? nullptr : &found->second;
}

std::size_t SimRunner::running() const {
  std::size_t count = 0;
  for (const auto& [key, process] : processes_) count += process.exit ? 0 : 1;
  return count;
}

// ---- commands -----------------------------------------------------------------------------------

void SimRunner::start(const StartProcess& start) {
  if (processes_.contains(start.key)) return;
  Process& process = processes_[start.key];
  const ProcessKey key = start.key;
  process.label = start.label;
  process.task = variable_of(start, "DUNLIN_JOB_ID") + "." + variable_of(start, "DUNLIN_TASK_ID");
  process.script = parse_script(start.argv);
  process.started_at = wall_();
  if (!process.script.is_known) {
    later(microseconds(200), key, [this, key](Process& missing) {
      ProcessExited exit;
      exit.exit_code = 127;
      exit.start_error = 2;
      missing.exit = exit;
      end(key, missing, 127, 0);
    });
    return;
  }
  process.pid = next_pid_++;
  if (process.script.flaky >= number(variable_of(start, "DUNLIN_ATTEMPT")))
    process.end_code = 1;
  else
    process.end_code = process.script.exit_code;
  const std::int32_t pid = process.pid;
  const Duration time = process.script.time;
  later(microseconds(150), key, [this, key, pid](Process&) {
    if (attached_) tell_(ProcessStarted{key, pid});
  });
  for (std::size_t stream = 0; stream < 2; ++stream) {
    std::uint64_t left = process.script.out[stream];
    for (int piece = 0; piece < kPieces && left > 0; ++piece) {
      const std::uint64_t size = piece + 1 == kPieces ? left : left / 2;
      left -= size;
      later(microseconds(200) + time * piece / kPieces, key,
            [this, key, stream, size](Process& writer) { write(key, writer, stream, size); });
    }
  }
  later(time + microseconds(300), key, [this, key](Process& done) {
    done.ending = true;
    pump(key, done);
  });
}

void SimRunner::signal(const SignalProcess& order) {
  Process* process = find_process(order.key);
  if (process == nullptr || process->exit) return;
  const ProcessKey key = order.key;
  if (order.signal == kSignalStop) {
    process->frozen = true;
    return;
  }
  const bool goes_on = order.signal == kSignalContinue || order.signal == kSignalKill;
  if (process->frozen && goes_on) thaw(key, *process);
  if (order.signal == kSignalContinue) return;
  process->told_to_end = true;
  if (order.signal == kSignalTerm && process->script.stubborn) return;
  later(microseconds(100), key, [this, key, number = order.signal](Process& victim) {
    if (!victim.exit) end(key, victim, 128 + number, number);
  });
}

void SimRunner::thaw(ProcessKey key, Process& process) {
  process.frozen = false;
  for (auto& what : std::exchange(process.while_frozen, {})) later({}, key, std::move(what));
}

void SimRunner::taken(const OutputTaken& taken) {
  Process* process = find_process(taken.key);
  if (process == nullptr) return;
  const std::size_t stream = taken.is_stderr ? 1 : 0;
  std::uint64_t& from = process->output_from[stream];
  if (taken.up_to <= from) return;
  Bytes& output = process->output[stream];
  const std::uint64_t count = std::min<std::uint64_t>(taken.up_to - from, output.size());
  output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(count));
  from += count;
  const ProcessKey key = taken.key;
  later(microseconds(50), key, [this, key](Process& reader) { pump(key, reader); });
}

void SimRunner::find(const FindOutputs& search) {
  const ProcessKey key = search.key;
  later(microseconds(200), key, [this, key](Process& process) {
    if (!attached_) return;
    OutputsFound found{key, {}, ""};
    if (!process.script.file.empty()) {
      found.files.push_back({process.script.file, process.script.file_size, 0644});
    }
    tell_(found);
  });
}

void SimRunner::read(const ReadOutput& read) {
  later(microseconds(200), read.key, [this, read](Process& process) {
    if (!attached_) return;
    OutputData data{read.key, read.name, read.offset, {}, ""};
    if (read.name != process.script.file) {
      data.error = "no such file";
    } else {
      const std::uint64_t end = std::min<std::uint64_t>(
          process.script.file_size, read.offset + std::min(read.length, kMaxOutputRead));
      for (std::uint64_t at = read.offset; at < end; ++at) data.bytes.push_back(task_byte(at));
    }
    tell_(data);
  });
}

void SimRunner::release(const ReleaseProcess& release) {
  processes_.erase(release.key);
}

// ---- what processes do --------------------------------------------------------------------------

void SimRunner::write(ProcessKey key, Process& process, std::size_t stream, std::uint64_t bytes) {
  if (process.exit) return;
  process.unwritten[stream] += bytes;
  pump(key, process);
}

void SimRunner::end(ProcessKey key, Process& process, std::int32_t code, std::int32_t signal) {
  ProcessExited exit = process.exit.value_or(ProcessExited{});
  exit.key = key;
  exit.exit_code = code;
  exit.signal = signal;
  exit.started_at = process.started_at;
  exit.finished_at = wall_();
  exit.cpu_ms = 1;
  exit.max_rss = 1 << 20;
  for (std::size_t stream = 0; stream < 2; ++stream) {
    (stream == 0 ? exit.stdout_end : exit.stderr_end) =
        process.output_from[stream] + process.output[stream].size();
  }
  process.exit = exit;
  deliver(key);
}

// Moves what was written into the window, and ends the process when all of it is out.
void SimRunner::pump(ProcessKey key, Process& process) {
  for (std::size_t stream = 0; stream < 2; ++stream) {
    Bytes& output = process.output[stream];
    std::uint64_t& left = process.unwritten[stream];
    while (left > 0 && output.size() < kMaxUntaken) {
      output.push_back(task_byte(process.output_from[stream] + output.size()));
      --left;
    }
  }
  const bool blocked = process.unwritten[0] + process.unwritten[1] > 0;
  if (process.ending && !blocked && !process.exit) {
    Ends& ends = ends_[process.task];
    ++(process.end_code == 0 ? ends.successes : ends.failures);
    return end(key, process, process.end_code, 0);
  }
  deliver(key);
}

void SimRunner::deliver(ProcessKey key) {
  for (std::size_t stream = 0; stream < 2; ++stream) {
    for (;;) {
      Process* process = find_process(key);
      if (process == nullptr || !attached_) return;
      const std::uint64_t from = process->output_from[stream];
      std::uint64_t& delivered = process->delivered[stream];
      delivered = std::max(delivered, from);
      const Bytes& output = process->output[stream];
      if (delivered >= from + output.size()) break;
      const auto skip = static_cast<std::size_t>(delivered - from);
      const std::size_t size = std::min<std::size_t>(kMaxOutputPiece, output.size() - skip);
      ProcessOutput event{key, stream == 1, delivered,
                          to_bytes(ByteView(output).subspan(skip, size))};
      delivered += size;
      tell_(std::move(event));
    }
  }
  Process* process = find_process(key);
  if (process == nullptr || !attached_ || !process->exit || process->exit_told) return;
  process->exit_told = true;
  tell_(*process->exit);
}

}  // namespace dunlin::sim
