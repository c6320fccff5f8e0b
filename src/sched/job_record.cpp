#include "sched/job_record.h"

#include <algorithm>

#include "base/assert.h"
#include "sched/job_events.h"

namespace dunlin::sched {

void keep_loss(AttemptRecord& record, LossKind kind) {
  record.end = AttemptEnd::kLost;
  record.exit_code = static_cast<std::int32_t>(kind) + 1;
}

const char* loss_text(const AttemptRecord& record) {
  const std::int32_t kind = record.exit_code - 1;
  const bool is_known = kind >= 0 && kind <= static_cast<int>(LossKind::kGivenBackUnstarted);
  return is_known ? text_of(static_cast<LossKind>(kind)) : "its host was lost, or gave it back";
}

std::shared_ptr<const JobSpec> Job::spec() const {
  if (spec_ && !is_final()) return spec_;
  spec_.reset();
  if (auto lent = lent_spec_.lock()) return lent;
  Result<JobSpec> spec = decode<JobSpec>(spec_bytes);
  ASSERT(spec.has_value());  // checked when the job was accepted or recovered
  // No make_shared: its memory would stay for as long as the job remembers it.
  const std::shared_ptr<const JobSpec> shared(new JobSpec(std::move(*spec)));
  if (!is_final()) spec_ = shared;
  lent_spec_ = shared;
  return shared;
}

std::shared_ptr<const TaskNumbers> Job::numbers() const {
  if (numbers_ && !is_final()) return numbers_;
  numbers_.reset();
  if (auto lent = lent_numbers_.lock()) return lent;
  const std::shared_ptr<const TaskNumbers> shared(new TaskNumbers(spec()->tasks));
  if (!is_final()) numbers_ = shared;
  lent_numbers_ = shared;
  return shared;
}

const TaskDetail* Job::detail(std::uint32_t index) const {
  const auto at = details.find(index);
  return at == details.end() ? nullptr : &at->second;
}

std::uint32_t Job::next_attempt(std::uint32_t index) const {
  const TaskDetail* known = details.empty() ? nullptr : detail(index);
  if (known == nullptr) return head.whole_rounds + 1;
  std::uint32_t highest = std::max(known->closed, head.whole_rounds);
  for (const AttemptRecord& record : known->attempts) {
    highest = std::max(highest, record.attempt.number);
  }
  return highest + 1;
}

bool Job::counts(std::uint32_t index, const Attempt& attempt) const {
  if (columns.state(index) != Closed::kOpen || attempt.round > head.round) return false;
  return attempt.round >= opened(index);
}

LogIndex Job::opened(std::uint32_t index) const {
  const std::uint32_t round = columns.opened_by(index);
  const bool is_later = round > 0 && round <= head.later_rounds.size();
  return is_later ? head.later_rounds[round - 1] : head.reopened;
}

Hold Job::hold_of(std::uint32_t index) const {
  if (head.hold != Hold::kNone || head.held.empty()) return head.hold;
  const auto after =
      std::upper_bound(head.held.begin(), head.held.end(), index,
                       [](std::uint32_t wanted, const HeldRun& run) { return wanted < run.first; });
  if (after == head.held.begin() || std::prev(after)->end() <= index) return Hold::kNone;
  return std::prev(after)->hold;
}

// A cancellation by hand has kept the attempt that it met; one by --max-fails knows nobody who ran,
// and an attempt of a former round is none of its.
bool Job::wants_usage(const DroppedUsage& usage) const {
  if (usage.index >= head.total || columns.state(usage.index) != Closed::kCancelled) return false;
  const TaskDetail* known = detail(usage.index);
  if (known != nullptr) {
    for (const AttemptRecord& record : known->attempts) {
      const bool is_ended = record.attempt == usage.attempt && record.end != AttemptEnd::kOpen;
      if (is_ended) return record.end == AttemptEnd::kCancelled;
    }
    if (known->is_superseded(usage.attempt)) return false;
  }
  return head.reason == Reason::kMaxFails && usage.attempt.round >= head.reopened;
}

bool Job::has_obeyed(std::uint64_t order) const {
  return std::find(head.orders.begin(), head.orders.end(), order) != head.orders.end();
}

std::vector<HeldRun> held_after(const std::vector<HeldRun>& held, std::vector<IndexRun> tasks,
                                Hold hold) {
  std::vector<HeldRun> changed;
  std::sort(tasks.begin(), tasks.end());
  // What is left of those before, between the tasks: both lists ascend.
  auto task = tasks.begin();
  for (const HeldRun& before : held) {
    std::uint32_t from = before.first;
    while (task != tasks.end() && task->end() <= from) ++task;
    for (auto over = task; over != tasks.end() && over->first < before.end(); ++over) {
      if (from < over->first) changed.push_back({from, over->first - from, before.hold});
      from = std::max(from, over->end());
    }
    if (from < before.end()) changed.push_back({from, before.end() - from, before.hold});
  }
  for (const IndexRun& run : tasks) {
    if (hold != Hold::kNone) changed.push_back({run.first, run.count, hold});
  }
  std::sort(changed.begin(), changed.end(),
            [](const HeldRun& a, const HeldRun& b) { return a.first < b.first; });
  std::vector<HeldRun> joined;
  for (const HeldRun& next : changed) {
    const bool joins =
        !joined.empty() && joined.back().end() >= next.first && joined.back().hold == next.hold;
    if (joins) {
      joined.back().count = std::max(joined.back().end(), next.end()) - joined.back().first;
    } else {
      joined.push_back(next);
    }
  }
  return joined;
}

void Job::change_spec(const JobSpec& changed, LogIndex entry) {
  spec_bytes = encode(changed);
  spec_.reset();
  lent_spec_.reset();
  head.priority = changed.priority;
  head.keep = changed.keep;
  head.revised = entry;
  spec_dirty = head_dirty = true;
}

}  // namespace dunlin::sched
