#include "os/held_processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/assert.h"
#include "base/inner_path.h"
#include "os/clock.h"
#include "os/descriptor_limit.h"
#include "os/file_descriptor.h"
#include "os/process_tree.h"

namespace dunlin {

namespace {

constexpr std::uint32_t kExitEvent = 2;  // events 0 and 1 are of the streams
constexpr Duration kSweepPause = seconds(2);
constexpr Duration kSweepAgain = milliseconds(10);
// Descriptors of one running process: two streams and itself, and at its start two ends of pipes
// and a control group's file. Some are left for the node's connections.
constexpr rlim_t kDescriptorsEach = 3;
constexpr rlim_t kDescriptorsSpared = 64;

void split_strings(Bytes& block, std::vector<char*>& pointers) {
  pointers.clear();
  char* at = reinterpret_cast<char*>(block.data());
  char* const end = at + block.size();
  while (at < end) {
    pointers.push_back(at);
    at = std::find(at, end, '\0') + 1;
  }
  pointers.push_back(nullptr);
}

std::string path_in(const std::vector<char*>& environment) {
  for (const char* each : environment) {
    if (each != nullptr && std::string_view(each).starts_with("PATH=")) return each + 5;
  }
  return "/usr/local/bin:/usr/bin:/bin";
}

// The file is open and has no name any more; closed, with errno, when that cannot be had. Tasks of
// one account can reach each other's directories, and this process may be root: what is opened and
// removed lies below `directory` whatever a task does meanwhile, belongs to the account, and is no
// FIFO that would stop this loop.
FileDescriptor take_input(const std::string& directory, const std::string& name,
                          const std::optional<Account>& account) {
  if (!is_inner_path(name)) {
    errno = EINVAL;
    return {};
  }
  constexpr int kHow = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  FileDescriptor above(::open(directory.c_str(), kHow | O_DIRECTORY));
  if (!above.is_open()) return {};
  std::size_t begin = 0;
  for (std::size_t slash; (slash = name.find('/', begin)) != std::string::npos; begin = slash + 1) {
    const std::string component = name.substr(begin, slash - begin);
    above = FileDescriptor(openat(above.get(), component.c_str(), kHow | O_DIRECTORY));
    if (!above.is_open()) return {};
  }
  const std::string last = name.substr(begin);
  const FileDescriptor file(openat(above.get(), last.c_str(), kHow));
  if (!file.is_open()) return {};
  struct stat info {};
  const bool is_sound = fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) &&
                        (!account || info.st_uid == account->uid);
  if (!is_sound) {
    errno = EINVAL;
    return {};
  }
  fcntl(file.get(), F_SETFL, 0);
  unlinkat(above.get(), last.c_str(), 0);
  return FileDescriptor(fcntl(file.get(), F_DUPFD_CLOEXEC, 3));
}

}  // namespace

HeldProcesses::HeldProcesses(int epoll_fd, HeldOptions options)
    : epoll_fd_(epoll_fd),
      options_(std::move(options)),
      cores_(options_.may_pin),
      cgroups_(options_.cgroup_name),
      disk_(options_.directory),
      scratch_(kMaxOutputPiece) {
  null_fd_ = fcntl(::open("/dev/null", O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, 3);
  ASSERT(null_fd_ > 2);
  // Three descriptors a process are needed here; the tasks get back the limit that we were given.
  getrlimit(RLIMIT_NOFILE, &open_files_);
  raise_descriptor_limit();
  most_running_ =
      (std::max(descriptor_limit(), kDescriptorsSpared) - kDescriptorsSpared) / kDescriptorsEach;
}

HeldProcesses::~HeldProcesses() {
  for (const auto& [key, index] : by_key_) {
    HeldProcess& held = *slots_[index];
    for (const int fd : {held.streams[0].fd, held.streams[1].fd, held.pidfd}) {
      if (fd >= 0) close(fd);
    }
  }
  close(null_fd_);
}

// ---- starting ---------------------------------------------------------------------------------

HeldProcess& HeldProcesses::take_slot() {
  std::uint32_t index = 0;
  if (free_slots_.empty()) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  std::unique_ptr<HeldProcess>& slot = slots_[index];
  const std::uint32_t generation = slot ? slot->generation : next_generation_;
  if (!slot) slot = std::make_unique<HeldProcess>();
  slot->index = index;
  slot->generation = generation + 1;
  next_generation_ = std::max(next_generation_, slot->generation);
  return *slot;
}

void HeldProcesses::start(Instant now, RunnerStart command) {
  if (by_key_.contains(command.key) || by_key_.size() >= kMaxHeldProcesses) return;
  HeldProcess& held = take_slot();
  held.command = std::move(command);
  held.sequence = next_sequence_++;
  by_key_.emplace(held.command.key, held.index);
  held.end.key = held.command.key;
  held.end.started_at = wall_now();
  int error = EAGAIN;
  if (leaders_.size() < most_running_) error = prepare(held, now) ? launch(held, now) : EINVAL;
  if (error != 0) return fail_to_start(held, error);
  queue_report(held, false);
}

bool HeldProcesses::prepare(HeldProcess& held, Instant now) {
  RunnerStart& command = held.command;
  if (command.label.size() > kMaxRunnerLabel) return false;
  if (command.arguments.empty() || command.arguments.back() != 0) return false;
  if (!command.environment.empty() && command.environment.back() != 0) return false;
  split_strings(command.arguments, held.argv);
  split_strings(command.environment, held.environment);
  held.path = path_in(held.environment);
  held.candidates = programs_.candidates(held.argv[0], held.path, now);
  held.candidate_pointers.clear();
  for (const std::string& file : held.candidates) held.candidate_pointers.push_back(file.c_str());
  held.candidate_pointers.push_back(nullptr);
  held.cores = cores_.take(command.cpus);
  return true;
}

int HeldProcesses::launch(HeldProcess& held, Instant now) {
  FileDescriptor input;
  if (!held.command.stdin_file.empty()) {
    input = take_input(held.command.directory, held.command.stdin_file, options_.account);
    if (!input.is_open()) return errno;
  }
  int out[2] = {-1, -1};
  int err[2] = {-1, -1};
  if (pipe2(out, O_CLOEXEC) != 0) return errno;
  if (pipe2(err, O_CLOEXEC) != 0) {
    const int error = errno;
    close(out[0]);
    close(out[1]);
    return error;
  }
  // Only our ends are nonblocking: a task must be made to wait, not be told EAGAIN.
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(err[0], F_SETFL, O_NONBLOCK);

  SpawnRequest request;
  request.directory = held.command.directory.c_str();
  if (!held.command.host_directory.empty()) {
    request.host_directory = held.command.host_directory.c_str();
  }
  request.argv = held.argv.data();
  request.environment = held.environment.data();
  request.candidates = held.candidate_pointers.data();
  request.stdin_fd = input.is_open() ? input.get() : null_fd_;
  request.stdout_fd = out[1];
  request.stderr_fd = err[1];
  request.cpus = held.cores ? &*held.cores : nullptr;
  request.open_files = open_files_.rlim_cur == open_files_.rlim_max ? nullptr : &open_files_;
  request.account = options_.account ? &*options_.account : nullptr;
  if (held.command.memory > 0 && cgroups_.limits_memory()) {
    const Result<int> procs = cgroups_.open(held.sequence, held.command.memory);
    held.has_cgroup = procs.has_value();
    if (procs) request.cgroup_procs_fd = *procs;
  }
  const auto spawned = held.slot.start(request);
  close(out[1]);
  close(err[1]);
  held.streams[0].fd = out[0];
  held.streams[1].fd = err[0];
  if (!spawned) return spawned.error();

  held.pid = spawned->pid;
  held.pidfd = spawned->pidfd;
  leaders_[held.pid] = {held.command.directory, held.sequence, false};
  watch(held, kExitEvent, held.pidfd);
  young_.push_back({now + kWatchDelay, held.index, held.generation});
  if (held.command.memory > 0) {
    limited_.insert(held.index);
    watch_at_ = std::min(watch_at_, now + kMemoryWatch);
  }
  sweep_at_ = std::min(sweep_at_, now + kSweepPause);
  disk_at_ = std::min(disk_at_, now + kDiskWatchAgain);
  return 0;
}

void HeldProcesses::fail_to_start(HeldProcess& held, int error) {
  for (HeldStream& stream : held.streams) {
    if (stream.fd >= 0) close(stream.fd);
    stream.fd = -1;
  }
  if (held.has_cgroup) cgroups_.close(held.sequence);
  if (held.cores) cores_.give_back(*held.cores);
  held.phase = HeldProcess::Phase::kFinished;
  held.end.start_error = error;
  held.end.exit_code = 125;
  held.end.finished_at = wall_now();
  queue_report(held, true);
}

// ---- events -----------------------------------------------------------------------------------

void HeldProcesses::watch(HeldProcess& held, std::uint32_t kind, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<std::uint64_t>(held.generation) << 32 | held.index << 2 | kind;
  const int added = epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event);
  ASSERT(added == 0);
}

void HeldProcesses::watch_stream(HeldProcess& held, std::uint32_t which) {
  HeldStream& stream = held.streams[which];
  if (stream.is_watched) return;
  watch(held, which, stream.fd);
  stream.is_watched = true;
}

// Always before close(): a child on its way to exec holds a copy of the descriptor, and so keeps
// the registration of a closed one alive.
void HeldProcesses::unwatch_stream(HeldStream& stream) {
  if (stream.is_watched) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, stream.fd, nullptr);
  stream.is_watched = false;
}

void HeldProcesses::watch_grown(Instant now) {
  while (!young_.empty() && young_.front().grown_at <= now) {
    const Young young = young_.front();
    young_.pop_front();
    if (!slots_[young.index] || slots_[young.index]->generation != young.generation) continue;
    HeldProcess& held = *slots_[young.index];
    for (const std::uint32_t which : {0U, 1U}) {
      const HeldStream& stream = held.streams[which];
      if (stream.fd >= 0 && !stream.is_paused) watch_stream(held, which);
    }
  }
}

void HeldProcesses::on_event(Instant now, std::uint64_t data) {
  const auto index = static_cast<std::uint32_t>(data) >> 2;
  const auto kind = static_cast<std::uint32_t>(data) & 3;
  if (index >= slots_.size() || !slots_[index]) return;
  HeldProcess& held = *slots_[index];
  if (held.generation != data >> 32 || held.phase == HeldProcess::Phase::kFinished) return;
  if (kind == kExitEvent) {
    if (held.phase == HeldProcess::Phase::kRunning) on_exit(held, now);
    return;
  }
  const std::uint32_t which = kind;  // the other kinds are the streams themselves
  if (held.streams[which].fd < 0 || held.streams[which].is_paused) return;
  read_stream(held, which);
  finish_if_done(held, now);
}

std::uint64_t HeldProcesses::room(const HeldStream& stream) const {
  const std::uint64_t most = untaken_ < kMaxUntakenTotal ? kMaxUntaken : kMaxOutputPiece;
  return stream.output.size() < most ? most - stream.output.size() : 0;
}

// One piece while the process runs, so that no stream starves another; all there is once it has
// ended. A process that was cut off has nothing more to say when its pipe is empty.
void HeldProcesses::read_stream(HeldProcess& held, std::uint32_t which) {
  HeldStream& stream = held.streams[which];
  for (;;) {
    const std::uint64_t wanted = std::min<std::uint64_t>(room(stream), scratch_.size());
    if (wanted == 0) return pause(held, which);
    const ssize_t count = read(stream.fd, scratch_.data(), wanted);
    if (count > 0) {
      stream.output.append(ByteView(scratch_.data(), static_cast<std::size_t>(count)));
      untaken_ += static_cast<std::uint64_t>(count);
      queue_report(held, true);
      if (held.phase == HeldProcess::Phase::kRunning) return;
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else if (count < 0 && errno == EAGAIN && !held.is_cut) {
      return;
    } else {
      return end_stream(held, which);
    }
  }
}

void HeldProcesses::end_stream(HeldProcess& held, std::uint32_t which) {
  HeldStream& stream = held.streams[which];
  unwatch_stream(stream);
  if (stream.is_paused) paused_.erase({held.index, which});
  stream.is_paused = false;
  close(stream.fd);
  stream.fd = -1;
}

// Unregistered rather than without events: a pipe whose writers are gone would report EPOLLHUP
// all the same, and keep the loop busy.
void HeldProcesses::pause(HeldProcess& held, std::uint32_t which) {
  HeldStream& stream = held.streams[which];
  if (stream.is_paused) return;
  stream.is_paused = true;
  paused_.insert({held.index, which});
  unwatch_stream(stream);
}

void HeldProcesses::resume(HeldProcess& held, std::uint32_t which) {
  HeldStream& stream = held.streams[which];
  if (!stream.is_paused || room(stream) < std::min(kMaxOutputPiece, kMaxUntaken)) return;
  stream.is_paused = false;
  paused_.erase({held.index, which});
  watch_stream(held, which);
  if (!held.is_cut) return;
  read_stream(held, which);
  finish_if_done(held, monotonic_now());
}

// The process stays a zombie until its output is read, so that nobody else can get its number
// while its group may still have to be killed.
void HeldProcesses::on_exit(HeldProcess& held, Instant now) {
  held.phase = HeldProcess::Phase::kExited;
  held.end.finished_at = wall_now();
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, held.pidfd, nullptr);
  close(held.pidfd);
  held.pidfd = -1;
  settle_disk(held, now);
  for (const std::uint32_t which : {0U, 1U}) {
    const HeldStream& stream = held.streams[which];
    if (stream.fd >= 0 && !stream.is_paused) read_stream(held, which);
  }
  finish_if_done(held, now);
  if (held.phase != HeldProcess::Phase::kExited) return;
  cuts_.insert({now + (held.has_grace ? kGroupCheck : kOutputGrace), held.index});
  young_.push_front({now, held.index, held.generation});
}

void HeldProcesses::end_group(HeldProcess& held, Instant now) {
  kill(-held.pid, SIGKILL);
  leaders_[held.pid].has_ended = true;
  sweep(now);
}

// Descendants hold the output open: they die first, then what they wrote is read to the end.
void HeldProcesses::cut(HeldProcess& held, Instant now) {
  held.is_cut = true;
  end_group(held, now);
  for (const std::uint32_t which : {0U, 1U}) {
    const HeldStream& stream = held.streams[which];
    if (stream.fd >= 0 && !stream.is_paused) read_stream(held, which);
  }
  finish_if_done(held, now);
}

void HeldProcesses::finish_if_done(HeldProcess& held, Instant now) {
  if (held.phase != HeldProcess::Phase::kExited || !held.is_read() || held.has_grace) return;
  held.phase = HeldProcess::Phase::kFinished;
  std::erase_if(cuts_, [&](const auto& cut) { return cut.second == held.index; });
  end_group(held, now);
  int status = 0;
  rusage usage{};
  const pid_t reaped = wait4(held.pid, &status, 0, &usage);
  ASSERT(reaped == held.pid);
  leaders_.erase(held.pid);
  limited_.erase(held.index);
  describe_end(held, status, usage);
  if (held.has_cgroup) {
    cgroups_.close(held.sequence);
    sweep_at_ = std::min(sweep_at_, now + kSweepAgain);
  }
  if (held.cores) cores_.give_back(*held.cores);
  const SpawnReport spawn = held.slot.report();
  if (spawn.error == 0) {
    programs_.found(held.argv[0], held.path, held.candidates[spawn.candidate], now);
  }
  queue_report(held, true);
}

void HeldProcesses::describe_end(HeldProcess& held, int status, const rusage& usage) {
  ProcessExited& end = held.end;
  const SpawnReport spawn = held.slot.report();
  if (spawn.error != 0) {
    end.start_error = spawn.error;
    end.exit_code = spawn.before_exec ? 125 : spawn.is_missing ? 127 : 126;
    end.lacks_directory = spawn.lacks_directory;
  } else if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
    end.exit_code = 128 + end.signal;
  } else {
    end.exit_code = WEXITSTATUS(status);
  }
  const auto micros = [](const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; };
  end.cpu_ms = static_cast<std::uint64_t>(micros(usage.ru_utime) + micros(usage.ru_stime)) / 1000;
  end.max_rss = std::max(held.peak, static_cast<std::uint64_t>(usage.ru_maxrss) * 1024);
  if (held.has_cgroup) {
    end.max_rss = std::max(end.max_rss, cgroups_.peak(held.sequence));
    // A task that got over the loss of a child and ended well is no failure.
    held.killed_for_memory |= end.exit_code != 0 && cgroups_.ran_out(held.sequence);
  }
  end.killed_for_memory = held.killed_for_memory;
  end.killed_with = held.killed_with;
  end.stdout_end = held.streams[0].output.end();
  end.stderr_end = held.streams[1].output.end();
}

// ---- time -------------------------------------------------------------------------------------

void HeldProcesses::sweep(Instant now) {
  if (escapees_.sweep(leaders_)) sweep_at_ = std::min(sweep_at_, now + kSweepAgain);
}

void HeldProcesses::watch_memory(Instant now) {
  std::optional<std::vector<ProcessStat>> processes;
  for (const std::uint32_t index : limited_) {
    HeldProcess& held = *slots_[index];
    if (held.has_cgroup) {
      if (!cgroups_.ran_out(held.sequence)) continue;
    } else {
      if (!processes) processes = all_processes();
      const std::uint64_t resident = tree_resident(*processes, held.pid);
      held.peak = std::max(held.peak, resident);
      if (resident <= held.command.memory) continue;
    }
    held.killed_for_memory |= held.phase == HeldProcess::Phase::kRunning;
    kill(-held.pid, SIGKILL);
  }
  watch_at_ = limited_.empty() ? Instant::never() : now + kMemoryWatch;
}

// One look at /proc for all whose leader died of the TERM that others of its group still handle.
void HeldProcesses::cut_due(Instant now) {
  std::optional<std::set<pid_t>> groups;
  while (!cuts_.empty() && cuts_.begin()->first <= now) {
    HeldProcess& held = *slots_[cuts_.begin()->second];
    cuts_.erase(cuts_.begin());
    if (held.has_grace && !groups) groups = living_groups();
    if (held.has_grace && groups->contains(held.pid)) {
      cuts_.insert({now + kGroupCheck, held.index});
      continue;
    }
    held.has_grace = false;
    cut(held, now);
  }
}

void HeldProcesses::tick(Instant now) {
  watch_grown(now);
  if (!cuts_.empty() && cuts_.begin()->first <= now) cut_due(now);
  if (sweep_at_ <= now) {
    const bool is_clean = cgroups_.tidy();
    const bool is_over = leaders_.empty() && !escapees_.has_any() && is_clean;
    sweep_at_ = is_over ? Instant::never() : now + (is_clean ? kSweepPause : kSweepAgain * 10);
    sweep(now);
  }
  if (watch_at_ <= now) watch_memory(now);
  if (disk_at_ <= now) watch_disk(now);
}

Instant HeldProcesses::next_deadline() const {
  Instant first = std::min({sweep_at_, watch_at_, disk_at_});
  if (!young_.empty()) first = std::min(first, young_.front().grown_at);
  return cuts_.empty() ? first : std::min(first, cuts_.begin()->first);
}

void HeldProcesses::kill_all(Duration limit) {
  const Instant until = monotonic_now() + limit;
  for (auto& [pid, leader] : leaders_) {
    leader.has_ended = true;
    kill(-pid, SIGKILL);
  }
  OwnChildren children;
  for (;;) {
    for (const pid_t pid : children.list()) kill(pid, SIGKILL);
    pid_t reaped;
    while ((reaped = waitpid(-1, nullptr, WNOHANG)) > 0) leaders_.erase(reaped);
    if ((reaped < 0 && errno == ECHILD) || monotonic_now() >= until) return;
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
  }
}

}  // namespace dunlin
