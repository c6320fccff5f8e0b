// Node processes that end while their runner and its processes go on, and runners that are stopped.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/runner.h"
#include "os/runner_testing.h"

namespace dunlin {
namespace {

// Starts this program as a node process and waits until its task is under way.
pid_t spawn_node(const std::string& directory, const std::string& script, const char* taken) {
  std::vector<std::string> words = {"os_test", "runner-node", directory, script, taken};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t pid = 0;
  EXPECT_EQ(posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, argv.data(), environ), 0);
  EXPECT_NE(wait_for_file(directory + "/node-ready"), "");
  return pid;
}

void kill_and_reap(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

TEST(RunnerLife, ANodeKilledAloneFindsItsProcessesAndEveryByte) {
  const TemporaryDirectory directory;
  const pid_t first = spawn_node(
      directory.path(),
      "seq 1 1000; while [ ! -e go ]; do sleep 0.01; done; seq 1001 30000; echo end >&2; exit 7",
      "100");
  const int pid = number_in(read_text(directory / "node-ready"));
  kill_and_reap(first);

  TestNode node(test_options(directory.path()));
  ASSERT_TRUE(node.wait_ready());
  ASSERT_EQ(node.held.size(), 2U);
  const RunnerHeld& held = node.held[0];
  EXPECT_EQ(held.key, 1U);
  EXPECT_EQ(held.pid, pid);
  EXPECT_EQ(to_text(held.label), "label 1");
  EXPECT_FALSE(held.exited);
  EXPECT_EQ(held.stdout_taken, 100U);
  EXPECT_TRUE(node.held[1].exited) << "it ended, but was never released";
  EXPECT_TRUE(node.wait_end(2)) << "and its end is told again";

  EXPECT_EQ(kill(pid, 0), 0);
  write_text(directory.path() + "/tasks/1/go", "now");
  ASSERT_TRUE(node.wait_end(1));
  EXPECT_EQ(node.seen[1].end->exit_code, 7);
  EXPECT_EQ(node.seen[1].text[0], numbers(1, 30000).substr(100));
  EXPECT_EQ(node.seen[1].text[1], "end\n");
  EXPECT_EQ(node.times_lost, 0);
  node.shut_down();
}

TEST(RunnerLife, WhoseNodeIsGoneBeforeItListensGoesInOrder) {
  const TemporaryDirectory directory;
  int status[2];
  ASSERT_EQ(pipe(status), 0);
  close(status[0]);
  const std::string fd = std::to_string(status[1]);
  std::vector<std::string> words = {"dunlin",         "runner",      "--dir",
                                    directory.path(), "--status-fd", fd};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t starter = 0;
  ASSERT_EQ(posix_spawn(&starter, "/proc/self/exe", nullptr, nullptr, argv.data(), environ), 0);
  close(status[1]);
  waitpid(starter, nullptr, 0);
  EXPECT_NE(wait_for_file(directory / "runner.lock"), "");
  EXPECT_TRUE(runner_is_gone(directory.path()));
  EXPECT_NE(access((directory / "runner.sock").c_str(), F_OK), 0) << "its last act is to remove it";
}

// What an older one says, without the fields that came later.
TEST(RunnerProtocol, OfAnOlderRunnersListTheVersionIsRead) {
  struct OlderList {
    std::uint32_t protocol = 0;
    std::vector<RunnerHeldProcess> held;
    bool is_last = true;
    std::uint32_t uid = 7;
    static constexpr auto fields() {
      using L = OlderList;
      return Fields<&L::protocol, &L::held, &L::is_last, &L::uid>{};
    }
  };
  const auto report = decode<RunnerReport>(encode(std::variant<OlderList>(OlderList{})));
  ASSERT_TRUE(report.has_value()) << report.error().message;
  EXPECT_EQ(std::get<RunnerList>(*report).protocol, 0U);
  EXPECT_EQ(std::get<RunnerList>(*report).uid, 7U);
}

TEST(RunnerLife, ARunnerThatWasStoppedIsContinuedByTheNextNode) {
  const TemporaryDirectory directory;
  {
    TestNode node(test_options(directory.path()));
    ASSERT_TRUE(node.wait_ready());
    node.start_shell(1, "echo here; exec sleep 100");  // with nothing to hold it would go by itself
    ASSERT_TRUE(node.wait([&] { return !node.seen[1].text[0].empty(); }));
  }
  const pid_t runner = number_in(read_text(directory / "runner.lock"));
  ASSERT_GT(runner, 1);
  ASSERT_EQ(kill(runner, SIGSTOP), 0);
  TestNode node(test_options(directory.path()));
  EXPECT_TRUE(node.wait_ready());
  EXPECT_EQ(number_in(read_text(directory / "runner.lock")), runner);
  kill(runner, SIGCONT);
  node.shut_down();
}

TEST(RunnerLife, WhatAnEarlierProcessWasToldIsNotToldOfTheNextOneInItsPlace) {
  const TemporaryDirectory directory;
  {
    TestNode node(test_options(directory.path()));
    ASSERT_TRUE(node.wait_ready());
    node.start_shell(1, "exec sleep 100");
    ASSERT_TRUE(node.wait([&] { return node.seen[1].pid != 0; }));
    node.runner().signal({1, SIGTERM});
    ASSERT_TRUE(node.wait_end(1));
    node.runner().release({1});
    node.start_shell(2, "exec sleep 100");
    node.start_shell(3, "exec sleep 100");
    ASSERT_TRUE(node.wait([&] { return node.seen[2].pid != 0 && node.seen[3].pid != 0; }));
    node.runner().signal({3, SIGSTOP});
    node.runner().signal({3, SIGTERM});
    node.wait([] { return false; }, milliseconds(100));
  }
  TestNode node(test_options(directory.path()));
  ASSERT_TRUE(node.wait_ready());
  ASSERT_EQ(node.held.size(), 2U);
  for (const RunnerHeld& held : node.held) EXPECT_EQ(held.told_to_end, held.key == 3);
  node.shut_down();
}

TEST(RunnerLife, ARunnerThatIsStoppedUnderALivingNodeIsContinuedAndItsSilenceTold) {
  const TemporaryDirectory directory;
  RunnerOptions options = test_options(directory.path());
  options.patience = milliseconds(400);
  TestNode node(options);
  ASSERT_TRUE(node.wait_ready());
  const pid_t runner = number_in(read_text(directory / "runner.lock"));
  ASSERT_GT(runner, 1);
  node.start_shell(1, "exec sleep 100");
  ASSERT_TRUE(node.wait([&] { return node.seen[1].pid != 0; }));
  node.times_silent = 0;
  node.problems.clear();
  ASSERT_EQ(kill(runner, SIGSTOP), 0);
  node.start_shell(2, "exit 5");
  EXPECT_TRUE(node.wait_end(2));
  kill(runner, SIGCONT);
  EXPECT_GE(node.times_silent, 1);
  EXPECT_TRUE(node.wait([&] { return !node.is_silent; }));
  ASSERT_FALSE(node.problems.empty());
  EXPECT_NE(node.problems[0].find("(process " + std::to_string(runner) + ") does not answer"),
            std::string::npos);
  EXPECT_EQ(node.times_lost, 0);
  EXPECT_EQ(node.times_ready, 1);
  EXPECT_FALSE(node.seen[1].end);
  node.shut_down();
}

TEST(RunnerLife, WhatANodeDoesNotReturnToIsKilledAndTheRunnerGoes) {
  const TemporaryDirectory directory;
  int daemon = 0;
  int pid = 0;
  {
    TestNode node(test_options(directory.path(), seconds(2)));
    ASSERT_TRUE(node.wait_ready());
    node.start_shell(1, std::string(kDaemonScript) + "cat daemon; trap '' TERM; exec sleep 100");
    EXPECT_TRUE(node.wait([&] { return !node.seen[1].text[0].empty(); }));
    daemon = number_in(node.seen[1].text[0]);
    pid = node.seen[1].pid;
  }
  EXPECT_EQ(kill(pid, 0), 0);
  EXPECT_TRUE(runner_is_gone(directory.path()));
  EXPECT_TRUE(process_is_gone(pid, {}));
  EXPECT_TRUE(process_is_gone(daemon, {}));
}

// Turns the loop for twice the limit; true when the runner was there all the time. That says
// nothing where this program was itself held up meanwhile.
bool keeps_its_runner(TestNode& node, Duration limit) {
  Instant last = monotonic_now();
  const Instant end = last + limit + limit;
  Duration longest{};
  node.wait([&] {
    const Instant now = monotonic_now();
    longest = std::max(longest, now - last);
    last = now;
    return node.times_lost > 0 || now >= end;
  });
  const bool was_kept = node.times_lost == 0;
  EXPECT_TRUE(was_kept || longest > milliseconds(limit.milliseconds() / 2));
  return was_kept;
}

TEST(RunnerLife, ANodeThatHangsIsNoNode) {
  constexpr Duration kLimit = seconds(1);
  bool was_kept = false;
  for (int attempt = 0; attempt < 5 && !was_kept; ++attempt) {
    const TemporaryDirectory directory;
    TestNode node(test_options(directory.path(), kLimit));
    ASSERT_TRUE(node.wait_ready());
    node.start_shell(1, "exec sleep 100");
    EXPECT_TRUE(node.wait([&] { return node.seen[1].pid != 0; }));
    // Keep-alives hold it for longer than the limit while the loop turns ...
    was_kept = keeps_its_runner(node, kLimit);
    if (was_kept) {
      // ... and here it does not.
      EXPECT_TRUE(runner_is_gone(directory.path()));
      EXPECT_TRUE(process_is_gone(node.seen[1].pid, {}));
      EXPECT_TRUE(node.wait([&] { return node.times_ready == 2; }));
      EXPECT_EQ(node.times_lost, 1);
    }
    node.shut_down();
  }
  EXPECT_TRUE(was_kept) << "this host is too busy to tell";
}

}  // namespace
}  // namespace dunlin
