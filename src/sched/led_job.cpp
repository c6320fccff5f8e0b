#include "sched/led_job.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/task_command.h"

namespace dunlin::sched {

namespace {

constexpr Duration kLongestBackoff = seconds(3600);
constexpr std::uint32_t kLeastWindow = 4;  // tasks that may be bound beyond what is

Duration backoff_after(Duration first, std::uint32_t failures, Duration longest) {
  Duration wait = first;
  for (std::uint32_t i = 1; i < failures && wait < longest; ++i) wait = wait * 2;
  return std::min(wait, longest);
}

Duration since_last_end(const TaskDetail* detail, WallTime wall) {
  if (detail == nullptr) return {};
  for (const AttemptRecord& record : detail->attempts) {
    if (record.attempt == detail->superseded) return milliseconds(wall.ms - record.finished.ms);
  }
  return {};
}

// Tasks of the job that run at once when it has all processors for itself.
std::uint32_t slots_of(std::uint32_t task_cpus, std::uint32_t cluster_cpus) {
  return task_cpus == 0 ? kFirstNoOpBound : cluster_cpus / task_cpus;
}

}  // namespace

std::uint32_t first_bound(const JobSpec& spec, std::uint32_t cluster_cpus) {
  const std::uint32_t slots = slots_of(is_no_op(spec) ? 0 : spec.cpus, cluster_cpus);
  return std::min(spec.task_count(), slots + slots / 4 + kLeastWindow);
}

WallTime Holding::started_at(std::uint32_t index, const Attempt& attempt) const {
  for (const TaskStart& start : starts) {
    if (start.index == index && start.attempt == attempt) return start.at;
  }
  return waiting.contains(index, attempt) ? WallTime{} : bound_at;
}

WallTime Holding::first_start(const AttemptRuns& attempts) const {
  WallTime first;
  for (const TaskStart& start : starts) {
    const bool is_earlier = first.ms == 0 || start.at < first;
    if (is_earlier && attempts.contains(start.index, start.attempt)) first = start.at;
  }
  if (first.ms != 0) return first;
  std::uint32_t still_waiting = 0;
  for (const TaskRun& run : attempts.runs()) {
    for (const TaskRun& part : waiting.common(run)) still_waiting += part.count;
  }
  return still_waiting < attempts.size() ? bound_at : WallTime{};
}

LedJob::LedJob(const Job& job, GroupId led_group, bool may_be_running)
    : group(led_group),
      total_(job.head.total),
      limit_(job.spec()->limit),
      backoff_(job.spec()->backoff),
      bound_below_(job.head.bound_below),
      task_cpus_(is_no_op(*job.spec()) ? 0 : job.spec()->cpus),
      soft_(total_, Soft::kFree) {
  counts_[static_cast<std::size_t>(Soft::kFree)] = total_;
  free_below_ = bound_below_;
  for (std::uint32_t index = 0; index < total_; ++index) {
    if (job.columns.state(index) != Closed::kOpen) {
      set_soft(index, Soft::kFinal);
    } else if (may_be_running && index < bound_below_) {
      set_soft(index, Soft::kUnknown);
    }
  }
  hold_tasks(job, Instant{});
}

void LedJob::set_soft(std::uint32_t index, Soft state) {
  const Soft before = soft_[index];
  if (before == state) return;
  --counts_[static_cast<std::size_t>(before)];
  ++counts_[static_cast<std::size_t>(state)];
  if (index < bound_below_) {
    if (before == Soft::kFree) --free_below_;
    if (state == Soft::kFree) ++free_below_;
  }
  soft_[index] = state;
}

std::uint32_t LedJob::limit_room() const {
  if (hold != Reason::kNone) return 0;
  if (limit_ == 0) return UINT32_MAX;
  const std::uint32_t busy = count(Soft::kBound) + count(Soft::kUnknown);
  return limit_ > busy ? limit_ - busy : 0;
}

std::uint32_t LedJob::bindable() const {
  return std::min(free_below_, limit_room());
}

bool LedJob::is_limited() const {
  return limit_room() == 0 && count(Soft::kFree) > 0;
}

std::vector<TaskRun> LedJob::bind(const Job& job, const NodeId& node, Term epoch,
                                  std::uint32_t want) {
  std::vector<TaskRun> runs;
  std::uint32_t left = std::min(want, bindable());
  auto take = [&](std::uint32_t index) {
    const Attempt attempt{job.head.round, epoch, job.next_attempt(index)};
    set_soft(index, Soft::kBound);
    --left;
    if (!runs.empty() && runs.back().end() == index && runs.back().attempt == attempt) {
      ++runs.back().count;
    } else {
      runs.push_back({index, 1, attempt});
    }
  };
  while (left > 0 && runs.size() < kMaxBindRuns && !again_.empty()) {
    const std::uint32_t index = *again_.begin();
    again_.erase(again_.begin());
    if (soft_[index] == Soft::kFree) take(index);
  }
  for (; left > 0 && runs.size() < kMaxBindRuns && fresh_ < bound_below_; ++fresh_) {
    if (soft_[fresh_] == Soft::kFree) take(fresh_);
  }
  for (const TaskRun& run : runs) nodes[node].bound.add(run);
  return runs;
}

void LedJob::free(const Job& job, std::uint32_t index, Instant now, Duration passed) {
  const TaskDetail* detail = job.detail(index);
  Duration wait;
  if (backoff_.us > 0 && detail != nullptr && detail->failures > 0) {
    wait = backoff_after(backoff_, detail->failures, kLongestBackoff);
  }
  const std::uint32_t lost = detail == nullptr ? 0 : detail->losses() + detail->given_back;
  if (lost > kPatientLosses) {
    const std::uint32_t losses = lost - kPatientLosses;
    wait = std::max(wait, backoff_after(seconds(1), losses, kLongestLossBackoff));
  }
  if (wait.us > 0) {
    set_soft(index, Soft::kBackoff);
    backoffs_.emplace(now + std::clamp(wait - passed, Duration{}, wait), index);
    return;
  }
  make_free(job, index);
}

void LedJob::make_free(const Job& job, std::uint32_t index) {
  const bool is_held = job.head.hold == Hold::kNone && job.hold_of(index) != Hold::kNone;
  set_soft(index, is_held ? Soft::kHeld : Soft::kFree);
  if (!is_held && index < fresh_) again_.insert(index);
}

// A whole job that is held needs no mark on its tasks.
void LedJob::hold_tasks(const Job& job, Instant now) {
  for (std::uint32_t index = 0; index < total_ && count(Soft::kHeld) > 0; ++index) {
    if (soft_[index] == Soft::kHeld) free(job, index, now);
  }
  if (job.head.hold != Hold::kNone) return;
  for (const HeldRun& run : job.head.held) {
    for (std::uint32_t index = run.first; index < run.end(); ++index) {
      if (soft_[index] == Soft::kFree) set_soft(index, Soft::kHeld);
    }
  }
}

void LedJob::reopen(const Job& job) {
  raise_bound(job);
  for (std::uint32_t index = 0; index < total_; ++index) {
    if (soft_[index] != Soft::kFinal || job.columns.state(index) != Closed::kOpen) continue;
    // Found by the search for fresh ones, which begins again: there may be very many.
    fresh_ = std::min(fresh_, index);
    make_free(job, index);
  }
}

void LedJob::revise(const JobSpec& spec) {
  limit_ = spec.limit;
}

bool LedJob::end_backoffs(const Job& job, Instant now) {
  bool any = false;
  while (!backoffs_.empty() && backoffs_.begin()->first <= now) {
    const std::uint32_t index = backoffs_.begin()->second;
    backoffs_.erase(backoffs_.begin());
    if (soft_[index] != Soft::kBackoff) continue;
    any = true;
    make_free(job, index);
  }
  return any;
}

Instant LedJob::next_backoff() const {
  return backoffs_.empty() ? Instant::never() : backoffs_.begin()->first;
}

void LedJob::raise_bound(const Job& job) {
  bound_asked = false;
  while (bound_below_ < job.head.bound_below) {
    if (soft_[bound_below_] == Soft::kFree) ++free_below_;
    ++bound_below_;
  }
}

void LedJob::note_want(std::uint32_t want) {
  recent_want_ = std::max(want, recent_want_ - recent_want_ / 8);
}

std::optional<std::uint32_t> LedJob::wanted_bound(std::uint32_t cluster_cpus) const {
  if (bound_below_ >= total_) return std::nullopt;
  const std::uint64_t slots = slots_of(task_cpus_, cluster_cpus);
  const std::uint64_t bound = count(Soft::kBound);
  // What free processors may ask for at any moment, and what all nodes will until the next commit.
  const std::uint64_t idle = slots > bound ? slots - bound : 0;
  const std::uint64_t holders = std::max<std::size_t>(1, nodes.size());
  const std::uint64_t pulls = (task_cpus_ == 0 ? 4 : 2) * recent_want_ * holders;
  std::uint64_t window = std::max<std::uint64_t>({kLeastWindow, idle, pulls});
  // Beyond its --limit nothing of the job is bound whatever the bound is.
  window = std::min<std::uint64_t>(window, limit_room());
  if (free_below_ >= (window + 1) / 2 || free_below_ == count(Soft::kFree)) return std::nullopt;
  // What is paused or over takes no place: a long run of it must not take many commits to pass.
  std::uint32_t below = bound_below_;
  for (std::uint64_t lacking = window - free_below_; lacking > 0 && below < total_; ++below) {
    if (soft_[below] == Soft::kFree) --lacking;
  }
  return below;
}

void LedJob::resolve_unknown(const Job& job, Instant now, WallTime wall) {
  if (count(Soft::kUnknown) == 0) return;
  // Tasks come free all over the range: the search for fresh ones starts anew instead of listing
  // each of them.
  for (std::uint32_t index = 0; index < bound_below_; ++index) {
    if (soft_[index] != Soft::kUnknown) continue;
    fresh_ = std::min(fresh_, index);
    free(job, index, now, since_last_end(job.detail(index), wall));
  }
}

void LedJob::finish(std::uint32_t index) {
  set_soft(index, Soft::kFinal);
}

void LedJob::finish_all() {
  if (count(Soft::kFinal) == total_) return;
  for (std::uint32_t index = 0; index < total_; ++index) finish(index);
  backoffs_.clear();
}

bool LedJob::is_held() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& entry) {
    const Holding& holding = entry.second;
    return !holding.bound.is_empty() || !holding.losing.is_empty() || !holding.dropping.is_empty();
  });
}

LedJob::Holders::Holders(const LedJob& led) {
  for (const auto& [node, holding] : led.nodes) {
    for (const TaskRun& run : holding.bound.runs()) bound_.push_back({run, node});
    for (const TaskRun& run : holding.dropping.runs()) dropping_.push_back({run.first, run.count});
  }
  std::sort(bound_.begin(), bound_.end(),
            [](const Held& a, const Held& b) { return a.run.first < b.run.first; });
  join_overlaps(dropping_);
}

std::optional<std::pair<NodeId, Attempt>> LedJob::Holders::find(std::uint32_t index) const {
  const auto after = std::partition_point(bound_.begin(), bound_.end(),
                                          [&](const Held& h) { return h.run.first <= index; });
  if (after == bound_.begin() || std::prev(after)->run.end() <= index) return std::nullopt;
  return std::pair{std::prev(after)->node, std::prev(after)->run.attempt};
}

bool LedJob::Holders::is_dropping(std::uint32_t index) const {
  const auto after = std::partition_point(dropping_.begin(), dropping_.end(),
                                          [&](const IndexRun& run) { return run.first <= index; });
  return after != dropping_.begin() && std::prev(after)->end() > index;
}

std::optional<std::pair<NodeId, Attempt>> LedJob::holder(std::uint32_t index) const {
  for (const auto& [node, holding] : nodes) {
    if (const std::optional<Attempt> attempt = holding.bound.find(index)) {
      return std::pair{node, *attempt};
    }
  }
  return std::nullopt;
}

}  // namespace dunlin::sched
