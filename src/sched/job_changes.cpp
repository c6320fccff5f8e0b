#include "sched/job_changes.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/commands.h"

namespace dunlin::sched {

using Row = TaskColumns::Row;

void touch(Job& job, std::uint32_t index) {
  job.dirty_chunks.insert(index / TaskColumns::kChunk);
  job.head_dirty = true;
}

std::uint16_t node_number(Job& job, const NodeId& node) {
  auto& table = job.head.node_table;
  const auto at = std::find(table.begin(), table.end(), node);
  if (at != table.end()) return static_cast<std::uint16_t>(at - table.begin());
  ASSERT(table.size() < UINT16_MAX);
  table.push_back(node);
  return static_cast<std::uint16_t>(table.size() - 1);
}

std::uint32_t since_submission(const Job& job, WallTime at) {
  const std::int64_t ms = at.ms - job.head.submitted.ms;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(ms, 0, UINT32_MAX));
}

void close(Job& job, std::uint32_t index, Closed state, const Row& row) {
  job.columns.close(index, state, row);
  JobHead& head = job.head;
  if (state == Closed::kDone) ++head.done;
  if (state == Closed::kFailed) ++head.failed;
  if (state == Closed::kCancelled) ++head.cancelled;
  if (state != Closed::kCancelled && head.state == JobState::kWaiting) {
    head.state = JobState::kRunning;
  }
  const std::int64_t finished = head.submitted.ms + row.finished_ms;
  head.finished.ms = std::max(head.finished.ms, finished);
  touch(job, index);
}

void note_start(Job& job, WallTime started) {
  if (job.head.started.ms == 0 || started < job.head.started) job.head.started = started;
}

void settle(Job& job) {
  JobHead& head = job.head;
  if (job.is_final() || head.open() > 0) return;
  if (head.is_cancelled || (head.failed == 0 && head.cancelled > 0)) {
    head.state = JobState::kCancelled;
    if (head.reason != Reason::kDependencyFailed) head.reason = Reason::kCancelled;
  } else if (head.failed > 0) {
    head.state = JobState::kFailed;  // the reason is that of the first task that failed
  } else {
    head.state = JobState::kDone;
    head.reason = Reason::kNone;
  }
  job.head_dirty = true;
}

bool take_order(Job& job, std::uint64_t order) {
  if (order == 0) return true;
  if (job.has_obeyed(order)) return false;
  auto& orders = job.head.orders;
  if (orders.size() >= kMaxOrders) orders.erase(orders.begin());
  orders.push_back(order);
  job.head_dirty = true;
  return true;
}

void raise_bound(Job& job, std::uint32_t bound_below) {
  if (bound_below <= job.head.bound_below) return;
  job.head.bound_below = std::min(bound_below, job.head.total);
  job.head_dirty = true;
}

void name_nodes(Job& job, const std::vector<NodeId>& nodes) {
  auto& probed = job.head.probed;
  std::set<NodeId> known(probed.begin(), probed.end());
  for (const NodeId& node : nodes) {
    if (probed.size() >= kMaxProbed) break;
    if (known.insert(node).second) probed.push_back(node);
  }
  job.head_dirty = true;
}

EventRun event_of_job(EventType type, const Job& job, WallTime at) {
  EventRun event;
  event.type = type;
  event.job = job.id;
  event.time = at;
  return event;
}

void cancel_open(Job& job, std::uint32_t index, WallTime at) {
  if (job.columns.state(index) != Closed::kOpen) return;
  Row row;
  row.finished_ms = since_submission(job, at);
  row.node = UINT16_MAX;
  close(job, index, Closed::kCancelled, row);
}

void reopen(Job& job, std::uint32_t index, std::uint32_t round) {
  JobHead& head = job.head;
  const Closed state = job.columns.state(index);
  if (state == Closed::kDone) --head.done;
  if (state == Closed::kFailed) --head.failed;
  if (state == Closed::kCancelled) --head.cancelled;
  job.columns.reopen(index, round);
  const auto known = job.details.find(index);
  if (known != job.details.end()) {
    known->second.earlier = known->second.closed;
    known->second.failures = known->second.given_back = 0;
    known->second.lost_on.clear();
  }
  touch(job, index);
}

void end_after_failures(Job& job, std::uint32_t failed_before) {
  if (job.is_final() || job.head.open() == 0 || job.head.failed <= failed_before) return;
  const std::optional<std::uint32_t> most = job.spec()->max_fails;
  if (!most || job.head.failed <= *most) return;
  for (std::uint32_t i = 0; i < job.head.total; ++i) cancel_open(job, i, job.head.finished);
  job.head.reason = Reason::kMaxFails;
}

}  // namespace dunlin::sched
