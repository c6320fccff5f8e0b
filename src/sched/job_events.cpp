#include "sched/job_events.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace dunlin {

namespace {

constexpr std::array kEventTypes = {
    "job_submitted", "job_paused",     "job_resumed",    "job_changed", "job_retried",
    "job_done",      "job_failed",     "job_cancelled",  "job_deleted", "task_done",
    "task_failed",   "task_cancelled", "attempt_failed", "attempt_lost"};
static_assert(kEventTypes.size() == static_cast<std::size_t>(EventType::kLast) + 1);

}  // namespace

const char* name_of(EventType type) {
  return kEventTypes[static_cast<std::size_t>(type)];
}

std::string id_of(const JobEvent& event) {
  return std::to_string(event.group.value) + "." + std::to_string(event.place.index) + "." +
         std::to_string(event.place.part);
}

}  // namespace dunlin

namespace dunlin::sched {

const char* text_of(LossKind kind) {
  switch (kind) {
    case LossKind::kNodeLost: return "its host was lost";
    case LossKind::kGivenBack: return "given back by its host";
    case LossKind::kGivenBackUnstarted: return "given back by its host before it began";
  }
  return "";
}

namespace {

std::size_t bytes_of(const EventRun& run) {
  constexpr std::size_t kAround = 24;  // what is kept beside the run itself
  return sizeof(EventRun) + kAround + run.later.size() + run.detail.size();
}

std::string message_of(const EventRun& run) {
  if (run.type == EventType::kAttemptLost) return text_of(static_cast<LossKind>(run.code));
  std::string text = name_of(run.reason);
  if (!is_of_task(run.type)) {
    if (text.empty() || run.detail.empty()) return text + run.detail;
    return run.detail + " (" + text + ")";
  }
  const bool has_code = run.reason == Reason::kExit || run.reason == Reason::kSignal;
  if (has_code) text += " " + std::to_string(run.code);
  if (!text.empty() && !run.detail.empty()) text += ": ";
  return text + run.detail;
}

// At the border of a character.
void cut(std::string& text) {
  if (text.size() <= kMaxEventDetail) return;
  std::size_t end = kMaxEventDetail;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
}

// Makes `next` the last event of the run; false: it differs in more than number and time.
bool join(EventRun& run, const EventRun& next) {
  const bool is_like = run.type == next.type && run.job == next.job && run.node == next.node &&
                       run.attempt == next.attempt && run.reason == next.reason &&
                       run.code == next.code && run.detail == next.detail;
  if (!is_like || next.task <= run.task) return false;
  const std::uint32_t step = run.count == 1 ? next.task - run.task : run.step;
  if (next.task - run.task != std::uint64_t{step} * run.count) return false;
  const std::int64_t later = next.time.ms - run.time.ms;
  if (later < 0 || later > UINT16_MAX) return false;
  if (later != 0 || !run.later.empty()) {
    run.later.resize(std::size_t{run.count} * 2);
    column_push(run.later, static_cast<std::uint16_t>(later));
  }
  run.step = step;
  ++run.count;
  return true;
}

}  // namespace

bool is_well_formed(const EventRun& run) {
  const bool has_columns = run.later.empty() || run.later.size() == std::size_t{run.count} * 2;
  if (run.count == 0 || run.count > kMaxTasks || !has_columns) return false;
  if (run.place.part > UINT32_MAX - run.count) return false;
  if (run.type == EventType::kAttemptLost &&
      (run.code < 0 || run.code > static_cast<int>(LossKind::kGivenBackUnstarted))) {
    return false;
  }
  return run.task + std::uint64_t{run.step} * (run.count - 1) <= UINT32_MAX;
}

EventRun part_of(const EventRun& run, std::uint32_t first, std::uint32_t most) {
  ASSERT(first < run.count && most > 0);
  EventRun part = run;
  part.count = std::min(most, run.count - first);
  part.place.part += first;
  part.task += first * run.step;
  if (!run.later.empty()) {
    const auto begin = run.later.begin() + std::ptrdiff_t{first} * 2;
    part.later.assign(begin, begin + std::ptrdiff_t{part.count} * 2);
  }
  return part;
}

JobEvent event_of(GroupId group, const EventRun& run, std::uint32_t at) {
  JobEvent event;
  event.group = group;
  event.place = {run.place.index, run.place.part + at};
  event.time = {run.time.ms + column_at(run.later, at)};
  event.type = run.type;
  if (!run.node.is_none()) event.node = run.node;
  event.job = run.job;
  if (is_of_task(run.type)) event.task = run.task + at * run.step;
  event.attempt = run.attempt;
  event.message = message_of(run);
  return event;
}

// ---- noting -------------------------------------------------------------------------------------

void EventLog::begin(GroupId group, LogIndex index) {
  group_ = group;
  next_ = {index, 0};
  is_first_ = true;
}

void EventLog::end() {
  reached(group_, next_.index);
}

void EventLog::reached(GroupId group, LogIndex index) {
  Group& known = groups_[group];
  known.applied = std::max(known.applied, index);
}

void EventLog::add(EventRun event) {
  cut(event.detail);
  Group& group = groups_[group_];
  event.place = next_;
  next_.part += event.count;
  is_first_ = false;
  bytes_ += bytes_of(event);
  runs_.push_back({std::move(event), group_, false, group.last});
  group.last = first_ + runs_.size() - 1;
  evict();
}

void EventLog::add_task(EventRun event) {
  cut(event.detail);
  if (!is_first_) {
    EventRun& before = runs_.back().run;
    const std::size_t bytes = before.later.size();
    if (join(before, event)) {
      bytes_ += before.later.size() - bytes;
      ++next_.part;
      return;
    }
  }
  add(std::move(event));
}

void EventLog::add_done(const JobId& job, const NodeId& node, const PlainResults& plain,
                        std::uint32_t from, std::uint32_t count, const TaskNumbers& numbers) {
  const std::uint32_t end = from + count;
  while (from < end) {
    const TaskNumbers::Piece piece = numbers.piece_from(plain.run.first + from);
    EventRun run;
    run.count = std::min(piece.count, end - from);
    run.type = EventType::kTaskDone;
    run.job = job;
    run.node = node;
    run.task = piece.number;
    run.step = piece.step;
    run.attempt = plain.run.attempt.number;
    run.time = plain.finished;
    if (!plain.finished_after.empty()) {
      const auto begin = plain.finished_after.begin() + std::ptrdiff_t{from} * 2;
      run.later.assign(begin, begin + std::ptrdiff_t{run.count} * 2);
    }
    from += run.count;
    add(std::move(run));
  }
}

// The newest stays, whatever its length: it may still be joined to.
void EventLog::evict() {
  while (bytes_ > most_bytes_ && runs_.size() > 1) {
    const Kept& oldest = runs_.front();
    if (!oldest.is_void) {
      Group& group = groups_[oldest.group];
      group.floor = std::max(group.floor, oldest.run.place.index);
      if (group.last == first_) group.last = 0;
    }
    bytes_ -= bytes_of(oldest.run);
    runs_.pop_front();
    ++first_;
  }
}

void EventLog::forget_runs(Group& group) {
  for (std::uint64_t number = group.last; kept(number) != nullptr;) {
    Kept& run = runs_[static_cast<std::size_t>(number - first_)];
    run.is_void = true;
    number = run.before;
  }
  group.last = 0;
}

void EventLog::reset(GroupId group, LogIndex applied) {
  Group& known = groups_[group];
  forget_runs(known);
  known = {applied, applied, 0};
}

void EventLog::drop(GroupId group) {
  const auto known = groups_.find(group);
  if (known == groups_.end()) return;
  forget_runs(known->second);
  groups_.erase(known);
}

// ---- reading ------------------------------------------------------------------------------------

const EventLog::Kept* EventLog::kept(std::uint64_t number) const {
  if (number < first_ || number - first_ >= runs_.size()) return nullptr;
  return &runs_[static_cast<std::size_t>(number - first_)];
}

std::vector<const EventLog::Kept*> EventLog::since(const Group& group, const EventPlace& from,
                                                   const JobId& job) const {
  std::vector<const Kept*> found;
  for (const Kept* run = kept(group.last); run != nullptr && from < run->run.end();
       run = kept(run->before)) {
    if (job.is_none() || run->run.job == job) found.push_back(run);
  }
  return found;
}

bool EventLog::has_news(GroupId group, const EventPlace& from, const JobId& job) const {
  const auto known = groups_.find(group);
  if (known == groups_.end()) return false;
  if (known->second.floor >= from.index) return true;
  const Kept* last = kept(known->second.last);
  if (last == nullptr || last->run.end() <= from) return false;
  return job.is_none() || !since(known->second, from, job).empty();
}

GroupEvents EventLog::read(GroupId group, const EventPlace& from, const JobId& job,
                           std::size_t& events, std::size_t& bytes) const {
  const Group& known = groups_.at(group);
  GroupEvents answer;
  answer.group = group;
  answer.from = answer.next = from;
  answer.floor = known.floor;
  const std::vector<const Kept*> runs = since(known, from, job);
  for (auto at = runs.rbegin(); at != runs.rend(); ++at) {
    const EventRun& run = (*at)->run;
    if (events == 0 || bytes < bytes_of(run)) {
      answer.is_more = true;
      return answer;
    }
    const bool is_amid = run.place < from;
    const std::uint32_t first = is_amid ? from.part - run.place.part : 0;
    const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(events, kMaxTasks));
    answer.runs.push_back(part_of(run, first, most));
    const EventRun& taken = answer.runs.back();
    events -= taken.count;
    bytes -= bytes_of(taken);
    answer.next = taken.end();
  }
  if (!answer.runs.empty() && answer.next < runs.front()->run.end()) {
    answer.is_more = true;
    return answer;
  }
  answer.next = std::max(from, EventPlace{known.applied + 1, 0});
  return answer;
}

}  // namespace dunlin::sched
