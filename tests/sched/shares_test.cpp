// Whose tasks get a node's room: users' shares, priority against waiting, large tasks among small.
#include <gtest/gtest.h>

#include "sched/user_shares.h"
#include "sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

constexpr GroupId kOrderGroup{0};

// How many of the job's tasks are closed in the group's log.
std::uint32_t done(const Cluster& cluster, const JobId& job) {
  return cluster.job(job)->head.done;
}

TEST(Order, TenTasksBehindTenThousandOfAnotherUserStartSoon) {
  for (const std::uint32_t cpus : {1U, 2U, 4U}) {
    Cluster cluster({.nodes = 2, .cpus = cpus});
    cluster.lead(kOrderGroup, 0);
    constexpr std::int64_t kTask = 400;
    const JobId many = cluster.submit(0, kOrderGroup, cluster.spec({"work", "400"}, 10'000), "ann");
    cluster.run_for(seconds(30));
    const JobId few = cluster.submit(0, kOrderGroup, cluster.spec({"work", "400"}, 10), "ben");
    const Instant begin = cluster.now();
    ASSERT_TRUE(cluster.run_until([&] { return cluster.starts(few) == 10; }, seconds(600)));
    const std::int64_t slots = 2 * cpus;
    // The time in which all slots together do (slots + 10) tasks, and a tenth for messages.
    const std::int64_t most = (slots + 10) * kTask * 11 / 10 / slots;
    EXPECT_LE((cluster.now() - begin).milliseconds(), most) << slots << " slots";
    EXPECT_LT(done(cluster, many), 5'000u);
  }
}

TEST(Order, TwoUsersHaveEqualSharesOverAMinute) {
  for (const std::uint32_t cpus : {1U, 2U, 3U}) {
    for (const std::uint32_t late_s : {0U, 20U}) {
      Cluster cluster({.nodes = 1, .cpus = cpus});
      const JobId first =
          cluster.submit(0, kOrderGroup, cluster.spec({"work", "300"}, 5'000), "ann");
      cluster.run_for(seconds(late_s));
      const JobId second =
          cluster.submit(0, kOrderGroup, cluster.spec({"work", "300"}, 5'000), "ben");
      const std::uint32_t before = done(cluster, first);
      cluster.run_for(seconds(60));
      const double a = done(cluster, first) - before;
      const double b = done(cluster, second);
      EXPECT_LT(std::abs(a - b) / std::max(a, b), 0.1)
          << a << " and " << b << " on " << cpus << " cpus, " << late_s << " s";
    }
  }
}

TEST(Order, UsersOfTasksOfDifferentLengthHaveEqualShares) {
  Cluster cluster({.nodes = 1, .cpus = 2});
  const JobId longer = cluster.submit(0, kOrderGroup, cluster.spec({"work", "900"}, 5'000), "ann");
  const JobId shorter = cluster.submit(0, kOrderGroup, cluster.spec({"work", "100"}, 5'000), "ben");
  cluster.run_for(seconds(60));
  const double a = 9.0 * done(cluster, longer);
  const double b = done(cluster, shorter);
  EXPECT_LT(std::abs(a - b) / std::max(a, b), 0.1) << a << " and " << b;
}

TEST(Order, WaitingOvertakesAnEndlessStreamOfHigherPriority) {
  // One job without end, and one new job after another.
  for (const bool is_one_job : {true, false}) {
    for (const char* const user : {"ann", "ben"}) {
      Cluster cluster({.nodes = 1, .cpus = 1});
      JobSpec high = cluster.spec({"work", "1000"}, is_one_job ? 5'000 : 1);
      high.priority = 10;
      // Some wait already: there is never a moment without one.
      for (int i = 0; i < 3; ++i) cluster.submit(0, kOrderGroup, high, "ann");
      cluster.run_for(milliseconds(100));
      const JobId low = cluster.submit(0, kOrderGroup, cluster.spec({"work", "1000"}), user);
      const Instant begin = cluster.now();
      while (cluster.starts(low) == 0 && cluster.now() - begin < seconds(600)) {
        if (!is_one_job) cluster.submit(0, kOrderGroup, high, "ann");
        cluster.run_for(milliseconds(900));
      }
      EXPECT_EQ(cluster.starts(low), 1u) << is_one_job << user;
      EXPECT_GT(cluster.now() - begin, seconds(300)) << "priority counts all the same";
    }
  }
}

TEST(Order, ALargeTaskIsNotStarvedBySmallOnes) {
  for (const char* const user : {"ann", "ben"}) {
    Cluster cluster({.nodes = 1, .cpus = 8});
    cluster.submit(0, kOrderGroup, cluster.spec({"work", "700"}, 20'000), "ann");
    cluster.run_for(seconds(5));
    JobSpec large = cluster.spec({"work", "1000"});
    large.cpus = 8;
    const JobId job = cluster.submit(0, kOrderGroup, large, user);
    ASSERT_TRUE(cluster.run_until([&] { return cluster.starts(job) == 1; }, seconds(120))) << user;
    ASSERT_TRUE(cluster.ends(job, seconds(10)));
  }
}

TEST(UserShares, RememberWhatWasHeldAMomentAgo) {
  UserShares shares;
  shares.add(Instant{}, "ann", 1);
  EXPECT_EQ(shares.at(Instant{}).at("ann"), 1000u);
  const Instant later = Instant{} + kShareMemory;
  EXPECT_NEAR(shares.at(later).at("ann"), 1632, 2);
  shares.remove(later, "ann", 1);
  EXPECT_NEAR(shares.at(later).at("ann"), 632, 2);
  EXPECT_NEAR(shares.at(later + kShareMemory).at("ann"), 232, 2);
  EXPECT_TRUE(shares.at(later + seconds(120)).empty());
}

}  // namespace
}  // namespace dunlin::sched::testing
