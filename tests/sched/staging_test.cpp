// Files and entries on their way to the nodes that run tasks: the trouble of one node is not the
// task's, and what waits for bytes keeps nobody else from working.
#include <gtest/gtest.h>

#include "sched/executor.h"
#include "sched/messages.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

// A file of so many different pieces that the cluster holds.
void ship_file(Cluster& cluster, JobSpec& spec, std::uint32_t pieces) {
  ShippedFile file{"input", 0644, 4 * pieces, {}};
  for (std::uint32_t i = 0; i < pieces; ++i) {
    const auto high = static_cast<std::uint8_t>(i >> 8);
    file.content.push_back(cluster.store(Bytes{static_cast<std::uint8_t>(i), high, 0, 0}));
  }
  spec.files.push_back(std::move(file));
}

TEST(Staging, TroubleOfOneNodeIsNotTheTasksFailure) {
  for (const Code code : {Code::kLimit, Code::kTimeout, Code::kUnreachable}) {
    Cluster cluster({.nodes = 3, .cpus = 2});
    cluster.trouble_staging(0, Error{code, "not now", {}});
    JobSpec spec = cluster.spec({"work", "200"}, 40);
    ship_file(cluster, spec, 3);
    const JobId job = cluster.submit(1, GroupId{1}, spec);
    EXPECT_TRUE(cluster.ends(job, seconds(30)));
    EXPECT_EQ(cluster.show(job).tasks.done, 40u);
    EXPECT_EQ(cluster.starts(job), 40u);
    for (const std::string& line : cluster.violations()) ADD_FAILURE() << line;
  }
}

TEST(Staging, ANodeInTroubleTriesAgainSeldomAndGoesOnWhenItIsOver) {
  Cluster cluster({.nodes = 1, .cpus = 2});
  cluster.trouble_staging(0, Error{Code::kTimeout, "slow", {}});
  JobSpec spec = cluster.spec({"work", "200"}, 4);
  ship_file(cluster, spec, 1);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  const std::size_t before = cluster.entries(GroupId{1});
  cluster.run_for(seconds(600));
  EXPECT_FALSE(cluster.is_final(job));
  EXPECT_LE(cluster.entries(GroupId{1}) - before, 30u);
  cluster.trouble_staging(0, std::nullopt);
  EXPECT_TRUE(cluster.ends(job, seconds(180)));
  EXPECT_EQ(cluster.show(job).tasks.done, 4u);
}

TEST(Staging, ThousandsOfPiecesArriveAndFewAreAskedForAtOnce) {
  Cluster cluster({.nodes = 1, .cpus = 4});
  std::vector<JobId> jobs;
  for (int i = 0; i < 3; ++i) {
    JobSpec spec = cluster.spec({"work", "10"});
    ship_file(cluster, spec, 3000);
    jobs.push_back(cluster.submit(0, GroupId{1}, spec));
  }
  for (const JobId& job : jobs) {
    EXPECT_TRUE(cluster.ends(job, seconds(30)));
    EXPECT_EQ(cluster.show(job).tasks.done, 1u);
  }
  EXPECT_EQ(cluster.most_localizing(), 256u);
}

TEST(Staging, ANodeThatWaitsForFilesTakesNoMoreTasksThanItHasRoomFor) {
  Cluster cluster({.nodes = 2, .cpus = 4});
  cluster.slow_staging(0, seconds(300));
  std::vector<JobId> jobs;
  for (int i = 0; i < 6; ++i) {
    JobSpec spec = cluster.spec({"work", "500"}, 4);
    ship_file(cluster, spec, 1);
    jobs.push_back(cluster.submit(1, GroupId{1}, spec));
  }
  cluster.run_for(seconds(30));
  std::uint32_t done = 0;
  for (const JobId& job : jobs) done += cluster.job(job)->head.done;
  EXPECT_GE(done, 20u);
}

TEST(Staging, ANodeThatDrainsGivesBackWhatWaitsForItsFiles) {
  Cluster cluster({.nodes = 2, .cpus = 4});
  cluster.slow_staging(1, seconds(300));
  JobSpec spec = cluster.spec({"work", "500"}, 8);
  ship_file(cluster, spec, 1);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  EXPECT_FALSE(cluster.ends(job, seconds(20)));
  cluster.set_draining(1, true);
  EXPECT_TRUE(cluster.ends(job, seconds(5)));
  EXPECT_EQ(cluster.show(job).tasks.done, 8u);
}

TEST(Staging, MoreJobsWithEntriesThanANodeKeepsBlocksOfAllRun) {
  Cluster cluster({.nodes = 1, .cpus = 64});
  cluster.slow_staging(0, seconds(2));
  std::vector<JobId> jobs;
  for (int i = 0; i < 40; ++i) {
    JobSpec spec = cluster.spec({"work", "300"});
    spec.many = true;
    spec.entry_blocks = {{cluster.store(to_bytes(as_bytes(std::to_string(i) + "\n"))), 1}};
    jobs.push_back(cluster.submit(0, GroupId{1}, spec));
  }
  const auto all_done = [&] {
    return std::all_of(jobs.begin(), jobs.end(),
                       [&](const JobId& j) { return cluster.is_final(j); });
  };
  EXPECT_TRUE(cluster.run_until(all_done, seconds(60)));
  EXPECT_EQ(cluster.fetches(), jobs.size());
}

TEST(Disk, ANodeWhoseDiskIsAlmostFullTakesNoTasksUntilThereIsRoom) {
  Cluster cluster({.nodes = 2, .cpus = 2});
  cluster.set_disk(0, 1000, 49);
  const JobId first = cluster.submit(1, GroupId{1}, cluster.spec({"work", "100"}, 20));
  while (!cluster.is_final(first)) {
    cluster.run_for(milliseconds(20));
    ASSERT_TRUE(cluster.processes(0).empty());
  }
  cluster.set_disk(0, 1000, 60);
  const JobId second = cluster.submit(1, GroupId{1}, cluster.spec({"work", "1000"}, 20));
  EXPECT_TRUE(cluster.run_until([&] { return !cluster.processes(0).empty(); }, seconds(15)));
  EXPECT_TRUE(cluster.ends(second, seconds(60)));
}

TEST(Room, ATaskTooBigForANodesMemoryBlocksNobodyElseThere) {
  SchedConfig config;
  config.cpus = 4;
  config.memory = 1ULL << 30;
  NodeId self, peer;
  self.raw[0] = 1;
  peer.raw[0] = 2;
  Scheduler node(self, 1, config, Random(1));
  Effects start;
  node.on_process(Instant{1}, {1}, RunnerReady{}, start);
  bool pulled = false;
  const auto say = [&](Instant now, const SchedMessage& message) {
    Effects out;
    node.receive(now, peer, encode_frame(message), out);
    const std::vector<Ticket> tickets = out.tickets;
    for (const Ticket& ticket : tickets) node.on_durable(now, ticket, out);
    for (const Send& sent : out.sends) {
      const Result<SchedMessage> said = decode_frame(sent.frame);
      pulled |= said && std::holds_alternative<Pull>(*said);
    }
  };
  const JobId big = *JobId::from_text("ab00000000"), small = *JobId::from_text("ab00000001");
  say(Instant{2}, Probe{GroupId{1}, 5, big, "u", 0, 1, 2ULL << 30, 1});
  say(Instant{} + seconds(10), Probe{GroupId{1}, 5, big, "u", 0, 1, 2ULL << 30, 1});
  EXPECT_FALSE(pulled);
  say(Instant{} + seconds(10), Probe{GroupId{1}, 5, small, "u", 0, 1, 1 << 20, 1});
  EXPECT_TRUE(pulled);
}

}  // namespace
}  // namespace dunlin::sched::testing
