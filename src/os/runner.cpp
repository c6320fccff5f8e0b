#include "os/runner.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/assert.h"
#include "os/clock.h"
#include "os/pool_work.h"

namespace dunlin {

namespace {

// What is staged on the loop itself; more goes to the thread pool.
constexpr std::uint64_t kMaxInlineBytes = 128 * 1024;
constexpr std::size_t kMaxInlineFiles = 8;
// As the kernel's own limit of all strings of an exec, by default.
constexpr std::size_t kMaxStrings = 2 * 1024 * 1024;

// What stays of them in the task's directory: stdin loses its name when it is opened.
std::uint64_t bytes_staged(const StartProcess& start) {
  std::uint64_t bytes = 0;
  for (const StagedFile& file : start.files) {
    if (file.name == start.stdin_file) continue;
    for (const FileExtent& extent : file.content) bytes += extent.length;
  }
  return bytes;
}

bool is_small(const std::vector<StagedFile>& files) {
  std::uint64_t bytes = 0;
  for (const StagedFile& file : files) {
    for (const FileExtent& extent : file.content) bytes += std::min(extent.length, kMaxInlineBytes);
  }
  return files.size() <= kMaxInlineFiles && bytes < kMaxInlineBytes;
}

// Of a task that runs elsewhere, and whose program lies in its own directory.
bool is_shipped_program(const StartProcess& start) {
  if (start.host_directory.empty() || start.argv.empty()) return false;
  std::string_view program = start.argv[0];
  if (program.find('/') == std::string_view::npos) return false;
  while (program.starts_with("./")) program.remove_prefix(2);
  return std::any_of(start.files.begin(), start.files.end(),
                     [&](const StagedFile& file) { return file.name == program; });
}

// False when the text would end too early.
bool add_string(Bytes& block, std::string_view text) {
  append(block, as_bytes(text));
  block.push_back(0);
  return text.find('\0') == std::string_view::npos;
}

}  // namespace

Result<std::unique_ptr<Runner>> Runner::open(uv_loop_t* loop, RunnerOptions options,
                                             Listener listener) {
  // Tasks see the path as DUNLIN_WORKDIR, and strays are known by it: it must be the real one.
  char* real = realpath(options.directory.c_str(), nullptr);
  if (real == nullptr) return fail(Code::kNotFound, "there is no directory " + options.directory);
  options.directory = real;
  free(real);
  std::optional<FileOwner> owner;
  if (!options.run_as.empty()) {
    auto found = owner_for(options.run_as);
    if (!found) return tl::unexpected(found.error());
    owner = *found;
  }
  auto workdirs = Workdirs::open(options.directory + "/tasks", owner);
  if (!workdirs) return tl::unexpected(workdirs.error());
  std::unique_ptr<Runner> runner(
      new Runner(loop, options, std::move(listener), std::move(*workdirs), owner));
  runner->link_.open();
  return runner;
}

Runner::Runner(uv_loop_t* loop, const RunnerOptions& options, Listener listener, Workdirs workdirs,
               std::optional<FileOwner> owner)
    : loop_(loop),
      directory_(options.directory),
      listener_(std::move(listener)),
      environment_(account_environment(options.run_as)),
      owner_(owner),
      workdirs_(std::move(workdirs)),
      link_(loop, options,
            {.on_report = [this](RunnerReport report) { on_report(std::move(report)); },
             .on_pause = [this] { deliver(); },
             .on_lost = [this] { on_lost(); },
             .on_silence = [this](bool is_silent) { emit(RunnerSilence{is_silent}); },
             .on_problem = [this](const std::string& text) { listener_.on_problem(text); }}) {}

Runner::~Runner() {
  ASSERT(is_closed());
}

void Runner::close() {
  is_closing_ = true;
  link_.close();
}

void Runner::shut_down() {
  link_.send(RunnerShutdown{});
  close();
}

void Runner::deliver() {
  if (events_.empty() || is_closing_) return;
  std::vector<ProcessEvent> events;
  events.swap(events_);
  listener_.on_events(std::move(events));
}

void Runner::run_job(std::function<void()> work, std::function<void()> done) {
  ++jobs_;
  run_on_pool(loop_, std::move(work), [this, done = std::move(done)] {
    --jobs_;
    if (!is_closing_) done();
  });
}

// ---- starting -----------------------------------------------------------------------------------

void Runner::start(StartProcess start) {
  if (!is_ready_ || tasks_.contains(start.key)) return;
  if (tasks_.size() >= kMaxHeldProcesses) return fail_to_start(start.key, EAGAIN, 0);
  auto directory = start.files.empty() ? workdirs_.take_empty() : workdirs_.make();
  if (!directory) return fail_to_start(start.key, directory.error(), 0);
  auto command = compose(start, *directory);
  Task& task = tasks_[start.key];
  task.directory = std::move(*directory);
  task.id = next_id_++;
  if (!command) return fail_to_start(start.key, command.error(), 0);
  if (start.files.empty()) {
    link_.send(std::move(*command));
    return;
  }
  task.phase = Phase::kStaging;
  const std::uint64_t id = task.id;
  if (is_small(start.files)) {
    const auto result = stage_files(task.directory, directory_, start.files, owner_);
    return staged(*command, id, result ? 0 : result.error());
  }
  auto error = std::make_shared<int>(0);
  run_job(
      [this, error, directory = task.directory, files = std::move(start.files)] {
        const auto result = stage_files(directory, directory_, files, owner_);
        *error = result ? 0 : result.error();
      },
      [this, error, id, kept = std::move(*command)] { staged(kept, id, *error); });
}

void Runner::staged(const RunnerStart& command, std::uint64_t id, int error) {
  const auto at = tasks_.find(command.key);
  // It was forgotten meanwhile, with all others, when the connection was renewed.
  if (at == tasks_.end() || at->second.id != id) return dispose(command.directory);
  Task& task = at->second;
  if (error != 0 || task.signal_while_staging != 0) {
    return fail_to_start(command.key, error, task.signal_while_staging);
  }
  task.phase = Phase::kStarted;
  link_.send(command);
  if (task.is_stopped_while_staging) link_.send(RunnerSignal{command.key, SIGSTOP});
}

tl::expected<RunnerStart, int> Runner::compose(StartProcess& start,
                                               const std::string& directory) const {
  RunnerStart command;
  command.key = start.key;
  command.label = std::move(start.label);
  command.directory = directory;
  command.cpus = start.cpus;
  command.memory = start.memory;
  command.stdin_file = start.stdin_file;
  command.host_directory = start.host_directory;
  command.staged = bytes_staged(start);
  if (is_shipped_program(start)) start.argv[0] = directory + "/" + start.argv[0];
  bool is_sound = !start.argv.empty() && command.label.size() <= kMaxRunnerLabel;
  for (const std::string& word : start.argv) is_sound &= add_string(command.arguments, word);
  const auto add = [&](const std::string& name, const std::string& value) {
    is_sound &= !name.empty() && name.find('=') == std::string::npos;
    is_sound &= add_string(command.environment, name + "=" + value);
  };
  const auto is_given = [&](const std::string& name) {
    return std::any_of(start.environment.begin(), start.environment.end(),
                       [&](const auto& each) { return each.first == name; });
  };
  for (const auto& [name, value] : environment_) {
    if (!is_given(name)) add(name, value);
  }
  for (const auto& [name, value] : start.environment) {
    if (name != "DUNLIN_WORKDIR") add(name, value);
  }
  add("DUNLIN_WORKDIR", directory);
  if (!is_sound) return tl::unexpected(EINVAL);
  if (command.arguments.size() + command.environment.size() > kMaxStrings) {
    return tl::unexpected(E2BIG);
  }
  return command;
}

void Runner::fail_to_start(ProcessKey key, int error, int signal) {
  Task& task = tasks_[key];
  task.phase = Phase::kExited;
  ProcessExited exit;
  exit.key = key;
  exit.signal = signal;
  exit.start_error = signal == 0 ? error : 0;
  exit.exit_code = signal == 0 ? 125 : 128 + signal;
  exit.started_at = exit.finished_at = wall_now();
  on_exit(exit);
}

// ---- commands about what is held ----------------------------------------------------------------

void Runner::signal(const SignalProcess& signal) {
  const auto at = tasks_.find(signal.key);
  if (at == tasks_.end()) return;
  if (at->second.phase == Phase::kStarted) link_.send(RunnerSignal{signal.key, signal.signal});
  const bool ends_it = signal.signal == SIGKILL || signal.signal == SIGTERM;
  if (at->second.phase != Phase::kStaging) return;
  if (ends_it) at->second.signal_while_staging = signal.signal;
  if (signal.signal == SIGSTOP) at->second.is_stopped_while_staging = true;
  if (signal.signal == SIGCONT) at->second.is_stopped_while_staging = false;
}

void Runner::output_taken(const OutputTaken& taken) {
  if (!tasks_.contains(taken.key)) return;
  link_.send(RunnerTaken{taken.key, taken.is_stderr, taken.up_to});
}

void Runner::release(const ReleaseProcess& release) {
  const auto at = tasks_.find(release.key);
  if (at == tasks_.end() || at->second.is_released) return;
  if (at->second.phase != Phase::kExited) {
    at->second.is_released = true;
    return signal({release.key, SIGKILL});
  }
  const std::string directory = std::move(at->second.directory);
  tasks_.erase(at);
  link_.send(RunnerRelease{release.key});
  if (!directory.empty()) dispose(directory);
}

void Runner::dispose(const std::string& directory) {
  // Most are empty; what is not may be large.
  if (workdirs_.give_back(directory) || rmdir(directory.c_str()) == 0) return;
  auto removed = std::make_shared<Result<void>>();
  run_job([removed, directory] { *removed = remove_tree(directory); },
          [this, removed] {
            if (!*removed) listener_.on_problem(removed->error().message);
          });
}

void Runner::find_outputs(FindOutputs search) {
  auto answer = std::make_shared<OutputsFound>();
  answer->key = search.key;
  const auto at = tasks_.find(search.key);
  if (at == tasks_.end()) {
    answer->error = "the process is not held";
    emit(std::move(*answer));
    return;
  }
  run_job(
      [answer, directory = at->second.directory, patterns = std::move(search.globs)] {
        auto found = find_outputs_in(directory, patterns);
        if (found) {
          answer->files = std::move(*found);
        } else {
          answer->error = found.error().message;
        }
      },
      [this, answer] { emit(std::move(*answer)); });
}

void Runner::read_output(ReadOutput read) {
  auto answer = std::make_shared<OutputData>();
  answer->key = read.key;
  answer->name = std::move(read.name);
  answer->offset = read.offset;
  const auto at = tasks_.find(read.key);
  if (at == tasks_.end()) {
    answer->error = "the process is not held";
    emit(std::move(*answer));
    return;
  }
  run_job(
      [answer, directory = at->second.directory, length = read.length] {
        auto bytes = read_output_of(directory, answer->name, answer->offset, length);
        if (bytes) {
          answer->bytes = std::move(*bytes);
        } else {
          answer->error = bytes.error().message;
        }
      },
      [this, answer] { emit(std::move(*answer)); });
}

// ---- what the runner says -----------------------------------------------------------------------

void Runner::on_report(RunnerReport report) {
  if (auto* list = std::get_if<RunnerList>(&report)) return on_list(std::move(*list));
  if (!is_ready_ || std::holds_alternative<RunnerAlive>(report)) return;
  if (auto* exit = std::get_if<ProcessExited>(&report)) return on_exit(std::move(*exit));
  const ProcessKey key = std::holds_alternative<ProcessStarted>(report)
                             ? std::get<ProcessStarted>(report).key
                             : std::get<ProcessOutput>(report).key;
  const auto at = tasks_.find(key);
  if (at == tasks_.end()) return;
  auto* output = std::get_if<ProcessOutput>(&report);
  if (output == nullptr) {
    if (!at->second.is_released) emit(std::get<ProcessStarted>(report));
  } else if (!at->second.is_released) {
    emit(std::move(*output));
  } else {
    // Nobody wants it, and the process must not wait in its write().
    link_.send(RunnerTaken{key, output->is_stderr, output->offset + output->bytes.size()});
  }
}

void Runner::on_list(RunnerList list) {
  const char* const other = list.protocol != kRunnerProtocol                ? "version"
                            : list.uid != (owner_ ? owner_->uid : getuid()) ? "account"
                                                                            : nullptr;
  if (other != nullptr) {
    listener_.on_problem(std::string("the runner is of another ") + other +
                         ": its tasks are ended");
    link_.send(RunnerShutdown{});
    return;
  }
  if (is_ready_ || held_.empty()) tasks_.clear();
  is_ready_ = false;
  for (RunnerHeldProcess& entry : list.held) {
    Task& task = tasks_[entry.process.key];
    task.directory = std::move(entry.directory);
    task.id = next_id_++;
    held_.push_back(std::move(entry.process));
  }
  if (!list.is_last) return;
  is_ready_ = true;
  emit(RunnerReady{std::move(held_), std::move(list.note)});
  held_.clear();
  remove_leftovers();
}

void Runner::remove_leftovers() {
  std::set<std::string> held;
  for (const auto& [key, task] : tasks_) held.insert(task.directory);
  auto leftovers = workdirs_.leftovers(held);
  if (leftovers.empty()) return;
  run_job(
      [leftovers = std::move(leftovers)] {
        for (const std::string& path : leftovers) {
          // What resists is tried again in the next life.
          if (!remove_tree(path)) continue;
        }
      },
      [] {});
}

void Runner::on_exit(ProcessExited exit) {
  const auto at = tasks_.find(exit.key);
  if (at == tasks_.end()) return;
  at->second.phase = Phase::kExited;
  if (!at->second.is_released) {
    emit(std::move(exit));
    return;
  }
  at->second.is_released = false;
  release({exit.key});
}

void Runner::on_lost() {
  is_ready_ = false;
  tasks_.clear();
  held_.clear();
  emit(RunnerLost{});
}

}  // namespace dunlin
