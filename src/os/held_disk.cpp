// HeldProcesses, the part that watches the disk: a task is killed for it, and its directory emptied
// as soon as that one and its group are dead, whatever of its output is still to be taken. Room
// may be what its taking waits for.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>

#include "os/clock.h"
#include "os/held_processes.h"

namespace dunlin {

namespace {

bool has_exited(int pidfd) {
  pollfd exit{pidfd, POLLIN, 0};
  return ::poll(&exit, 1, 0) > 0;
}

// Of a zombie, which stays one.
bool died_of_kill(pid_t pid) {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT | WNOHANG) != 0) return false;
  return info.si_pid == pid && info.si_code == CLD_KILLED && info.si_status == SIGKILL;
}

}  // namespace

void HeldProcesses::watch_disk(Instant now) {
  if (leaders_.empty()) {
    disk_at_ = Instant::never();
    return;
  }
  const DiskWatch::Look look = disk_.look();
  disk_at_ = now + look.pause;
  if (!look.is_low) return blame_.on_room(now);
  blame_.on_low();
  const bool is_due = blame_.is_due(now, look.free, look.least_blamed);
  if (!disk_.is_clearing() && !kill_again() && is_due) {
    if (end_largest(look)) return;
    // Not `now`: counting may have taken its time.
    blame_.on_nobody(monotonic_now(), look.free);
  }
  disk_at_ = now + kDiskWatchAgain;
}

// Is somebody on its way out?
bool HeldProcesses::kill_again() {
  bool is_ending = false;
  for (const auto& [key, index] : by_key_) {
    HeldProcess& held = *slots_[index];
    if (held.killed_with == 0 || held.phase != HeldProcess::Phase::kRunning) continue;
    kill_outright(held);
    is_ending = true;
  }
  return is_ending;
}

// By its own number too: it may not have come to setpgid() yet, or have left the group.
bool HeldProcesses::kill_outright(HeldProcess& held) {
  kill(-held.pid, SIGKILL);
  return kill(held.pid, SIGKILL) == 0;
}

std::vector<DiskHolder> HeldProcesses::count_holders(std::vector<HeldProcess*>& running) {
  std::vector<std::string> directories;
  for (const auto& [key, index] : by_key_) {
    HeldProcess& held = *slots_[index];
    if (held.phase != HeldProcess::Phase::kRunning) continue;
    running.push_back(&held);
    directories.push_back(held.command.directory);
  }
  const auto bytes = disk_.held_by_each(directories, kMaxCountedEntries);
  std::vector<DiskHolder> holders;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const std::uint64_t staged = std::min(bytes[i], running[i]->command.staged);
    holders.push_back({running[i]->sequence, bytes[i] - staged});
  }
  return holders;
}

// False when nobody is to blame, or nobody who is can be killed.
bool HeldProcesses::end_largest(const DiskWatch::Look& look) {
  std::vector<HeldProcess*> running;
  const std::vector<DiskHolder> holders = count_holders(running);
  for (const DiskHolder& blamed : blame_.blame(holders, look.free, look.least_blamed)) {
    const auto at = std::find_if(running.begin(), running.end(), [&](const HeldProcess* held) {
      return held->sequence == blamed.task;
    });
    HeldProcess& held = **at;
    // One that has ended meanwhile may have made what it was to make.
    if (has_exited(held.pidfd) || !kill_outright(held)) continue;
    held.killed_with = blamed.bytes;
    held.has_grace = false;
    blame_.on_told(blamed, holders, disk_.look().free);
    return true;
  }
  return false;
}

// Of one that has just exited: its directory is emptied if it was killed for the disk. One that
// was faster keeps what it has made.
void HeldProcesses::settle_disk(HeldProcess& held, Instant now) {
  if (held.killed_with == 0) return;
  const bool was_ended = died_of_kill(held.pid);
  blame_.on_gone(was_ended);
  if (!was_ended) {
    held.killed_with = 0;
    return;
  }
  end_group(held, now);
  disk_.clear(held.command.directory);
}

}  // namespace dunlin
