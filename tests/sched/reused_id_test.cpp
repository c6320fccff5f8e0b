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

}  // namespace
}  // namespace dunlin::sched
