// What happened to jobs and tasks, as the groups' logs say it: noted while entries are applied,
// kept in memory for a while, the same on every replica. An event is named by its place in the
// log (group, entry, which of the entry's events), so that whoever follows them may ask one replica
// after the other, and has each event once.
//
// Starts of tasks are soft state and stand in no log: they make no events. What ends because the
// job as a whole does (cancelled, over --max-fails) is told by the job's event alone.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/fields.h"
#include "base/ids.h"
#include "base/time.h"
#include "sched/job.h"
#include "sched/results.h"
#include "sched/task_numbers.h"

namespace dunlin {

enum class EventType : std::uint8_t {
  kJobSubmitted,
  kJobPaused,
  kJobResumed,
  kJobChanged,
  kJobRetried,
  kJobDone,
  kJobFailed,
  kJobCancelled,
  kJobDeleted,
  kTaskDone,
  kTaskFailed,  // for good
  kTaskCancelled,
  kAttemptFailed,  // and is tried again
  kAttemptLost,    // with its node, or given back; another is started
  kLast = kAttemptLost
};
// "job_submitted", "attempt_lost".
const char* name_of(EventType type);
inline bool is_of_task(EventType type) {
  return type >= EventType::kTaskDone;
}

// Where a reader of a group goes on: the first event that it has not seen.
struct EventPlace {
  LogIndex index = 1;
  std::uint32_t part = 0;  // of the entry's events, from 0
  auto operator<=>(const EventPlace&) const = default;
  static constexpr auto fields() { return Fields<&EventPlace::index, &EventPlace::part>{}; }
};

struct JobEvent {
  GroupId group;
  EventPlace place;
  WallTime time;
  EventType type = EventType::kJobSubmitted;
  std::optional<NodeId> node;
  JobId job;
  std::optional<std::uint32_t> task;  // as people count
  std::uint32_t attempt = 0;          // as people count; 0: of none
  std::string message;                // one line; may be empty
};

// "7.1234.0": group, entry, part.
std::string id_of(const JobEvent& event);

// What a reader asks of any node.
struct ListEvents {
  std::map<GroupId, EventPlace> after;  // a group that is not there: from the oldest on
  JobId job;                            // none: of all
  Duration hold;                        // 0: what there is; else until there is more, or so long
  std::uint64_t reader = 0;  // as the last answer says: what he asked before is forgotten; 0: first
};
struct EventList {
  std::vector<JobEvent> events;  // those of a group in log order, the groups mixed by time
  std::map<GroupId, EventPlace> next;
  std::uint64_t reader = 0;
  std::uint32_t missed_groups = 0;  // of which events were forgotten before the reader came to them
  // Of which nobody answered who knows a leader; while a question is held, its groups are not.
  std::uint32_t silent_groups = 0;
  bool is_more = false;  // to be had at once
};

}  // namespace dunlin

namespace dunlin::sched {

// Of all groups of a node together; the oldest go first. A run of results that travelled together
// is kept as one, so that this holds about a million events of short tasks, or 25,000 of others.
constexpr std::size_t kMaxEventBytes = 4 * 1024 * 1024;
constexpr std::size_t kMaxEventDetail = 120;  // bytes of a line for people

// Neighbouring events of one entry that differ in task number and time alone.
struct EventRun {
  EventPlace place;  // of the first
  std::uint32_t count = 1;
  EventType type = EventType::kJobSubmitted;
  JobId job;
  NodeId node;             // none: of no node
  std::uint32_t task = 0;  // number of the first, of events of tasks
  std::uint32_t step = 0;  // from one number to the next
  std::uint32_t attempt = 0;
  WallTime time;
  Bytes later;  // u16 each: milliseconds after `time`; empty: all of them then
  Reason reason = Reason::kNone;
  std::int32_t code = 0;  // an exit code or a signal, as the reason says; see LossKind too
  std::string detail;
  EventPlace end() const { return {place.index, place.part + count}; }
  bool operator==(const EventRun&) const = default;
  static constexpr auto fields() {
    using E = EventRun;
    return Fields<&E::place, &E::count, &E::type, &E::job, &E::node, &E::task, &E::step,
                  &E::attempt, &E::time, &E::later, &E::reason, &E::code, &E::detail>{};
  }
};
// EventRun::code of kAttemptLost.
enum class LossKind : std::uint8_t { kNodeLost, kGivenBack, kGivenBackUnstarted };
// "its host was lost"
const char* text_of(LossKind kind);

// Places, counts and columns that an entry can have made.
bool is_well_formed(const EventRun& run);
// Those of its events from `first` on, at most so many.
EventRun part_of(const EventRun& run, std::uint32_t first, std::uint32_t most);
JobEvent event_of(GroupId group, const EventRun& run, std::uint32_t at);

// What a replica answers of one group.
struct GroupEvents {
  GroupId group;
  EventPlace from;        // as asked
  LogIndex floor = 0;     // events of entries up to this one are not known here
  EventPlace next;        // where the reader goes on
  bool is_more = false;   // there are further events already
  bool is_served = true;  // the group has a leader as far as is known here
  std::vector<EventRun> runs;
  static constexpr auto fields() {
    using G = GroupEvents;
    return Fields<&G::group, &G::from, &G::floor, &G::next, &G::is_more, &G::is_served, &G::runs>{};
  }
};

class EventLog {
 public:
  explicit EventLog(std::size_t most_bytes = kMaxEventBytes) : most_bytes_(most_bytes) {}

  // ---- while an entry is applied ----------------------------------------------------------------
  void begin(GroupId group, LogIndex index);
  // Place and count are the log's to say.
  void add(EventRun event);
  // Of a task: joined to the one before where only number and time differ.
  void add_task(EventRun event);
  // `count` plain successes from the `from`-th of the run on.
  void add_done(const JobId& job, const NodeId& node, const PlainResults& plain, std::uint32_t from,
                std::uint32_t count, const TaskNumbers& numbers);
  void end();
  // Entries that concern no job stand in the log, too: up to here everything is noted.
  void reached(GroupId group, LogIndex index);

  // ---- the group's state came otherwise than entry by entry -------------------------------------
  void reset(GroupId group, LogIndex applied);
  void drop(GroupId group);

  // ---- readers ----------------------------------------------------------------------------------
  bool knows(GroupId group) const { return groups_.contains(group); }
  // Anything to be told from there on, of this job (none: of all)? A place that is no longer known
  // counts as that.
  bool has_news(GroupId group, const EventPlace& from, const JobId& job) const;
  // At most so many events and bytes, and both are lowered by what is taken.
  GroupEvents read(GroupId group, const EventPlace& from, const JobId& job, std::size_t& events,
                   std::size_t& bytes) const;
  // Behind the newest of what was applied; where `knows`.
  EventPlace end_of(GroupId group) const { return {groups_.at(group).applied + 1, 0}; }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Kept {
    EventRun run;
    GroupId group;
    bool is_void = false;      // of a replica that is gone
    std::uint64_t before = 0;  // the group's run before, by number; 0: none
  };
  struct Group {
    LogIndex floor = 0;
    LogIndex applied = 0;
    std::uint64_t last = 0;  // number of the newest run; 0: none
  };

  // Null for one that is gone.
  const Kept* kept(std::uint64_t number) const;
  // The group's runs from there on, the newest first.
  std::vector<const Kept*> since(const Group& group, const EventPlace& from,
                                 const JobId& job) const;
  void evict();
  void forget_runs(Group& group);

  const std::size_t most_bytes_;
  std::map<GroupId, Group> groups_;
  std::deque<Kept> runs_;    // in the order in which they were applied
  std::uint64_t first_ = 1;  // number of runs_.front()
  std::size_t bytes_ = 0;

  GroupId group_;  // of the entry being applied
  EventPlace next_;
  bool is_first_ = true;  // no event of the entry yet
};

}  // namespace dunlin::sched
