// `dunlin events`, against a node whose pages are given.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/shell.h"

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

TEST_F(EventCommands, AListIsWholeAndOldestFirst) {
  const std::string job = "ab00000000";
  server.on_loop([&](FakeNode& node) {
    node.event_pages = {page_of({job_event(3, EventType::kTaskDone, job, 1)}, true),
                        page_of({job_event(4, EventType::kJobDone, job)})};
    node.event_pages[1].nodes = {death()};
  });
  const Ran ran = run({"events", "--quiet"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "node.x.1.0.dead\n7.3.0\n7.4.0\n");
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
