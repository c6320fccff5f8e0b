// HeldProcesses, the part that faces the node: its commands about what is held, and the reports.
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "os/held_processes.h"

namespace dunlin {

namespace {

constexpr std::size_t kProcessesPerList = 1000;
// The memory of ended processes is kept for so many new ones.
constexpr std::size_t kMaxFreeSlots = 64;

}  // namespace

HeldProcess* HeldProcesses::find(ProcessKey key) {
  const auto at = by_key_.find(key);
  return at == by_key_.end() ? nullptr : slots_[at->second].get();
}

// ---- commands ---------------------------------------------------------------------------------

void HeldProcesses::signal(ProcessKey key, int signal) {
  HeldProcess* held = find(key);
  if (held == nullptr || held->phase == HeldProcess::Phase::kFinished) return;
  // A child that has not come to setpgid() yet has no group of its own.
  if (kill(-held->pid, signal) != 0) kill(held->pid, signal);
  const bool runs = held->phase == HeldProcess::Phase::kRunning;
  if (runs && (signal == SIGTERM || signal == SIGKILL)) held->told_to_end = true;
  if (signal == SIGTERM && runs) held->has_grace = true;
  if (signal == SIGKILL) held->has_grace = false;
  // What is left of an ended process does not wait for its grace when killed.
  if (signal == SIGKILL && held->phase == HeldProcess::Phase::kExited && !held->is_cut) {
    std::erase_if(cuts_, [&](const auto& cut) { return cut.second == held->index; });
    cuts_.insert({Instant{}, held->index});
  }
}

void HeldProcesses::take(ProcessKey key, bool is_stderr, std::uint64_t up_to) {
  HeldProcess* held = find(key);
  if (held == nullptr) return;
  HeldStream& stream = held->streams[is_stderr ? 1 : 0];
  const std::uint64_t before = stream.output.size();
  stream.output.take(up_to);
  stream.sent = std::max(stream.sent, stream.output.taken());
  const bool was_full = untaken_ >= kMaxUntakenTotal;
  untaken_ -= before - stream.output.size();
  if (!was_full || untaken_ >= kMaxUntakenTotal) return resume(*held, is_stderr ? 1 : 0);
  const auto paused = paused_;
  for (const auto& [index, which] : paused) resume(*slots_[index], which);
}

void HeldProcesses::release(ProcessKey key) {
  HeldProcess* held = find(key);
  if (held == nullptr || held->phase != HeldProcess::Phase::kFinished) return;
  by_key_.erase(key);
  for (HeldStream& stream : held->streams) untaken_ -= stream.output.size();
  const std::uint32_t index = held->index;
  if (free_slots_.size() >= kMaxFreeSlots) {
    slots_[index].reset();
  } else {
    held->reset();
  }
  free_slots_.push_back(index);
}

// ---- reports ----------------------------------------------------------------------------------

void HeldProcesses::queue_report(HeldProcess& held, bool is_urgent) {
  is_urgent_ |= is_urgent;
  if (held.is_queued) return;
  held.is_queued = true;
  reporting_.push_back(held.index);
}

std::string HeldProcesses::isolation_note() const {
  std::string note;
  if (!cgroups_.limits_memory()) note = "memory is watched, since no cgroup can limit it";
  if (cores_.pins()) return note;
  return note + (note.empty() ? "" : "; ") +
         "tasks are not pinned to cores, since another node of this host does that or none may";
}

void HeldProcesses::list(Bytes& out) {
  RunnerList list;
  list.uid = options_.account ? options_.account->uid : getuid();
  list.note = isolation_note();
  list.answers = true;
  for (const auto& [key, index] : by_key_) {
    HeldProcess& held = *slots_[index];
    RunnerHeldProcess& entry = list.held.emplace_back();
    entry.process = {key,
                     held.command.label,
                     held.pid,
                     held.end.started_at,
                     held.phase == HeldProcess::Phase::kFinished,
                     held.streams[0].output.taken(),
                     held.streams[1].output.taken(),
                     held.told_to_end};
    entry.directory = held.command.directory;
    held.told_start = true;
    held.told_end = false;
    for (HeldStream& stream : held.streams) stream.sent = stream.output.taken();
    queue_report(held, true);
    if (list.held.size() < kProcessesPerList) continue;
    list.is_last = false;
    append_frame(out, RunnerReport(list));
    list.held.clear();
    list.is_last = true;
  }
  append_frame(out, RunnerReport(std::move(list)));
}

// True when there is more to say about this one.
bool HeldProcesses::report(HeldProcess& held, Bytes& out) {
  const ProcessKey key = held.command.key;
  if (!held.told_start && held.pid != 0) {
    held.told_start = true;
    append_frame(out, RunnerReport(ProcessStarted{key, held.pid}));
  }
  bool is_more = false;
  for (const std::uint32_t which : {0U, 1U}) {
    HeldStream& stream = held.streams[which];
    if (stream.sent == stream.output.end()) continue;
    const ByteView piece = stream.output.at(stream.sent);
    append_frame(out, RunnerReport(ProcessOutput{key, which == 1, stream.sent, to_bytes(piece)}));
    stream.sent += piece.size();
    is_more |= stream.sent < stream.output.end();
  }
  if (is_more) return true;
  if (held.phase == HeldProcess::Phase::kFinished && !held.told_end) {
    held.told_end = true;
    append_frame(out, RunnerReport(held.end));
  }
  return false;
}

void HeldProcesses::fill(Bytes& out, std::size_t limit) {
  while (!reporting_.empty() && out.size() < limit) {
    const std::uint32_t index = reporting_.front();
    reporting_.pop_front();
    if (!slots_[index] || !slots_[index]->is_queued) continue;
    HeldProcess& held = *slots_[index];
    held.is_queued = false;
    if (report(held, out)) queue_report(held, true);
  }
  if (reporting_.empty()) is_urgent_ = false;
}

}  // namespace dunlin
