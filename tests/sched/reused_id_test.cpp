// With --key an id is given again once its job is gone: what a node has kept of the former job must
// not be taken for the new one's.
#include <gtest/gtest.h>

#include "base/codec.h"
#include "sched/lone_scheduler.h"

namespace dunlin::sched {
namespace {

struct ReusedId : public ::testing::Test {
  const GroupId group{1};
  LoneScheduler node{4};
  JobId job = *JobId::from_text("ab00000000");
  JobSpec spec;

  void SetUp() override { spec.argv = {"x"}; }
  Pull probe(LogIndex accepted) {
    node.said.clear();
    node.say(Probe{group, 5, job, "u", 0, 1, 0, 1, accepted});
    const std::vector<Pull> pulls = node.take<Pull>();
    return pulls.empty() ? Pull{} : pulls[0];
  }
  std::size_t attempts_held() {
    node.said.clear();
    node.say(AskHeld{group, 5, {}});
    const std::vector<HeldList> lists = node.take<HeldList>();
    EXPECT_EQ(lists.size(), 1u);
    std::size_t count = 0;
    for (const HeldList& list : lists) {
      for (const JobHeld& held : list.jobs) count += held.attempts.size();
    }
    return count;
  }
  static ProcessExited ended(ProcessKey key) {
    ProcessExited event;
    event.key = key;
    return event;
  }
  void bind(const Pull& pull, LogIndex accepted, std::uint32_t index) {
    std::optional<Bytes> bytes;
    if (pull.revised == 0) bytes = encode(spec);
    node.say(Bind{group,
                  5,
                  job,
                  pull.pull,
                  {{index, 1, {accepted, 5, 1}}},
                  0,
                  bytes,
                  accepted,
                  4096,
                  accepted});
  }
};

TEST_F(ReusedId, ANodeAsksForTheSpecOfTheNewJob) {
  const Pull first = probe(3);
  EXPECT_EQ(first.revised, 0u);
  bind(first, 3, 0);
  const Pull second = probe(3);
  EXPECT_EQ(second.revised, 3u);
  bind(second, 3, 1);
  const Pull again = probe(9);
  EXPECT_GT(again.pull, second.pull);
  EXPECT_EQ(again.revised, 0u);
}

TEST_F(ReusedId, OrdersAboutTheFormerJobAreNotObeyedAnyMore) {
  bind(probe(9), 9, 0);
  EXPECT_EQ(probe(3).pull, 0u);
}

TEST_F(ReusedId, TasksOfTheFormerJobThatWaitAreNotStarted) {
  spec.files = {{"f", 0644, 1, {BlobRef{BlobId{}, 1}}}};
  bind(probe(3), 3, 0);
  EXPECT_EQ(attempts_held(), 1u);
  EXPECT_GT(probe(9).pull, 0u);
  EXPECT_EQ(attempts_held(), 0u);
}

// The former job's usage in a batch of the new one, which has fewer tasks, would be taken for
// nonsense together with the results beside it.
TEST_F(ReusedId, NothingIsToldOfWhatAFormerAttemptHasUsed) {
  spec.tasks = {{1, 10, 1}};
  bind(probe(3), 3, 9);
  ASSERT_EQ(node.started.size(), 1u);
  node.say(Drop{group, 5, job, {{9, 1, {3, 5, 1}}}});
  const Pull pull = probe(9);
  spec.tasks = {{1, 1, 1}};
  bind(pull, 9, 0);
  ASSERT_EQ(node.started.size(), 2u);
  node.said.clear();
  for (const ProcessKey key : node.started) node.hear(ended(key));
  node.wait(milliseconds(100));
  const std::vector<Results> told = node.take<Results>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].batch.dropped.empty());
  EXPECT_TRUE(told[0].batch.has_results());
  EXPECT_EQ(attempts_held(), 1u) << "the new one's, until it is committed";
}

TEST_F(ReusedId, OfEndsOfTheFormerJobThatAreNotCommittedNothingIsHeld) {
  bind(probe(3), 3, 0);
  ASSERT_EQ(node.started.size(), 1u);
  node.hear(ended(node.started[0]));
  node.wait(milliseconds(100));
  EXPECT_EQ(node.take<Results>().size(), 1u);
  EXPECT_GT(probe(9).pull, 0u);
  node.wait(seconds(10));
  EXPECT_TRUE(node.take<Results>().empty());
  EXPECT_EQ(attempts_held(), 0u);
}

}  // namespace
}  // namespace dunlin::sched
