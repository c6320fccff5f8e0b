#include "node/node_events.h"

#include <gtest/gtest.h>

#include <set>

namespace dunlin {
namespace {

Member member(std::uint8_t n, Boot boot, std::uint64_t incarnation) {
  Member made;
  made.facts.id.raw[0] = n;
  made.facts.name = "n" + std::to_string(n);
  made.boot = boot;
  made.incarnation = incarnation;
  return made;
}

std::vector<std::string> ids_of(const std::vector<NodeEvent>& events) {
  std::vector<std::string> ids;
  for (const NodeEvent& event : events) ids.push_back(event.id);
  return ids;
}

TEST(NodeEvents, TheSameChangeHasTheSameIdWhoeverSawIt) {
  NodeEvents a, b;
  a.note(NodeEventType::kAlive, member(1, 3, 0), {1000});
  a.note(NodeEventType::kSuspect, member(1, 3, 0), {2000});
  a.note(NodeEventType::kAlive, member(1, 3, 1), {3000});
  a.note(NodeEventType::kRestarted, member(1, 4, 0), {4000});
  b.note(NodeEventType::kAlive, member(1, 3, 0), {1500});
  b.note(NodeEventType::kSuspect, member(1, 3, 0), {2500});
  b.note(NodeEventType::kAlive, member(1, 3, 1), {3500});
  b.note(NodeEventType::kRestarted, member(1, 4, 2), {4500});
  const std::vector<std::string> ids = ids_of(a.after(0));
  EXPECT_EQ(ids, ids_of(b.after(0)));
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 4u);
  EXPECT_EQ(ids[1], "node." + member(1, 3, 0).facts.id.text() + ".3.0.suspect");
}

TEST(NodeEvents, DrainingIsToldWhenItBeginsAndEndsEachTimeAnew) {
  NodeEvents events;
  Member drained = member(1, 1, 0);
  events.note_change(drained, {1000});
  for (int i = 0; i < 2; ++i) {
    drained.load.draining = true;
    events.note_change(drained, {2000});
    events.note_change(drained, {2000});
    drained.load.draining = false;
    events.note_change(drained, {3000});
  }
  const std::vector<std::string> ids = ids_of(events.after(0));
  ASSERT_EQ(ids.size(), 4u);
  EXPECT_EQ(ids[2], ids[0] + ".2");
  EXPECT_EQ(std::string(name_of(events.after(0)[1].type)), "node_undrained");
}

TEST(NodeEvents, TheOldestGoFirstAndAReaderGoesOnWhereItWas) {
  NodeEvents events;
  EXPECT_EQ(events.last(), 0u);
  EXPECT_TRUE(events.after(0).empty());
  for (std::uint64_t i = 1; i <= kMaxNodeEvents + 10; ++i) {
    events.note(NodeEventType::kSuspect, member(1, 1, i), {static_cast<std::int64_t>(i * 1000)});
  }
  EXPECT_EQ(events.last(), kMaxNodeEvents + 10);
  EXPECT_EQ(events.after(0).size(), kMaxNodeEvents);
  EXPECT_EQ(events.after(0).front().time.ms, 11'000);
  EXPECT_EQ(events.after(events.last() - 2).size(), 2u);
  EXPECT_TRUE(events.after(events.last()).empty());
}

TEST(NodeEvents, NoIdIsGivenToTwoChangesHoweverManyThereWereBetweenThem) {
  NodeEvents events;
  std::set<std::string> ids;
  std::size_t told = 0;
  const auto take = [&](std::uint64_t after) {
    for (const NodeEvent& event : events.after(after)) {
      ids.insert(event.id);
      ++told;
    }
  };
  Member drained = member(1, 1, 0);
  for (std::size_t i = 0; i < 3 * kMaxNodeEvents; ++i) {
    const std::uint64_t before = events.last();
    drained.load.draining = !drained.load.draining;
    events.note_change(drained, {2000});
    events.note(NodeEventType::kSuspect, member(2, 1, i / 100), {2000});
    take(before);
  }
  EXPECT_EQ(told, 6 * kMaxNodeEvents);
  EXPECT_EQ(ids.size(), told);
}

TEST(NodeEvents, WhoLeftIsCountedAnewInItsNextLife) {
  NodeEvents events;
  for (Boot boot = 1; boot <= 2; ++boot) {
    events.note(NodeEventType::kRestarted, member(1, boot, 0), {1000});
    events.note(NodeEventType::kRestarted, member(1, boot, 1), {1000});
    events.note(NodeEventType::kAlive, member(1, boot, 1), {1000});
    events.note(NodeEventType::kLeft, member(1, boot, 1), {1000});
  }
  const std::vector<std::string> ids = ids_of(events.after(0));
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 8u);
  EXPECT_EQ(ids[1], ids[0] + ".2");
  EXPECT_FALSE(ids[4].ends_with(".2"));
}

}  // namespace
}  // namespace dunlin
