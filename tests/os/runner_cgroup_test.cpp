// The runner with control groups and without: what it promises is the same, how it keeps it is not.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include "os/cgroup_rights.h"
#include "os/runner_testing.h"

namespace dunlin {
namespace {

// Its parameter: may the runner use control groups? Where this process has no right to them both
// are the same, and the tests say so by what they expect of the groups.
class RunnerGroups : public testing::TestWithParam<bool> {
 protected:
  RunnerGroups() : node_(options()) { EXPECT_TRUE(node_.wait_ready()); }
  ~RunnerGroups() override { node_.shut_down(); }

  RunnerOptions options() const {
    RunnerOptions options = test_options(directory_.path());
    options.may_use_cgroups = GetParam();
    return options;
  }
  ProcessExited end_of(const std::string& script) {
    StartProcess start;
    start.key = 1;
    start.argv = {"sh", "-c", script};
    start.memory = 64 * 1024 * 1024;
    node_.runner().start(std::move(start));
    EXPECT_TRUE(node_.wait_end(1));
    return node_.seen[1].end.value_or(ProcessExited{});
  }

  const TemporaryDirectory directory_;
  TestNode node_;
};

INSTANTIATE_TEST_SUITE_P(, RunnerGroups, testing::Bool(), [](const auto& mode) {
  return mode.param ? "WithCgroups" : "WithoutCgroups";
});

TEST_P(RunnerGroups, ATaskWithALimitHasAGroupOfItsOwnWhereTheHostAllowsIt) {
  EXPECT_EQ(end_of("cat /proc/self/cgroup").exit_code, 0);
  const bool has_own = node_.seen[1].text[0].find("/task-") != std::string::npos;
  EXPECT_EQ(has_own, GetParam() && cgroup_rights().may_limit_memory) << node_.seen[1].text[0];
}

TEST_P(RunnerGroups, WhatTheHostDoesNotAllowIsSaid) {
  ASSERT_TRUE(node_.wait_ready());
  const bool says_so = node_.isolation_note.find("memory is watched") != std::string::npos;
  EXPECT_NE(says_so, GetParam() && cgroup_rights().may_limit_memory) << node_.isolation_note;
}

TEST_P(RunnerGroups, ATaskOverItsLimitIsKilledAndItIsSaidWhy) {
  const ProcessExited end = end_of("head -c 300M /dev/zero | tail -c 300M | sleep 30");
  EXPECT_TRUE(end.killed_for_memory);
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_GT(end.max_rss, 50U * 1024 * 1024);
}

TEST_P(RunnerGroups, ATaskWithinItsLimitIsLeftAlone) {
  const ProcessExited end = end_of("head -c 20M /dev/zero | tail -c 20M | wc -c");
  EXPECT_FALSE(end.killed_for_memory);
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(node_.seen[1].text[0], "20971520\n");
}

// The runner's pid: the parent of its tasks.
int runner_of(int task) {
  const std::string status = read_text("/proc/" + std::to_string(task) + "/status");
  const std::size_t at = status.find("PPid:");
  return at == std::string::npos ? 0 : atoi(status.c_str() + at + 5);
}

TEST_P(RunnerGroups, TasksOfAKilledRunnerDoNotGoOnAndTheNodeIsTold) {
  // What hides its origin can be found by its group alone.
  const bool hides = GetParam() && cgroup_rights().may_join;
  node_.start_shell(1, (hides ? "env -i PATH=\"$PATH\" " : "") + std::string(kDaemonScript) +
                           "cat daemon; exec sleep 100");
  ASSERT_TRUE(node_.wait([&] { return node_.seen[1].text[0].ends_with("\n"); }));
  const int daemon = atoi(node_.seen[1].text[0].c_str());
  const int pid = node_.seen[1].pid;
  ASSERT_GT(daemon, 1);
  ASSERT_GT(runner_of(pid), 1);
  kill(runner_of(pid), SIGKILL);
  EXPECT_TRUE(process_is_gone(pid)) << "the parent's death signal";
  EXPECT_TRUE(node_.wait([&] { return node_.times_ready == 2; }));
  EXPECT_EQ(node_.times_lost, 1);
  EXPECT_TRUE(node_.held.empty());
  EXPECT_TRUE(process_is_gone(daemon)) << "the next runner kills what had escaped";
  EXPECT_EQ(node_.run(2, {"true"}).end->exit_code, 0);
}

}  // namespace
}  // namespace dunlin
