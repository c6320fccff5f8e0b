// Everything at once: hosts and node processes that die and return, leaders that move, messages
// that vanish, and checkers outside. And proof that the checkers can fail.
#include <gtest/gtest.h>

#include "base/codec.h"
#include "sched/commands.h"
#include "sched/job_record.h"
#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed)
      : random_(seed),
        cluster_({.nodes = 5,
                  .groups = 3,
                  .cpus = 3,
                  .seed = seed,
                  .loss = 0.1 * random_.unit(),
                  .duplication = 0.1 * random_.unit(),
                  .most_delay = milliseconds(random_.between(1, 40))}) {}

  void submit() {
    const std::vector<std::vector<std::string>> commands = {{"work", "400"},
                                                            {"print", "6000", "300"},
                                                            {"flaky", "1", "100"},
                                                            {":"},
                                                            {"exit", "2", "50"}};
    const std::size_t kind = random_.below(commands.size());
    JobSpec spec =
        cluster_.spec(commands[kind], static_cast<std::uint32_t>(random_.between(2, 60)));
    spec.retries = 2;
    if (random_.chance(0.3)) spec.limit = 4;
    const JobId id = cluster_.make_id(GroupId{static_cast<std::uint16_t>(random_.below(3))});
    std::size_t host = random_.below(5);
    while (!cluster_.is_up(host)) host = random_.below(5);
    asked_[cluster_.ask(host, SubmitJob{id, "u", "", spec})] = id;
    expected_[id] = kind == 4 ? JobState::kFailed : JobState::kDone;
  }

  void disturb() {
    const std::size_t host = random_.below(5);
    switch (random_.below(6)) {
      case 0:
        if (cluster_.is_up(host) && up() > 3) cluster_.crash(host, seconds(random_.between(2, 6)));
        break;
      case 1:
        if (cluster_.is_up(host) && up() > 3) cluster_.crash_process(host);
        break;
      case 2:
        if (!cluster_.is_up(host)) cluster_.restart(host);
        break;
      case 3:
        if (cluster_.is_up(host)) {
          cluster_.lead(GroupId{static_cast<std::uint16_t>(random_.below(3))}, host);
        }
        break;
      case 4: cluster_.cut(host, (host + 1 + random_.below(4)) % 5, true); break;
      default: heal(); break;
    }
  }

  void heal() {
    for (std::size_t a = 0; a < 5; ++a) {
      for (std::size_t b = a + 1; b < 5; ++b) cluster_.cut(a, b, false);
    }
  }

  void run() {
    for (int i = 0; i < 40; ++i) {
      if (i % 3 == 0) submit();
      cluster_.run_for(milliseconds(random_.between(50, 900)));
      disturb();
    }
    heal();
    cluster_.set_loss(0);
    for (std::size_t i = 0; i < 5; ++i) {
      if (!cluster_.is_up(i)) cluster_.restart(i);
    }
    const auto acknowledged = [&](std::uint64_t request) {
      const auto answer = cluster_.answers.find(request);
      return answer != cluster_.answers.end() && answer->second.has_value();
    };
    const bool all = cluster_.run_until(
        [&] {
          for (const auto& [request, id] : asked_) {
            if (acknowledged(request) && !cluster_.is_final(id)) return false;
          }
          return true;
        },
        seconds(240));
    EXPECT_TRUE(all) << "some acknowledged job does not end";
    std::size_t count = 0;
    for (const auto& [request, id] : asked_) {
      if (!acknowledged(request)) continue;
      ++count;
      const Job* job = cluster_.job(id);
      ASSERT_NE(job, nullptr) << "an acknowledged job is gone";
      // A task may have met three dying hosts.
      const bool crashed = job->head.reason == Reason::kCrashLimit;
      if (job->is_final() && !crashed) {
        EXPECT_EQ(job->head.state, expected_[id]) << id.text();
      }
      if (crashed) {
        EXPECT_GE(cluster_.hosts_that_died_under_a_task(id), JobSpec{}.crash_limit) << id.text();
      }
    }
    EXPECT_GT(count, 5u);
    cluster_.run_for(seconds(30));
    cluster_.check_replicas();
    for (std::size_t i = 0; i < 5; ++i) {
      for (const SimProcess& process : cluster_.processes(i)) {
        ADD_FAILURE() << process.argv[0] << " of " << process.environment.at("DUNLIN_JOB_ID")
                      << " is left over at host " << i;
      }
    }
    for (const std::string& line : cluster_.violations()) ADD_FAILURE() << line;
  }

 private:
  std::size_t up() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < 5; ++i) count += cluster_.is_up(i) ? 1 : 0;
    return count;
  }

  Random random_;
  Cluster cluster_;
  std::map<std::uint64_t, JobId> asked_;
  std::map<JobId, JobState> expected_;
};

TEST(Chaos, NoSeedLosesDoublesOrForgetsAnything) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

TEST(Chaos, TheSameSeedTakesTheSameCourse) {
  const auto course = [] {
    Cluster cluster({.nodes = 4, .seed = 11, .loss = 0.1, .duplication = 0.1});
    cluster.submit(0, GroupId{1}, cluster.spec({"flaky", "1", "50"}, 50));
    cluster.run_for(seconds(3));
    cluster.crash(1);
    cluster.run_for(seconds(20));
    return std::pair{cluster.messages(), cluster.entries(GroupId{1})};
  };
  EXPECT_EQ(course(), course());
}

// ---- the checkers can fail ----------------------------------------------------------------------

TEST(Checkers, SeeAnEntryThatMakesNoSense) {
  Cluster cluster({});
  cluster.check_entry(GroupId{0}, Bytes{1, 2, 3});
  EXPECT_EQ(cluster.violations().size(), 1u);
}

TEST(Checkers, SeeAFinalTaskThatChanges) {
  Cluster cluster({});
  const JobId id = cluster.make_id(GroupId{0});
  const auto submit = [&] {
    cluster.check_entry(GroupId{0}, encode_command(SubmitCommand{
                                        id, "u", "", encode(cluster.spec({"x"})), {1}, {}, 1}));
  };
  submit();
  NodeResults results{id, cluster.id(0), 1, 0, {}};
  results.batch.plain.push_back({{0, 1, {1, 1, 1}}, {2}, {}, {}, {}});
  cluster.check_entry(GroupId{0}, encode_command(CompleteCommand{{results}}));
  EXPECT_TRUE(cluster.violations().empty());
  // The job goes and comes back unfinished, which no correct history does.
  cluster.check_entry(GroupId{0}, encode_command(DeleteCommand{id}));
  submit();
  EXPECT_EQ(cluster.violations().size(), 1u);
}

TEST(Checkers, SeeATaskThatIsOpenAgainThoughNoRetrySaysSo) {
  Cluster cluster({});
  const JobId id = cluster.make_id(GroupId{0});
  const auto submit = [&] {
    cluster.check_entry(GroupId{0}, encode_command(SubmitCommand{
                                        id, "u", "", encode(cluster.spec({"x"}, 2)), {1}, {}, 2}));
  };
  submit();
  NodeResults results{id, cluster.id(0), 1, 0, {}};
  results.batch.plain.push_back({{0, 2, {1, 1, 1}}, {2}, {}, {}, {}});
  cluster.check_entry(GroupId{0}, encode_command(CompleteCommand{{results}}));
  cluster.check_entry(GroupId{0}, encode_command(DeleteCommand{id}));
  ASSERT_TRUE(cluster.violations().empty());
  submit();
  ASSERT_EQ(cluster.violations().size(), 2u);
  cluster.check_entry(GroupId{0}, encode_command(RetryCommand{id, {{0, 1}}, true, {}, 0}));
  EXPECT_EQ(cluster.violations().size(), 3u) << "the other one is open too";
  cluster.check_entry(GroupId{0}, encode_command(RetryCommand{id, {{1, 1}}, false, {}, 0}));
  EXPECT_EQ(cluster.violations().size(), 4u) << "it was done, and only what failed is retried";
}

TEST(Checkers, SeeAnEpochThatGoesBackAndAnAttemptThatIsStartedTwice) {
  Cluster cluster({});
  cluster.check_epoch(0, "epoch/1", 7);
  cluster.check_epoch(1, "epoch/1", 6);
  EXPECT_TRUE(cluster.violations().empty());
  cluster.check_epoch(0, "epoch/1", 6);
  EXPECT_EQ(cluster.violations().size(), 1u);
  ProcessLabel label;
  label.job = cluster.make_id(GroupId{1});
  cluster.check_start(0, label);
  label.attempt.number = 1;
  cluster.check_start(1, label);
  EXPECT_EQ(cluster.violations().size(), 1u);
  cluster.check_start(2, label);
  EXPECT_EQ(cluster.violations().size(), 2u);
}

}  // namespace
}  // namespace dunlin::sched::testing
