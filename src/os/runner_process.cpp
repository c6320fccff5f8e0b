#include "os/runner_process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "os/process_tree.h"
#include "os/runner_protocol.h"
#include "os/runner_service.h"

namespace dunlin {

namespace {

// A runner that was told to go, or has been left alone, may take so long to kill its tasks.
constexpr int kLockTries = 200;  // of 50 ms

struct Arguments {
  std::string directory;
  Duration unattended = seconds(59);
  int status_fd = -1;
  std::string run_as;
  bool may_pin = true;
  bool may_use_cgroups = true;
};

Result<Arguments> parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--no-pin" || word == "--no-cgroups") {
      (word == "--no-pin" ? arguments.may_pin : arguments.may_use_cgroups) = false;
      continue;
    }
    if (++i == words.size()) return fail(Code::kUsage, "runner: " + word + " needs a value");
    const std::string& value = words[i];
    if (word == "--dir") {
      arguments.directory = value;
    } else if (word == "--unattended-ms") {
      arguments.unattended = milliseconds(atoll(value.c_str()));
    } else if (word == "--status-fd") {
      arguments.status_fd = atoi(value.c_str());
    } else if (word == "--run-as") {
      arguments.run_as = value;
    } else {
      return fail(Code::kUsage, "runner: unknown option " + word);
    }
  }
  if (!arguments.directory.starts_with('/')) return fail(Code::kUsage, "runner: --dir is missing");
  return arguments;
}

// Tasks inherit what is ignored and blocked, the umask and open descriptors: none of the node's
// or its caller's may reach them (nohup, a shell's redirections, Python's SIGPIPE).
void start_clean(int status_fd) {
  // Not by sigaction(): it refuses the two signals that glibc keeps to itself, and those are just
  // what its posix_spawn() leaves ignored. All zero means SIG_DFL.
  constexpr std::uint64_t kDefault[4] = {};
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    syscall(SYS_rt_sigaction, signal_number, kDefault, nullptr, sizeof(std::uint64_t));
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  umask(022);
  const int null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) dup2(null_fd, fd);
  if (null_fd > 2) close(null_fd);
  const auto keep = static_cast<unsigned>(status_fd);
  if (status_fd > 3) syscall(SYS_close_range, 3U, keep - 1, 0U);
  syscall(SYS_close_range, std::max(keep + 1, 3U), ~0U, 0U);
  if (status_fd >= 0) fcntl(status_fd, F_SETFD, FD_CLOEXEC);
  // Freed memory goes back to the system, and one arena is enough for one thread.
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_THRESHOLD, 64 * 1024);
  mallopt(M_TRIM_THRESHOLD, 128 * 1024);
}

// False when the node that asked is gone by now. That is no reason to die of the signal, which
// would leave the control groups behind; tasks do not inherit that it is ignored for the moment.
bool say(int status_fd, const std::string& text) {
  if (status_fd < 0) return true;
  signal(SIGPIPE, SIG_IGN);
  const bool is_heard = write(status_fd, text.data(), text.size()) >= 0;
  signal(SIGPIPE, SIG_DFL);
  return is_heard;
}

Result<Account> find_account(const std::string& user) {
  errno = 0;
  const passwd* entry = getpwnam(user.c_str());
  if (entry == nullptr) return fail(Code::kNotFound, "there is no user " + user + " to run as");
  Account account{entry->pw_uid, entry->pw_gid, {}};
  int count = 256;
  account.groups.resize(static_cast<std::size_t>(count));
  if (getgrouplist(user.c_str(), entry->pw_gid, account.groups.data(), &count) < 0) {
    return fail(Code::kLimit, "user " + user + " is in more than 256 groups");
  }
  account.groups.resize(static_cast<std::size_t>(count));
  return account;
}

// Held as long as this process lives, and names it to whoever must end this host. A predecessor
// may still be busy killing its tasks.
Result<void> take_lock(const std::string& directory) {
  const std::string path = directory + "/" + kRunnerLock;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail(Code::kFailed, "cannot write " + path + ": " + strerror(errno));
  for (int i = 0; i < kLockTries; ++i) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
      // Over what is there: on a full disk nothing could be written in its place.
      const std::string number = std::to_string(getpid()) + "\n";
      const auto size = static_cast<ssize_t>(number.size());
      if (pwrite(fd, number.data(), number.size(), 0) == size && ftruncate(fd, size) == 0)
        return {};
      return fail(Code::kFailed, "cannot write " + path + ": " + strerror(errno));
    }
    const timespec pause{0, 50'000'000};
    nanosleep(&pause, nullptr);
  }
  return fail(Code::kConflict, "another runner holds " + path);
}

// One name a directory on this host, short enough for a cgroup.
std::string cgroup_name(const std::string& directory) {
  struct stat info {};
  if (stat(directory.c_str(), &info) != 0) return "dunlin";
  return "dunlin-" + std::to_string(info.st_dev) + "-" + std::to_string(info.st_ino);
}

Result<void> serve(const Arguments& arguments) {
  HeldOptions options;
  options.directory = arguments.directory;
  options.may_pin = arguments.may_pin;
  if (!arguments.run_as.empty()) {
    auto account = find_account(arguments.run_as);
    if (!account) return tl::unexpected(account.error());
    options.account = std::move(*account);
  }
  if (Result<void> taken = take_lock(arguments.directory); !taken) return taken;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    return fail(Code::kFailed, std::string("cannot become a subreaper: ") + strerror(errno));
  }
  kill_strays("DUNLIN_WORKDIR", arguments.directory + "/tasks", kStrayRounds);
  if (arguments.may_use_cgroups) options.cgroup_name = cgroup_name(arguments.directory);
  const auto listener = listen_at(arguments.directory, kRunnerSocket);
  if (!listener) return tl::unexpected(listener.error());
  RunnerService service(*listener, arguments.unattended, std::move(options));
  const bool is_awaited = say(arguments.status_fd, "ok");
  if (arguments.status_fd >= 0) close(arguments.status_fd);
  // Nothing is held yet: who has nobody to serve goes at once, in order. Another node than the one
  // that asked may have come meanwhile.
  if (is_awaited || service.is_called()) service.run();
  unlink((arguments.directory + "/" + kRunnerSocket).c_str());
  return {};
}

}  // namespace

int run_runner(const std::vector<std::string>& words) {
  const auto arguments = parse(words);
  if (!arguments) return 2;
  start_clean(arguments->status_fd);
  // Away from the node's session, and nobody's child: neither its terminal nor its death counts.
  setsid();
  const pid_t child = fork();
  if (child != 0) _exit(child < 0 ? 1 : 0);
  prctl(PR_SET_NAME, "dunlin-runner");
  if (chdir("/") != 0) return 1;
  const auto served = serve(*arguments);
  if (!served) say(arguments->status_fd, served.error().message);
  return served ? 0 : 1;
}

}  // namespace dunlin
