// Events as JSON, and the cursor with which any node goes on.
#include <gtest/gtest.h>

#include "os/json.h"

namespace dunlin {
namespace {

client::EventList event_list() {
  client::EventList list;
  JobEvent done;
  done.group = GroupId{7};
  done.place = {12, 3};
  done.time = {2000};
  done.type = EventType::kTaskDone;
  done.node = NodeId{{1, 2, 3}};
  done.job = *JobId::from_text("ab00000000");
  done.task = 0;
  done.attempt = 2;
  JobEvent submitted = done;
  submitted.place = {13, 0};
  submitted.time = {1000};  // a group's events stay in its order, whatever their times say
  submitted.type = EventType::kJobSubmitted;
  submitted.node.reset();
  submitted.task.reset();
  submitted.attempt = 0;
  submitted.message = "by ann";
  list.jobs = {done, submitted};
  list.nodes = {{"node.x.1.0.dead", {1500}, NodeEventType::kDead, NodeId{{9}}, "host9"}};
  list.next.groups[GroupId{7}] = {14, 0};
  list.next.reader = ~std::uint64_t{0};
  list.next.node = NodeId{{4}};
  list.missed_groups = 1;
  list.is_more = true;
  return list;
}

TEST(JsonEvents, EveryFieldIsThereAndComesBack) {
  const std::string text = events_json(event_list());
  EXPECT_NE(text.find(R"({"id":"7.12.3","time":"1970-01-01T00:00:02.000Z","type":"task_done",)"),
            std::string::npos);
  EXPECT_NE(text.find(R"("job":"ab00000000","task":0,"attempt":2,"message":null})"),
            std::string::npos);
  const auto page = events_from_json(text);
  ASSERT_TRUE(page.has_value()) << page.error().message;
  ASSERT_EQ(page->events.size(), 3u);
  EXPECT_EQ(page->events[0].type, "node_dead");
  EXPECT_EQ(page->events[0].message, "host9");
  EXPECT_FALSE(page->events[0].job);
  EXPECT_EQ(page->events[1].id, "7.12.3");
  EXPECT_EQ(page->events[1].task, 0u);
  EXPECT_EQ(page->events[2].id, "7.13.0");
  EXPECT_FALSE(page->events[2].task);
  EXPECT_FALSE(page->events[2].attempt);
  EXPECT_TRUE(page->is_more);
  EXPECT_EQ(page->missed_groups, 1u);
  EXPECT_EQ(event_json(page->events[1]).find('\n'), std::string::npos);
}

TEST(JsonEvents, TheCursorComesBackAndOtherTextsAreRefused) {
  client::EventCursor cursor = event_list().next;
  for (std::uint16_t i = 0; i < kMaxGroups; ++i)
    cursor.groups[GroupId{i}] = {~LogIndex{0}, 1'000'000};
  const std::string text = event_cursor_text(cursor);
  EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-_."),
            std::string::npos);
  // With all groups, and the largest numbers, it still is a part of a request's line.
  EXPECT_LT(text.size(), 15'000u);
  const auto back = event_cursor_from_text(text);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->groups, cursor.groups);
  EXPECT_EQ(back->reader, cursor.reader);
  EXPECT_EQ(back->node, cursor.node);
  for (const std::string& wrong :
       {std::string(), std::string("odd"), text.substr(4), text + "AAAA"}) {
    const auto refused = event_cursor_from_text(wrong);
    ASSERT_FALSE(refused.has_value()) << wrong.substr(0, 20);
    EXPECT_EQ(refused.error().code, Code::kUsage);
  }
}

}  // namespace
}  // namespace dunlin
