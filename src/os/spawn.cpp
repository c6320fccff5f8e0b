#include "os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <new>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::size_t kStackSize = 16 * 1024;

#if defined(__x86_64__)

// A system call that leaves errno alone: the child shares it with the parent.
inline long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  long result;
  register long r10 asm("r10") = d;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
               : "rcx", "r11", "memory");
  return result;
}

#else

inline long raw_call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  const long result = syscall(number, a, b, c, d);
  return result == -1 ? -errno : result;
}

#endif

long address(const void* pointer) {
  return static_cast<long>(reinterpret_cast<intptr_t>(pointer));
}

}  // namespace

// Mapped shared, so that the report comes back from a fork too.
struct SpawnSlot::Shared {
  alignas(16) std::uint8_t stack[kStackSize];
  SpawnRequest request;
  pid_t parent;
  // Written by the child, read by the parent after the child's death: only the compiler must be
  // kept from being clever.
  volatile std::int32_t error;
  volatile bool is_missing;
  volatile bool before_exec;
  volatile bool lacks_directory;
  volatile std::uint32_t candidate;

  [[noreturn]] void quit(long result, bool is_before_exec) {
    error = static_cast<std::int32_t>(-result);
    before_exec = is_before_exec;
    for (;;) raw_call(SYS_exit_group, 127);
  }

  void require(long result) {
    if (result < 0) quit(result, true);
  }

  // The part of the child before exec. Group and cgroup come first: whatever happens, the process
  // can be found and killed with its group.
  void prepare() {
    require(raw_call(SYS_setpgid, 0, 0));
    if (request.cgroup_procs_fd >= 0) {
      require(raw_call(SYS_write, request.cgroup_procs_fd, address("0"), 1));
    }
    if (request.cpus != nullptr) {
      require(raw_call(SYS_sched_setaffinity, 0, sizeof(cpu_set_t), address(request.cpus)));
    }
    if (request.open_files != nullptr) {
      require(raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, address(request.open_files), 0));
    }
    require(raw_call(SYS_dup3, request.stdin_fd, 0, 0));
    require(raw_call(SYS_dup3, request.stdout_fd, 1, 0));
    require(raw_call(SYS_dup3, request.stderr_fd, 2, 0));
    require(raw_call(SYS_chdir, address(request.directory)));
    if (request.account != nullptr) become(*request.account);
    if (request.host_directory != nullptr) {
      lacks_directory = true;
      require(raw_call(SYS_chdir, address(request.host_directory)));
      lacks_directory = false;
    }
    // After the change of user, which clears it. A parent that died before this line cannot
    // trigger it any more.
    require(raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL));
    if (raw_call(SYS_getppid) != parent) quit(-ECHILD, true);
  }

  void become(const Account& account) {
    require(raw_call(SYS_setgroups, static_cast<long>(account.groups.size()),
                     address(account.groups.data())));
    require(raw_call(SYS_setresgid, account.gid, account.gid, account.gid));
    require(raw_call(SYS_setresuid, account.uid, account.uid, account.uid));
  }

  // As execvp does it, but without its /bin/sh for files that are no program. ENOENT of a file
  // that does exist is about its interpreter; EACCES of one that does not show is about a
  // directory of the PATH that is closed to us, and the program is merely not there.
  [[noreturn]] void execute() {
    const bool is_search = request.candidates[0] != nullptr && request.candidates[1] != nullptr;
    long worst = -ENOENT;
    bool missing = true;
    for (std::uint32_t i = 0; request.candidates[i] != nullptr; ++i) {
      candidate = i;
      const long file = address(request.candidates[i]);
      const long result =
          raw_call(SYS_execve, file, address(request.argv), address(request.environment));
      const bool may_be_absent =
          result == -ENOENT || result == -ENOTDIR || (result == -EACCES && is_search);
      if (may_be_absent && raw_call(SYS_faccessat, AT_FDCWD, file, F_OK) != 0) {
        if (!is_search) worst = result;
        continue;
      }
      missing = false;
      worst = result;
      if (result != -EACCES && result != -ENOENT) break;
    }
    is_missing = missing;
    quit(worst, false);
  }

  static void child(void* slot) {
    auto* shared = static_cast<Shared*>(slot);
    shared->prepare();
    shared->execute();
  }

  // Negative errno, or the child's pid.
  long clone_child(int* pidfd);
  long fork_child(int* pidfd);
};

long SpawnSlot::Shared::clone_child(int* pidfd) {
#if defined(__x86_64__) && !defined(DUNLIN_SANITIZED)
  clone_args args{};
  args.flags = CLONE_VM | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  args.pidfd = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(pidfd));
  args.exit_signal = SIGCHLD;
  args.stack = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(stack));
  args.stack_size = sizeof stack;
  long result;
  // The child wakes on an empty stack: it must call on, and never return into this frame.
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %[slot], %%rdi\n\t"
      "call *%[entry]\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(&args), "S"(sizeof args), [entry] "r"(&Shared::child), [slot] "r"(this)
      : "rcx", "r11", "memory");
  return result;
#else
  static_cast<void>(pidfd);
  return -ENOSYS;
#endif
}

long SpawnSlot::Shared::fork_child(int* pidfd) {
  const pid_t pid = fork();
  if (pid < 0) return -errno;
  if (pid == 0) child(this);
  *pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (*pidfd >= 0) return pid;
  const long failure = -errno;
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return failure;
}

SpawnSlot::SpawnSlot() {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT(memory != MAP_FAILED);
  shared_ = new (memory) Shared;
}

SpawnSlot::~SpawnSlot() {
  munmap(shared_, sizeof(Shared));
}

tl::expected<Spawned, int> SpawnSlot::start(const SpawnRequest& request) {
  ASSERT(request.stdin_fd > 2 && request.stdout_fd > 2 && request.stderr_fd > 2);
  shared_->request = request;
  shared_->parent = getpid();
  shared_->error = 0;
  shared_->is_missing = false;
  shared_->before_exec = false;
  shared_->lacks_directory = false;
  shared_->candidate = 0;

  Spawned spawned;
  // Memory is not shared with another user's process; nor with one that might meet its memory
  // limit during exec, since the kernel then kills all that share the memory.
  const bool may_share = request.account == nullptr && request.cgroup_procs_fd < 0;
  long result = may_share ? shared_->clone_child(&spawned.pidfd) : -ENOSYS;
  // Old seccomp profiles answer EPERM for system calls they have not heard of.
  if (result == -ENOSYS || result == -EPERM) result = shared_->fork_child(&spawned.pidfd);
  if (result < 0) return tl::unexpected(static_cast<int>(-result));
  spawned.pid = static_cast<pid_t>(result);
  return spawned;
}

SpawnReport SpawnSlot::report() const {
  return {shared_->error, shared_->is_missing, shared_->before_exec, shared_->lacks_directory,
          shared_->candidate};
}

std::vector<std::string> ProgramSearch::candidates(const std::string& program,
                                                   const std::string& path, Instant now) const {
  if (program.find('/') != std::string::npos || program.empty()) return {program};
  std::vector<std::string> files;
  const auto hit = hits_.find({program, path});
  if (hit != hits_.end() && now < hit->second.until) files.push_back(hit->second.file);
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string folder = path.substr(begin, end - begin);
    files.push_back((folder.empty() ? "." : folder) + "/" + program);
    begin = end + 1;
  }
  return files;
}

void ProgramSearch::found(const std::string& program, const std::string& path,
                          const std::string& file, Instant now) {
  // A relative directory in PATH means another file in each working directory.
  if (program == file || file.empty() || file[0] != '/') return;
  Hit& hit = hits_[{program, path}];
  if (hit.until > now && hit.file == file) return;
  hit = {file, now + seconds(1)};
  if (hits_.size() > kMaxHits) hits_.clear();
}

}  // namespace dunlin
