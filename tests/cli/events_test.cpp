// `dunlin events`, against a node whose pages are given.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/shell.h"
#include "os/clock.h"

namespace dunlin {
namespace {

using EventCommands = Shell;

JobEvent job_event(LogIndex index, EventType type, const std::string& job,
                   std::optional<std::uint32_t> task = {}) {
  JobEvent event;
  event.group = GroupId{7};
  event.place = {index, 0};
  event.time = {static_cast<std::int64_t>(index) * 1000};
  event.type = type;
  event.job = *JobId::from_text(job);
  event.task = task;
  return event;
}

NodeEvent death() {
  return {"node.x.1.0.dead", {1500}, NodeEventType::kDead, NodeId{{9}}, "host9"};
}

client::EventList page_of(std::vector<JobEvent> jobs, bool is_more = false) {
  client::EventList page;
  page.jobs = std::move(jobs);
  page.is_more = is_more;
  return page;
}

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    ++count;
  }
  return count;
}

const char* const kJob = "ab00000000";

// Two pages, the second of which tells of a node what the first has told.
std::vector<client::EventList> two_pages() {
  std::vector<client::EventList> pages = {
      page_of({job_event(3, EventType::kTaskDone, kJob, 1)}, true),
      page_of({job_event(4, EventType::kJobDone, kJob)})};
  for (client::EventList& page : pages) page.nodes = {death()};
  return pages;
}

TEST_F(EventCommands, AListIsWholeAndOfEachPageTheOldestComesFirst) {
  server.on_loop([&](FakeNode& node) { node.event_pages = two_pages(); });
  const Ran ran = run({"events", "--quiet"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "node.x.1.0.dead\n7.3.0\n7.4.0\n");
}

TEST_F(EventCommands, ATableOfSeveralPagesHasOneHeading) {
  server.on_loop([&](FakeNode& node) { node.event_pages = two_pages(); });
  const Ran ran = run({"events"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(count_of(ran.out, "JOB/TASK"), 1u) << ran.out;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 4) << ran.out;
  EXPECT_LT(ran.out.find("node_dead"), ran.out.find("task_done"));
}

TEST_F(EventCommands, WhatIsForgottenBetweenTwoPagesMakesAListIncomplete) {
  server.on_loop([&](FakeNode& node) {
    node.event_pages = two_pages();
    node.event_pages[1].missed_groups = 1;
    node.event_pages[1].is_more = true;
  });
  const Ran ran = run({"events", "--quiet"});
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(ran.out, "node.x.1.0.dead\n7.3.0\n7.4.0\n");
  EXPECT_NE(ran.err.find("forgotten before they were read"), std::string::npos) << ran.err;
}

TEST_F(EventCommands, AnErrorAfterTheFirstPageLeavesAnArrayThatIsClosed) {
  server.on_loop([&](FakeNode& node) {
    node.event_pages = two_pages();
    node.fault = [&node](const client::Request& request) -> std::optional<Error> {
      const bool is_second =
          std::holds_alternative<client::ListEvents>(request) && node.event_pages_told == 1;
      if (!is_second) return std::nullopt;
      return Error{Code::kLimit, "too many read events", "try again"};
    };
  });
  const Ran ran = run({"events", "--json"});
  EXPECT_EQ(ran.code, 7);
  EXPECT_TRUE(ran.out.starts_with("[{")) << ran.out;
  EXPECT_TRUE(ran.out.ends_with("}]\n")) << ran.out;
  EXPECT_EQ(count_of(ran.out, "\"id\""), 2u);
  EXPECT_NE(ran.err.find("cut short: too many read events"), std::string::npos) << ran.err;
}

TEST_F(EventCommands, AnErrorInsteadOfTheFirstPageLeavesStdoutEmpty) {
  server.on_loop([&](FakeNode& node) {
    node.fault = [](const client::Request&) {
      return Error{Code::kLimit, "too many read events", "try again"};
    };
  });
  const Ran ran = run({"events", "--json"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_EQ(ran.out, "");
}

TEST_F(EventCommands, WithoutSomeGroupsItIsIncompleteAndSaysSo) {
  server.on_loop([&](FakeNode& node) { node.silent_groups = 3; });
  const Ran ran = run({"events", "--json"});
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(ran.out, "[]\n");
  EXPECT_NE(ran.err.find("3 groups have not answered"), std::string::npos) << ran.err;
}

TEST_F(EventCommands, WhoFollowsAJobHearsOfGapsAndOfEachNodeOnceAndEndsWithTheJob) {
  const std::string job = submit({"hang"});
  server.on_loop([&](FakeNode& node) {
    client::EventList first = page_of({job_event(3, EventType::kTaskFailed, job, 1)});
    first.nodes = {death()};
    client::EventList gap = page_of({job_event(9, EventType::kJobRetried, job)});
    gap.nodes = {death()};
    gap.missed_groups = 1;
    node.event_pages = {first, gap, page_of({job_event(10, EventType::kJobFailed, job)})};
  });
  const Ran ran = run({"events", "-f", "--json", "--job", job});
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 4);
  EXPECT_EQ(count_of(ran.out, "node.x.1.0.dead"), 1u);
  EXPECT_EQ(count_of(ran.err, "no longer kept"), 1u) << ran.err;
}

TEST_F(EventCommands, WhoFollowsAllWaitsForNewsThoughJobsEnd) {
  std::vector<Duration> holds;
  server.on_loop([&](FakeNode& node) {
    node.event_pages = {page_of({job_event(3, EventType::kJobDone, kJob)}),
                        page_of({job_event(4, EventType::kJobDeleted, kJob)})};
    for (client::EventList& page : node.event_pages) page.next.reader = 1;
    node.fault = [&](const client::Request& request) -> std::optional<Error> {
      if (const auto* list = std::get_if<client::ListEvents>(&request)) holds.push_back(list->hold);
      if (holds.size() < 4) return std::nullopt;
      return Error{Code::kRefused, "no more", ""};
    };
  });
  EXPECT_NE(run({"events", "-f"}).code, 0);
  EXPECT_EQ(holds, (std::vector<Duration>{{}, seconds(3), seconds(3), seconds(3)}));
}

TEST_F(EventCommands, AListOfAJobSaysWhereItsBeginningIsKeptNoMore) {
  const std::string job = submit({"true"});
  const auto list = [&](const std::vector<JobEvent>& events, const std::string& form) {
    server.on_loop([&](FakeNode& node) {
      node.event_pages = {page_of(events)};
      node.event_pages_told = 0;
    });
    return run({"events", "--job", job, form});
  };
  const JobEvent first = job_event(3, EventType::kJobSubmitted, job);
  const JobEvent last = job_event(4, EventType::kJobDone, job);
  EXPECT_EQ(list({first, last}, "--quiet").code, 0);
  const Ran late = list({last}, "--quiet");
  EXPECT_EQ(late.code, 7);
  EXPECT_EQ(late.out, "7.4.0\n");
  EXPECT_NE(late.err.find("earlier events of this job are no longer kept"), std::string::npos);
  EXPECT_EQ(list({last}, "--json").out.back(), '\n');
  EXPECT_EQ(list({}, "--json").out, "[]\n");
  EXPECT_EQ(list({}, "--quiet").code, 7) << "it is over, so there were some";
  const std::string open = submit({"hang"});
  const auto list_open = [&](WallTime submitted) {
    server.on_loop([&](FakeNode& node) {
      node.jobs.at(*JobId::from_text(open)).summary.submitted_at = submitted;
    });
    return run({"events", "--quiet", "--job", open}).code;
  };
  EXPECT_EQ(list_open(wall_now()), 0) << "they may be on their way";
  EXPECT_EQ(list_open({wall_now().ms - 3'600'000}), 7);
  const Ran unknown = run({"events", "--json", "--job", "zz00000000"});
  EXPECT_EQ(unknown.code, 4);
  EXPECT_EQ(unknown.out, "");
}

TEST_F(EventCommands, AJobThatIsOverAlreadyIsToldAndNotWaitedFor) {
  const std::string job = submit({"true"});
  const Ran ran = run({"events", "-f", "--job", job});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("JOB/TASK"), std::string::npos);
  EXPECT_EQ(run({"events", "-f", "--job", "zz00000000"}).code, 4);
  EXPECT_EQ(run({"events", "--job", job + ".1"}).code, 2);
}

}  // namespace
}  // namespace dunlin
