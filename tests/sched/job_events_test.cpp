// Which entries make which events, what is kept of them, and how they are gathered for readers.
#include "sched/job_events.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "sched/event_reader.h"
#include "sched/lone_machine.h"
#include "sched/lone_scheduler.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched {
namespace {

constexpr GroupId kEventGroup{1};

JobId named_job(char n) {
  return *JobId::from_text(std::string("aa0000000") + static_cast<char>('0' + n));
}

struct Replica : LoneMachine {
  Replica() : LoneMachine(kEventGroup) {}

  void submit(std::vector<TaskRange> tasks, std::uint32_t retries = 0,
              std::optional<std::uint32_t> max_fails = {}) {
    JobSpec spec;
    spec.argv = {"x"};
    spec.tasks = std::move(tasks);
    spec.many = spec.task_count() > 1;
    spec.retries = retries;
    spec.max_fails = max_fails;
    apply(SubmitCommand{id, "ann", "", encode(spec), {1'000'000}, {named(1)}, spec.task_count()});
  }
  void plain(std::uint32_t first, std::uint32_t count, Attempt attempt) {
    NodeResults results{id, named(1), 1, 0, {}};
    PlainResults run;
    run.run = {first, count, attempt};
    run.finished = {1'000'500};
    for (std::uint32_t i = 0; i < count; ++i) {
      column_push(run.finished_after, static_cast<std::uint16_t>(10 * i));
    }
    results.batch.plain.push_back(run);
    apply(CompleteCommand{{results}});
  }
  std::vector<JobEvent> events(EventPlace from = {}, std::size_t limit = 1'000'000) const {
    std::size_t bytes = kMaxEventBytes;
    const GroupEvents read = machine.events().read(kEventGroup, from, {}, limit, bytes);
    std::vector<JobEvent> all;
    for (const EventRun& run : read.runs) {
      for (std::uint32_t i = 0; i < run.count; ++i) all.push_back(event_of(kEventGroup, run, i));
    }
    return all;
  }
  // "job_submitted task_done:3 ..."
  std::string story(EventPlace from = {}) const {
    std::string line;
    for (const JobEvent& event : events(from)) {
      line += (line.empty() ? "" : " ") + std::string(name_of(event.type));
      if (event.task) line += ":" + std::to_string(*event.task);
    }
    return line;
  }
};

TEST(JobEvents, AJobAndItsTasksAreToldOnceEach) {
  Replica replica;
  replica.submit({{1, 2, 1}}, 1);
  replica.plain(0, 1, {1, 5, 1});
  replica.plain(0, 1, {1, 5, 1});
  replica.result(1, {1, 5, 1}, Reason::kExit);
  replica.result(1, {1, 5, 1}, Reason::kExit);
  replica.result(1, {1, 4, 9}, Reason::kExit);
  replica.result(1, {1, 5, 2}, Reason::kExit);
  EXPECT_EQ(replica.story(), "job_submitted task_done:1 attempt_failed:2 task_failed:2 job_failed");
  const std::vector<JobEvent> events = replica.events();
  EXPECT_EQ(id_of(events[0]), "1.1.0");
  EXPECT_EQ(events[0].message, "2 tasks, by ann");
  EXPECT_EQ(events[1].node, named(1));
  EXPECT_EQ(events[1].attempt, 1u);
  EXPECT_EQ(events[1].time.ms, 1'000'500);
  EXPECT_EQ(events[2].message, "exit 7");
  EXPECT_EQ(id_of(events[3]), "1.7.0");
  EXPECT_EQ(id_of(events[4]), "1.7.1");
  EXPECT_EQ(events[4].message, "1 of 2 tasks failed (exit)");
  EXPECT_EQ(events[4].time.ms, 1'000'700);
}

TEST(JobEvents, ARunOfResultsIsKeptAsOneAndToldOneByOne) {
  Replica replica;
  replica.submit({{10, 50, 10}, {51, 60, 1}});
  replica.plain(2, 1, {1, 5, 1});
  replica.plain(0, 15, {1, 5, 1});
  EXPECT_EQ(replica.story(),
            "job_submitted task_done:30 task_done:10 task_done:20 task_done:40 task_done:50 "
            "task_done:51 task_done:52 task_done:53 task_done:54 task_done:55 task_done:56 "
            "task_done:57 task_done:58 task_done:59 task_done:60 job_done");
  const std::vector<JobEvent> events = replica.events();
  EXPECT_EQ(events[4].time.ms, 1'000'530);
  EXPECT_EQ(id_of(events[14]), "1.3.12");
  std::size_t limit = 100, bytes = kMaxEventBytes;
  EXPECT_EQ(replica.machine.events().read(kEventGroup, {3, 0}, {}, limit, bytes).runs.size(), 4u);
}

// Page by page; where the last one ends is left in `from`.
std::vector<std::string> ids_by_pages(const Replica& replica, EventPlace& from) {
  std::vector<std::string> ids;
  for (bool is_more = true; is_more;) {
    std::size_t limit = 7, bytes = kMaxEventBytes;
    const GroupEvents page = replica.machine.events().read(kEventGroup, from, {}, limit, bytes);
    for (const EventRun& run : page.runs) {
      EXPECT_TRUE(is_well_formed(run));
      for (std::uint32_t i = 0; i < run.count; ++i) {
        ids.push_back(id_of(event_of(kEventGroup, run, i)));
      }
    }
    EXPECT_EQ(page.from, from);
    from = page.next;
    is_more = page.is_more;
  }
  return ids;
}

std::vector<std::string> all_ids(const Replica& replica) {
  std::vector<std::string> ids;
  for (const JobEvent& event : replica.events()) ids.push_back(id_of(event));
  return ids;
}

TEST(JobEvents, APageEndsAnywhereAndTheNextGoesOnThere) {
  Replica replica;
  replica.submit({{1, 100, 1}});
  replica.plain(0, 64, {1, 5, 1});
  EventPlace from;
  std::vector<std::string> ids = ids_by_pages(replica, from);
  EXPECT_EQ(ids, all_ids(replica));
  EXPECT_EQ(from, (EventPlace{3, 0}));
  replica.plain(64, 36, {1, 5, 1});
  for (std::string& id : ids_by_pages(replica, from)) ids.push_back(std::move(id));
  EXPECT_EQ(ids, all_ids(replica));
  EXPECT_EQ(ids.size(), 102u);
  EXPECT_EQ(from, (EventPlace{4, 0}));
  EXPECT_FALSE(replica.machine.events().has_news(kEventGroup, from, {}));
  EventPlace anew;
  EXPECT_EQ(ids_by_pages(replica, anew), ids);
}

TEST(JobEvents, WhatEndsWithTheWholeJobIsToldByTheJobAlone) {
  Replica cancelled;
  cancelled.submit({{1, 1'000'000, 1}});
  cancelled.apply(CancelCommand{cancelled.id, {}, {1'002'000}, "bob", {}});
  EXPECT_EQ(cancelled.story(), "job_submitted job_cancelled");
  EXPECT_EQ(cancelled.events()[1].message, "by bob");
  Replica failed;
  failed.submit({{1, 1000, 1}}, 0, 0);
  failed.result(4, {1, 5, 1}, Reason::kExit);
  EXPECT_EQ(failed.story(), "job_submitted task_failed:5 job_failed");
  Replica unmet;
  JobSpec spec;
  spec.argv = {"x"};
  spec.tasks = {{1, 1, 1}};
  spec.after = {{named_job(7), false}};
  unmet.apply(SubmitCommand{unmet.id, "ann", "", encode(spec), {1'000'000}, {named(1)}, 1});
  unmet.apply(OutcomeCommand{unmet.id, named_job(7), false, {1'003'000}});
  EXPECT_EQ(unmet.story(), "job_submitted job_cancelled");
  EXPECT_EQ(unmet.events()[1].message, "dependency_failed");
}

TEST(JobEvents, SingleTasksThatAreCancelledAreToldAsRuns) {
  Replica replica;
  replica.submit({{1, 1'000'000, 1}});
  replica.apply(CancelCommand{replica.id, {{0, 500'000}}, {1'002'000}, "bob", {}});
  const std::size_t bytes = replica.machine.events().bytes();
  EXPECT_LT(bytes, 2000u);
  EXPECT_EQ(replica.events().size(), 500'001u);
  EXPECT_EQ(replica.events().back().task, 500'000u);
}

TEST(JobEvents, OrdersAreToldWhenTheyChangeSomething) {
  Replica replica;
  replica.submit({{1, 2, 1}});
  replica.apply(HoldCommand{replica.id, {}, Hold::kPaused, 1, {1'001'000}});
  replica.apply(HoldCommand{replica.id, {}, Hold::kPaused, 1, {1'001'100}});
  replica.apply(HoldCommand{replica.id, {}, Hold::kPaused, 2, {1'001'200}});
  replica.apply(HoldCommand{replica.id, {}, Hold::kNone, 3, {1'001'300}});
  ChangeJob change;
  change.priority = 10;
  replica.apply(ChangeCommand{replica.id, change, 4, {1'001'400}});
  replica.result(0, {1, 5, 1}, Reason::kExit);
  replica.plain(1, 1, {1, 5, 1});
  replica.apply(RetryCommand{replica.id, {}, false, {}, 0, 5, {1'001'500}});
  replica.apply(RetryCommand{replica.id, {}, false, {}, 0, 6, {1'001'600}});
  replica.plain(0, 1, {replica.index - 1, 6, 2});
  replica.apply(DeleteCommand{replica.id, {1'009'000}});
  EXPECT_EQ(replica.story(),
            "job_submitted job_paused job_resumed job_changed task_failed:1 task_done:2 "
            "job_failed job_retried task_done:1 job_done job_deleted");
  const std::vector<JobEvent> events = replica.events();
  EXPECT_EQ(events[1].time.ms, 1'001'000);
  EXPECT_EQ(events[3].message, "priority 10");
  EXPECT_EQ(events[7].message, "1 task");
  EXPECT_EQ(events.back().time.ms, 1'009'000);
}

TEST(JobEvents, LossesAreToldWithTheirKindAndTheLastAsAFailure) {
  Replica replica;
  replica.submit({{1, 3, 1}});
  replica.lost(0, 3, {1, 5, 1}, 2, true);
  EXPECT_EQ(replica.story({2, 0}), "attempt_lost:1 attempt_lost:2 attempt_lost:3");
  EXPECT_EQ(replica.events()[1].message, "its host was lost");
  EXPECT_EQ(replica.events()[1].node, named(2));
  replica.apply(LostCommand{
      replica.id, named(3), false, {{0, 1, {1, 5, 2}}}, {1'000'950}, {{0, 1, {1, 5, 2}}}});
  EXPECT_EQ(replica.events().back().message, "given back by its host before it began");
  replica.apply(LostCommand{replica.id, named(4), true, {{0, 1, {1, 5, 3}}}, {1'000'960}, {}});
  replica.apply(LostCommand{replica.id, named(5), true, {{0, 1, {1, 5, 4}}}, {1'000'970}, {}});
  EXPECT_EQ(replica.events().back().type, EventType::kTaskFailed);
  EXPECT_EQ(replica.events().back().message.substr(0, 11), "crash_limit");
}

// ---- what is kept -------------------------------------------------------------------------------

EventRun submitted(const JobId& job) {
  EventRun event;
  event.job = job;
  event.detail = std::string(100, 'x');
  return event;
}

void note(EventLog& log, GroupId group, LogIndex index, const JobId& job) {
  log.begin(group, index);
  log.add(submitted(job));
  log.end();
}

GroupEvents read(const EventLog& log, GroupId group, EventPlace from, const JobId& job = {}) {
  std::size_t events = 1'000'000, bytes = kMaxEventBytes;
  return log.read(group, from, job, events, bytes);
}

TEST(EventLog, ForgetsTheOldestOfTheWholeNodeAndKnowsUpToWhere) {
  EventLog log(20'000);
  const GroupId a{1}, b{2};
  for (LogIndex i = 1; i <= 10; ++i) note(log, a, i, named_job(1));
  for (LogIndex i = 1; i <= 500; ++i) note(log, b, i, named_job(2));
  EXPECT_LE(log.bytes(), 20'000u);
  const GroupEvents old = read(log, a, {});
  EXPECT_EQ(old.floor, 10u);
  EXPECT_TRUE(old.runs.empty());
  EXPECT_EQ(old.next, (EventPlace{11, 0}));
  EXPECT_TRUE(log.has_news(a, {10, 0}, {}));
  EXPECT_FALSE(log.has_news(a, {11, 0}, {}));
  const GroupEvents recent = read(log, b, {});
  EXPECT_GT(recent.floor, 300u);
  ASSERT_FALSE(recent.runs.empty());
  EXPECT_EQ(recent.runs.front().place.index, recent.floor + 1);
  EXPECT_EQ(recent.next, (EventPlace{501, 0}));
}

TEST(EventLog, AStateThatCameWholeBringsNoEvents) {
  EventLog log;
  const GroupId group{1};
  for (LogIndex i = 1; i <= 5; ++i) note(log, group, i, named_job(1));
  log.reset(group, 9);
  EXPECT_TRUE(read(log, group, {6, 0}).runs.empty());
  EXPECT_EQ(read(log, group, {6, 0}).floor, 9u);
  EXPECT_TRUE(log.has_news(group, {6, 0}, {}));
  EXPECT_FALSE(log.has_news(group, {10, 0}, {}));
  note(log, group, 10, named_job(1));
  EXPECT_TRUE(log.has_news(group, {10, 0}, {}));
  EXPECT_EQ(read(log, group, {10, 0}).runs.size(), 1u);
  log.drop(group);
  EXPECT_FALSE(log.knows(group));
  // A seat that is given back begins at the log's first entry; what was there before is no part.
  note(log, group, 1, named_job(1));
  EXPECT_EQ(read(log, group, {}).floor, 0u);
  EXPECT_EQ(read(log, group, {}).runs.size(), 1u);
}

TEST(EventLog, WhatWasDroppedDoesNotRaiseTheFloorOfWhatCameAfter) {
  EventLog log(3000);
  const GroupId group{1};
  for (LogIndex i = 90; i <= 95; ++i) note(log, group, i, named_job(1));
  log.drop(group);
  note(log, group, 1, named_job(1));
  for (LogIndex i = 1; i <= 8; ++i) note(log, GroupId{2}, i, named_job(2));
  EXPECT_EQ(read(log, group, {}).floor, 0u);
  EXPECT_EQ(read(log, group, {}).runs.size(), 1u);
}

TEST(EventLog, OfOneJobOnlyItsEventsAreNews) {
  EventLog log;
  const GroupId group{1};
  note(log, group, 1, named_job(1));
  note(log, group, 2, named_job(2));
  EXPECT_TRUE(log.has_news(group, {1, 0}, named_job(1)));
  EXPECT_FALSE(log.has_news(group, {2, 0}, named_job(1)));
  const GroupEvents own = read(log, group, {}, named_job(1));
  EXPECT_EQ(own.runs.size(), 1u);
  EXPECT_EQ(own.next, (EventPlace{3, 0}));
}

// ---- readers ------------------------------------------------------------------------------------

using testing::Cluster;

std::vector<std::string> ids_of(const EventList& list) {
  std::vector<std::string> ids;
  for (const JobEvent& event : list.events) ids.push_back(id_of(event));
  return ids;
}

ListEvents after(const EventList& list, Duration hold = {}) {
  ListEvents query;
  query.after = list.next;
  query.reader = list.reader;
  query.hold = hold;
  return query;
}

TEST(EventReader, AnyNodeTellsTheEventsOfAllGroupsAndAnotherGoesOn) {
  Cluster cluster({.nodes = 3, .groups = 6});
  for (std::uint16_t g = 0; g < 6; ++g) {
    cluster.submit(0, GroupId{g}, cluster.spec({"work", "10"}, 3));
  }
  cluster.run_for(seconds(2));
  const auto first = cluster.events(1, {});
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->silent_groups, 0u);
  EXPECT_EQ(first->missed_groups, 0u);
  EXPECT_EQ(first->events.size(), 6u * 5);
  EXPECT_FALSE(first->is_more);
  const JobId more = cluster.submit(0, GroupId{3}, cluster.spec({"work", "10"}));
  cluster.run_for(seconds(2));
  const auto second = cluster.events(2, after(*first));
  ASSERT_TRUE(second.has_value());
  ASSERT_EQ(second->events.size(), 3u);
  for (const JobEvent& event : second->events) EXPECT_EQ(event.job, more);
  ListEvents own;
  own.job = more;
  const auto one = cluster.events(0, own);
  ASSERT_TRUE(one.has_value());
  EXPECT_EQ(ids_of(*one), ids_of(*second));
}

TEST(EventReader, AHeldQuestionIsAnsweredOnNewsAndAtTheEndOfItsHold) {
  Cluster cluster({.nodes = 3, .groups = 4});
  cluster.run_for(seconds(1));
  const auto first = cluster.events(0, {});
  ASSERT_TRUE(first.has_value());
  const std::uint64_t idle = cluster.ask_events(0, after(*first, seconds(3)));
  cluster.run_for(milliseconds(2900));
  EXPECT_FALSE(cluster.listed.contains(idle));
  cluster.run_for(milliseconds(300));
  ASSERT_TRUE(cluster.listed.contains(idle));
  EXPECT_TRUE(cluster.listed.at(idle)->events.empty());
  const std::uint64_t busy = cluster.ask_events(0, after(*cluster.listed.at(idle), seconds(10)));
  cluster.run_for(seconds(1));
  EXPECT_FALSE(cluster.listed.contains(busy));
  const JobId job = cluster.submit(2, GroupId{2}, cluster.spec({"work", "10"}));
  cluster.run_for(milliseconds(200));
  ASSERT_TRUE(cluster.listed.contains(busy));
  ASSERT_FALSE(cluster.listed.at(busy)->events.empty());
  EXPECT_EQ(cluster.listed.at(busy)->events.front().job, job);
  EXPECT_EQ(cluster.listed.at(busy)->silent_groups, 0u) << "leaders that still hold are well";
}

TEST(EventReader, ALeaderThatDoesNotAnswerIsSilentAtTheEndOfTheHold) {
  Cluster cluster({.nodes = 3, .groups = 1});
  cluster.lead(GroupId{0}, 1);
  cluster.run_for(seconds(1));
  const auto first = cluster.events(0, {});
  ASSERT_TRUE(first.has_value());
  cluster.cut(0, 1, true);
  cluster.run_for(milliseconds(10));
  const auto list = cluster.events(0, after(*first, milliseconds(300)));
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->silent_groups, 1u);
}

TEST(EventReader, ClientsThatGoOnFromOneCursorDoNotTakeEachOthersPlace) {
  Cluster cluster({.nodes = 3, .groups = 1});
  cluster.lead(GroupId{0}, 1);
  cluster.submit(0, GroupId{0}, cluster.spec({":"}));
  cluster.run_for(seconds(2));
  const auto first = cluster.events(0, {});
  ASSERT_TRUE(first.has_value());
  const std::uint64_t waits = cluster.ask_events(0, after(*first, seconds(10)));
  cluster.run_for(milliseconds(100));
  ListEvents anew = after(*first, seconds(10));
  anew.after[GroupId{0}] = {1, 0};
  const auto again = cluster.events(0, anew);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->events.size(), first->events.size());
  EXPECT_NE(again->reader, first->reader);
  EXPECT_FALSE(cluster.listed.contains(waits));
  const JobId job = cluster.submit(2, GroupId{0}, cluster.spec({":"}));
  cluster.run_for(milliseconds(200));
  ASSERT_TRUE(cluster.listed.contains(waits));
  ASSERT_FALSE(cluster.listed.at(waits)->events.empty());
  EXPECT_EQ(cluster.listed.at(waits)->events.front().job, job);
}

TEST(EventReader, WhatTheLeaderHasForgottenAnotherReplicaTells) {
  Cluster cluster({.nodes = 3, .groups = 1});
  cluster.lead(GroupId{0}, 0);
  cluster.submit(1, GroupId{0}, cluster.spec({"work", "10"}, 4));
  cluster.run_for(seconds(2));
  const auto whole = cluster.events(1, {});
  ASSERT_TRUE(whole.has_value());
  ASSERT_EQ(whole->events.size(), 6u);
  // Its checkpoint holds all that was applied, and so its next life has no event of it.
  cluster.checkpoint_now(0);
  cluster.crash(0);
  cluster.run_for(seconds(8));
  cluster.restart(0);
  cluster.lead(GroupId{0}, 0);
  cluster.run_for(seconds(3));
  const auto again = cluster.events(1, {});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(ids_of(*again), ids_of(*whole));
  EXPECT_EQ(again->missed_groups, 0u);
}

TEST(EventReader, WhatNobodyKnowsAnyMoreIsSaidToBeMissed) {
  Cluster cluster({.nodes = 3, .groups = 1});
  cluster.run_for(seconds(1));
  cluster.submit(1, GroupId{0}, cluster.spec({"work", "10"}, 4));
  cluster.run_for(seconds(2));
  ListEvents early;
  early.after[GroupId{0}] = {1, 0};
  EXPECT_EQ(cluster.events(1, early)->missed_groups, 0u);
  for (std::size_t host = 0; host < 3; ++host) cluster.checkpoint_now(host);
  for (std::size_t host = 0; host < 3; ++host) cluster.crash(host);
  cluster.run_for(seconds(1));
  for (std::size_t host = 0; host < 3; ++host) cluster.restart(host);
  cluster.run_for(seconds(10));
  const auto missed = cluster.events(1, early);
  ASSERT_TRUE(missed.has_value());
  EXPECT_EQ(missed->missed_groups, 1u);
  EXPECT_EQ(cluster.events(1, after(*missed))->missed_groups, 0u);
  // Who never had a place misses nothing.
  EXPECT_EQ(cluster.events(2, {})->missed_groups, 0u);
}

TEST(EventReader, OneQuestionOfAReaderIsHeldAndOnlySoManyInAll) {
  LoneScheduler lone(1);
  lone.scheduler().recover_applied(GroupId{1}, 5);
  AskEvents question;
  question.groups = {{GroupId{1}, {6, 0}}};
  question.hold = seconds(5);
  question.limit = 10;
  const auto is_answered = [&] {
    lone.say(question);
    return std::any_of(lone.events.begin(), lone.events.end(), [](const SchedEvent& event) {
      return std::holds_alternative<AppliedWanted>(event);
    });
  };
  for (question.reader = 1; question.reader <= kMaxHeldQuestions; ++question.reader) {
    EXPECT_FALSE(is_answered());
  }
  EXPECT_TRUE(is_answered());
  question.reader = 1;
  EXPECT_FALSE(is_answered()) << "it takes the place of his last one";
  // What is no longer known here is to be asked elsewhere at once.
  question.reader = 2;
  question.groups = {{GroupId{1}, {5, 0}}};
  EXPECT_TRUE(is_answered());
}

// One scheduler whose log has events of two groups, and what it answers.
struct AskedScheduler {
  LoneScheduler lone{1};
  LogIndex index = 0;

  void submit(GroupId group, const JobId& id) {
    JobSpec spec;
    spec.argv = {"x"};
    const SubmitCommand submit{id, "ann", "", encode(spec), {1'000'000}, {named(1)}, 1};
    ++index;
    lone.tell([&](Effects& out) {
      lone.scheduler().apply({5000}, group, index, 1, encode_command(submit), out);
    });
    answer();
  }
  void ask(const AskEvents& question) {
    lone.say(question);
    answer();
  }

 private:
  void answer() {
    for (const SchedEvent& event : std::vector<SchedEvent>(lone.events)) {
      const auto* wanted = std::get_if<AppliedWanted>(&event);
      if (wanted == nullptr) continue;
      lone.tell([&](Effects& out) { lone.scheduler().on_applied({5000}, wanted->token, {}, out); });
    }
  }
};

TEST(EventReader, ABusyGroupDoesNotKeepTheOthersFromBeingTold) {
  AskedScheduler asked;
  for (char n = 1; n <= 5; ++n) asked.submit(GroupId{1}, named_job(n));
  asked.submit(GroupId{2}, named_job(6));
  std::set<GroupId> told;
  AskEvents question;
  question.groups = {{GroupId{1}, {1, 0}}, {GroupId{2}, {6, 0}}};
  question.limit = 3;
  for (question.token = 1; question.token <= 20; ++question.token) {
    asked.ask(question);
    for (const EventsReply& reply : asked.lone.take<EventsReply>()) {
      for (const GroupEvents& part : reply.groups) {
        if (!part.runs.empty()) told.insert(part.group);
      }
    }
  }
  EXPECT_EQ(told, (std::set<GroupId>{GroupId{1}, GroupId{2}}));
}

TEST(EventReader, AHeldQuestionHearsOfNewsInAnyOfItsGroupsAndOfItsJobAlone) {
  AskedScheduler asked;
  asked.submit(GroupId{1}, named_job(1));
  asked.submit(GroupId{2}, named_job(2));
  AskEvents all;
  all.reader = 1;
  all.groups = {{GroupId{1}, {2, 0}}, {GroupId{2}, {3, 0}}};
  all.hold = seconds(5);
  all.limit = 10;
  AskEvents own = all;
  own.reader = 2;
  own.groups = {{GroupId{2}, {3, 0}}};
  own.job = named_job(5);
  asked.ask(all);
  asked.ask(own);
  EXPECT_TRUE(asked.lone.take<EventsReply>().empty());
  const auto readers_told_by = [&](GroupId group, char job) {
    asked.submit(group, named_job(job));
    std::vector<std::uint64_t> readers;
    for (const EventsReply& reply : asked.lone.take<EventsReply>()) readers.push_back(reply.reader);
    return readers;
  };
  EXPECT_EQ(readers_told_by(GroupId{2}, 3), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(readers_told_by(GroupId{1}, 4).empty()) << "each is told once";
  EXPECT_EQ(readers_told_by(GroupId{2}, 5), std::vector<std::uint64_t>{2});
  EXPECT_TRUE(readers_told_by(GroupId{2}, 6).empty());
}

TEST(EventReader, GroupsOfWhichNobodyAnswersAreCounted) {
  Cluster cluster({.nodes = 3, .groups = 4});
  cluster.run_for(seconds(1));
  cluster.crash(1);
  cluster.crash(2);
  cluster.run_for(seconds(10));
  for (std::uint16_t g = 0; g < 4; ++g) cluster.lead(GroupId{g}, std::nullopt);
  const auto list = cluster.events(0, {});
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->silent_groups, 4u);
}

}  // namespace
}  // namespace dunlin::sched
