#include "os/runner.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "os/clock.h"
#include "os/runner_testing.h"

namespace dunlin {
namespace {

class RunnerTest : public testing::Test {
 protected:
  RunnerTest() { open(test_options(directory_.path())); }
  ~RunnerTest() override { node_->shut_down(); }

  void open(RunnerOptions options) {
    if (node_) node_->shut_down();
    node_ = std::make_unique<TestNode>(std::move(options));
    EXPECT_TRUE(node_->wait_ready());
  }

  TemporaryDirectory directory_;
  std::unique_ptr<TestNode> node_;
};

TEST_F(RunnerTest, ANewRunnerHoldsNothing) {
  EXPECT_EQ(node_->times_ready, 1);
  EXPECT_TRUE(node_->held.empty());
  EXPECT_TRUE(node_->problems.empty());
}

TEST_F(RunnerTest, ExitCodesAndSignalsAreToldApart) {
  EXPECT_EQ(node_->run_shell(1, "exit 0").end->exit_code, 0);
  const ProcessExited failed = *node_->run_shell(2, "exit 93").end;
  EXPECT_EQ(failed.exit_code, 93);
  EXPECT_EQ(failed.signal, 0);
  const ProcessExited killed = *node_->run_shell(3, "kill -USR1 $$").end;
  EXPECT_EQ(killed.signal, SIGUSR1);
  EXPECT_EQ(killed.exit_code, 128 + SIGUSR1);
  EXPECT_EQ(killed.start_error, 0);
}

TEST_F(RunnerTest, WhatCannotBeExecutedIs126AndWhatIsMissing127) {
  const auto end_of = [&](ProcessKey key, const std::string& file) {
    return *node_->run(key, {file}).end;
  };
  EXPECT_EQ(end_of(1, "no-such-program").exit_code, 127);
  EXPECT_EQ(node_->seen[1].end->start_error, ENOENT);
  EXPECT_EQ(end_of(2, "./no-such-program").exit_code, 127);
  EXPECT_EQ(end_of(3, "/usr").exit_code, 126);
  EXPECT_EQ(node_->seen[3].end->start_error, EACCES);
  const std::string file = directory_ / "file";
  write_text(file, "#!/bin/sh\n", 0644);
  EXPECT_EQ(end_of(4, file).exit_code, 126);
  EXPECT_EQ(node_->seen[4].end->start_error, EACCES);
  write_text(file, "#!/no/such/interpreter\n", 0755);
  EXPECT_EQ(end_of(5, file).exit_code, 126);
  EXPECT_EQ(node_->seen[5].end->start_error, ENOENT);
  // A program that answers 127 itself was started.
  EXPECT_EQ(node_->run_shell(6, "exit 127").end->start_error, 0);
}

TEST_F(RunnerTest, ARequestThatMakesNoSenseIs125) {
  EXPECT_EQ(node_->run(1, {}).end->exit_code, 125);
  EXPECT_EQ(node_->seen[1].end->start_error, EINVAL);
  EXPECT_EQ(node_->run(2, {"echo", std::string("a\0b", 3)}).end->exit_code, 125);
  node_->runner().release({1});
  node_->runner().release({2});
  EXPECT_EQ(node_->run(1, {"true"}).end->exit_code, 0) << "the key is free again";
}

TEST_F(RunnerTest, BothStreamsArriveByteForByte) {
  const SeenProcess seen =
      node_->run_shell(1, "printf 'a\\000b'; printf 'to\\377err' >&2; seq 1 30000");
  EXPECT_EQ(seen.text[0], std::string("a\0b", 3) + numbers(1, 30000));
  EXPECT_EQ(seen.text[1], "to\377err");
  EXPECT_EQ(seen.end->stdout_end, seen.text[0].size());
  EXPECT_EQ(seen.end->stderr_end, seen.text[1].size());
}

TEST_F(RunnerTest, OutputOfARunningProcessComesAsItIsWritten) {
  node_->start_shell(1, "echo early; exec sleep 100");
  EXPECT_TRUE(node_->wait([&] { return node_->seen[1].text[0] == "early\n"; }));
  EXPECT_FALSE(node_->seen[1].end);
}

TEST_F(RunnerTest, ReadsNoMoreThanTheLimitBeforeTheNodeTakesIt) {
  node_->takes_output = false;
  node_->start_shell(1, "yes dunlin | head -c 50000000; exit 3");
  EXPECT_TRUE(node_->wait([&] { return node_->seen[1].text[0].size() == kMaxUntaken; }));
  // Anything further would have to come before this answer.
  node_->run(2, {"true"});
  EXPECT_EQ(node_->seen[1].text[0].size(), kMaxUntaken);
  EXPECT_FALSE(node_->seen[1].end);
  node_->takes_output = true;
  node_->runner().output_taken({1, false, kMaxUntaken});
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].end->exit_code, 3);
  EXPECT_EQ(node_->seen[1].text[0].size(), 50'000'000U);
  EXPECT_EQ(node_->seen[1].text[0].substr(49'999'996), "in\nd");
}

TEST_F(RunnerTest, AnEndedProcessWaitsForItsUntakenOutput) {
  node_->takes_output = false;
  // The pipe holds what is beyond the limit when the process ends.
  node_->start_shell(1, "head -c 1100000 /dev/zero");
  EXPECT_TRUE(node_->wait([&] { return node_->seen[1].text[0].size() == kMaxUntaken; }));
  node_->run(2, {"true"});
  EXPECT_FALSE(node_->seen[1].end);
  node_->runner().output_taken({1, false, 700'000});
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].text[0].size(), 1'100'000U);
}

TEST_F(RunnerTest, AThousandShortProcessesAllEndWell) {
  constexpr ProcessKey kCount = 1000;
  constexpr ProcessKey kAtOnce = 16;
  ProcessKey started = 0;
  ProcessKey ended = 0;
  node_->wait([&] {
    while (ended < started && node_->seen[ended + 1].end) {
      ++ended;
      EXPECT_EQ(node_->seen[ended].end->exit_code, 0);
      node_->runner().release({ended});
    }
    while (started < kCount && started < ended + kAtOnce) node_->start(++started, {"true"});
    return ended == kCount;
  });
  EXPECT_EQ(ended, kCount);
}

TEST_F(RunnerTest, TheEnvironmentIsExactlyThatOfTheContract) {
  setenv("DUNLIN_TEST_SECRET", "1", 1);
  StartProcess start;
  start.key = 1;
  start.argv = {"env"};
  start.environment = {{"DUNLIN_JOB_ID", "abc"}, {"HOME", "/elsewhere"}};
  node_->runner().start(std::move(start));
  ASSERT_TRUE(node_->wait_end(1));
  std::set<std::string> names;
  std::istringstream lines(node_->seen[1].text[0]);
  for (std::string line; std::getline(lines, line);) names.insert(line.substr(0, line.find('=')));
  std::set<std::string> expected = {"PATH",  "HOME",          "USER",
                                    "SHELL", "DUNLIN_JOB_ID", "DUNLIN_WORKDIR"};
  for (const char* name : {"LANG", "TZ"}) {
    if (getenv(name) != nullptr) expected.insert(name);
  }
  EXPECT_EQ(names, expected) << node_->seen[1].text[0];
  EXPECT_NE(node_->seen[1].text[0].find("HOME=/elsewhere\n"), std::string::npos);
}

TEST_F(RunnerTest, AProcessBeginsInAnEmptyDirectoryOfItsOwn) {
  const SeenProcess seen = node_->run_shell(
      1,
      "ls -A; pwd; echo $DUNLIN_WORKDIR; umask; ls /proc/$$/fd; readlink /proc/$$/fd/0; touch x");
  std::istringstream lines(seen.text[0]);
  std::string pwd, workdir, rest;
  lines >> pwd >> workdir;
  EXPECT_EQ(pwd, workdir);
  EXPECT_EQ(pwd.find(directory_ / "tasks/"), 0U);
  std::getline(lines, rest, '\0');
  EXPECT_EQ(rest, "\n0022\n0\n1\n2\n/dev/null\n");
  EXPECT_NE(node_->run_shell(2, "pwd").text[0], pwd + "\n") << "while the first is not released";
}

TEST_F(RunnerTest, IgnoredSignalsOfTheNodeDoNotReachTheProcess) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  open(test_options(directory_.path()));
  const SeenProcess seen = node_->run_shell(1, "grep SigIgn /proc/$$/status");
  EXPECT_EQ(seen.text[0], "SigIgn:\t0000000000000000\n");
  signal(SIGPIPE, SIG_DFL);
  signal(SIGHUP, SIG_DFL);
}

TEST_F(RunnerTest, SignalsReachTheWholeGroup) {
  node_->start_shell(1, "sleep 100 & echo $!; sleep 100 & echo $!; wait");
  EXPECT_TRUE(node_->wait([&] {
    return std::count(node_->seen[1].text[0].begin(), node_->seen[1].text[0].end(), '\n') == 2;
  }));
  node_->runner().signal({1, SIGTERM});
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].end->signal, SIGTERM);
  std::istringstream pids(node_->seen[1].text[0]);
  for (int pid = 0; pids >> pid;) EXPECT_TRUE(process_is_gone(pid));
}

TEST_F(RunnerTest, TheGraceIsThatOfTheWholeGroup) {
  // The leader dies of TERM at once; what it started saves its work first, in silence.
  node_->start_shell(1,
                     "(exec >/dev/null 2>&1; trap 'sleep 0.5; echo yes >saved; exit' TERM; "
                     "echo 1 >armed; while :; do sleep 0.05; done) & "
                     "until [ -e armed ]; do sleep 0.02; done; echo $!; wait");
  EXPECT_TRUE(node_->wait([&] { return !node_->seen[1].text[0].empty(); }));
  node_->runner().signal({1, SIGTERM});
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].end->signal, SIGTERM);
  EXPECT_EQ(read_text(directory_ / "tasks/1/saved"), "yes\n");
}

TEST_F(RunnerTest, TheGraceOfAGroupEndsWithKill) {
  node_->start_shell(1,
                     "(trap '' TERM; echo on; exec sleep 100) & "
                     "until false; do sleep 0.1; done");
  EXPECT_TRUE(node_->wait([&] { return !node_->seen[1].text[0].empty(); }));
  node_->runner().signal({1, SIGTERM});
  // Whatever the first has to say is said before the second has ended.
  node_->run_shell(2, "sleep 0.5");
  EXPECT_FALSE(node_->seen[1].end);
  node_->runner().signal({1, SIGKILL});
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].end->signal, SIGTERM);
}

TEST_F(RunnerTest, WhatTheProcessLeavesInItsGroupEndsWithIt) {
  const SeenProcess seen = node_->run_shell(1, "sleep 100 >/dev/null 2>&1 & echo $!");
  EXPECT_EQ(seen.end->exit_code, 0);
  EXPECT_TRUE(process_is_gone(number_in(seen.text[0])));
}

TEST_F(RunnerTest, DescendantsThatKeepTheOutputOpenGetAShortGrace) {
  bool was_heard = false;
  // The grace may pass before a busy host has let the descendant speak, but not each time.
  for (ProcessKey key = 1; key <= 20 && !was_heard; ++key) {
    const SeenProcess seen = node_->run_shell(
        key,
        "(until read -r pid name state rest </proc/$$/stat; [ \"$state\" = Z ]; do :; done; "
        "sleep 0.05; echo late; exec sleep 1000) & echo early");
    was_heard = seen.text[0] == "early\nlate\n";
    EXPECT_TRUE(was_heard || seen.text[0] == "early\n") << seen.text[0];
    EXPECT_EQ(seen.end->exit_code, 0);
    node_->runner().release({key});
  }
  EXPECT_TRUE(was_heard);
}

TEST_F(RunnerTest, ADaemonEndsWithTheProcessThatMadeIt) {
  node_->start_shell(1, "exec sleep 100");
  const SeenProcess seen = node_->run_shell(2, std::string(kDaemonScript) + "cat daemon");
  const int daemon = number_in(seen.text[0]);
  ASSERT_GT(daemon, 1);
  EXPECT_TRUE(process_is_gone(daemon));
  EXPECT_FALSE(node_->seen[1].end) << "and no other process with it";
}

TEST_F(RunnerTest, ADaemonMayLiveAsLongAsItsProcess) {
  node_->start_shell(1, std::string(kDaemonScript) + "cat daemon; exec sleep 100");
  EXPECT_TRUE(node_->wait([&] { return !node_->seen[1].text[0].empty(); }));
  const int daemon = number_in(node_->seen[1].text[0]);
  // The end of another process makes the runner look at what it has adopted.
  node_->run(2, {"true"});
  EXPECT_EQ(kill(daemon, 0), 0);
  node_->runner().release({1});
  EXPECT_TRUE(node_->wait([&] { return process_is_gone(daemon, {}); }));
}

TEST_F(RunnerTest, ADaemonThatHidesItsOriginEndsWithTheLastProcessOfItsTime) {
  node_->start_shell(1, "exec sleep 100");
  const SeenProcess seen = node_->run_shell(
      2,
      "env -i setsid sh -c 'sleep 100 </dev/null >/dev/null 2>&1 & echo $! >daemon' & wait; "
      "cat daemon");
  const int daemon = number_in(seen.text[0]);
  ASSERT_GT(daemon, 1);
  node_->runner().signal({1, SIGKILL});
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_TRUE(process_is_gone(daemon));
}

TEST_F(RunnerTest, ReleasingARunningProcessKillsItAndTellsNoEnd) {
  node_->start_shell(1, "echo there; exec sleep 100");
  EXPECT_TRUE(node_->wait([&] { return !node_->seen[1].text[0].empty(); }));
  node_->runner().release({1});
  EXPECT_TRUE(node_->wait([&] { return process_is_gone(node_->seen[1].pid, {}); }));
  node_->run(2, {"true"});
  EXPECT_FALSE(node_->seen[1].end);
}

TEST_F(RunnerTest, UsageIsMeasured) {
  const SeenProcess seen = node_->run_shell(1,
                                            "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; "
                                            "head -c 30M /dev/zero | tail -c 30M | wc -c");
  EXPECT_GT(seen.end->cpu_ms, 20U);
  EXPECT_GT(seen.end->max_rss, 25U * 1024 * 1024);
  EXPECT_GE(seen.end->finished_at, seen.end->started_at);
  EXPECT_LT(std::abs(seen.end->finished_at.ms - wall_now().ms), 20'000);
}

TEST_F(RunnerTest, FilesAreStagedAndOutputsFoundAndRead) {
  write_text(directory_ / "pack", "....#!/bin/sh\ncat in/data >out.txt; mkdir d; echo deep >d/e\n");
  StartProcess start;
  start.key = 1;
  start.argv = {"./run", "x"};
  start.files = {{"run", 0755, {{"pack", 4, 1000}}}, {"in/data", 0644, {{"pack", 0, 4}}}};
  start.files[0].content[0].length = read_text(directory_ / "pack").size() - 4;
  node_->runner().start(std::move(start));
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].end->exit_code, 0) << node_->seen[1].text[1];
  node_->runner().find_outputs({1, {"*.txt", "d"}});
  ASSERT_TRUE(node_->wait([&] { return node_->found.size() == 1; }));
  EXPECT_EQ(node_->found[0].error, "");
  ASSERT_EQ(node_->found[0].files.size(), 2U);
  EXPECT_EQ(node_->found[0].files[0].name, "d/e");
  EXPECT_EQ(node_->found[0].files[1].name, "out.txt");
  EXPECT_EQ(node_->found[0].files[1].size, 4U);
  node_->runner().read_output({1, "d/e", 1, 100});
  ASSERT_TRUE(node_->wait([&] { return node_->data.size() == 1; }));
  EXPECT_EQ(to_text(node_->data[0].bytes), "eep\n");
}

TEST_F(RunnerTest, LargeFilesAreStagedToo) {
  write_text(directory_ / "pack", std::string(5'000'000, 'x'));
  StartProcess start;
  start.key = 1;
  start.argv = {"wc", "-c", "large"};
  start.files = {{"large", 0644, {{"pack", 0, 5'000'000}}}};
  node_->runner().start(std::move(start));
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].text[0], "5000000 large\n");
}

TEST_F(RunnerTest, WhatIsStoppedWhileItsFilesAreLaidOutStandsStillOnceItIsThere) {
  write_text(directory_ / "pack", std::string(5'000'000, 'x'));
  for (const ProcessKey key : {1, 2}) {
    StartProcess start;
    start.key = key;
    start.argv = {"sh", "-c", "echo ran; exec sleep 100"};
    start.files = {{"large", 0644, {{"pack", 0, 5'000'000}}}};
    node_->runner().start(std::move(start));
    node_->runner().signal({key, SIGSTOP});
  }
  node_->runner().signal({2, SIGCONT});
  EXPECT_TRUE(node_->wait([&] { return node_->seen[2].text[0] == "ran\n"; }));
  ASSERT_TRUE(node_->wait([&] { return node_->seen[1].pid != 0; }));
  EXPECT_TRUE(node_->wait([&] {
    const std::string stat = read_text("/proc/" + std::to_string(node_->seen[1].pid) + "/stat");
    return stat.find(") T ") != std::string::npos;
  }));
}

TEST_F(RunnerTest, AFileThatWouldLeaveTheDirectoryIsRefused) {
  write_text(directory_ / "pack", "x");
  StartProcess start;
  start.key = 1;
  start.argv = {"true"};
  start.files = {{"../escaped", 0644, {{"pack", 0, 1}}}};
  node_->runner().start(std::move(start));
  ASSERT_TRUE(node_->wait_end(1));
  EXPECT_EQ(node_->seen[1].end->exit_code, 125);
  EXPECT_EQ(node_->seen[1].end->start_error, EINVAL);
  EXPECT_EQ(read_text(directory_ / "tasks/escaped"), "");
}

TEST_F(RunnerTest, DirectoriesAreRemovedAfterRelease) {
  const std::string directory = node_->run_shell(1, "touch x; pwd").text[0];
  const std::string path = directory.substr(0, directory.size() - 1);
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  node_->runner().release({1});
  EXPECT_TRUE(node_->wait([&] { return access(path.c_str(), F_OK) != 0; }));
}

TEST_F(RunnerTest, ANewerNodeReplacesAnOlderOne) {
  node_->start_shell(1, "exec sleep 100");
  EXPECT_TRUE(node_->wait([&] { return node_->seen[1].pid != 0; }));
  TestNode newer(test_options(directory_.path()));
  ASSERT_TRUE(newer.wait_ready());
  ASSERT_EQ(newer.held.size(), 1U);
  EXPECT_EQ(newer.held[0].pid, node_->seen[1].pid);
  // The older one finds itself dropped, comes back, and is the newer one then.
  EXPECT_TRUE(node_->wait([&] { return node_->times_ready == 2; }));
  EXPECT_EQ(node_->times_lost, 0);
}

TEST_F(RunnerTest, AStrangerWhoConnectsAndTalksNonsenseDisturbsNobody) {
  std::vector<int> strangers;
  for (int i = 0; i < 20; ++i) {
    const auto stranger = connect_to(directory_.path(), kRunnerSocket);
    if (!stranger) continue;  // the queue of connections is full
    strangers.push_back(*stranger);
    const std::string nonsense = i % 2 == 0 ? "\xff\xff\xff\xff\xff" : std::string("\2\0\0\0xx", 6);
    EXPECT_GT(write(*stranger, nonsense.data(), nonsense.size()), 0);
  }
  EXPECT_GE(strangers.size(), 10U);
  EXPECT_EQ(node_->run(1, {"true"}).end->exit_code, 0);
  EXPECT_EQ(node_->times_ready, 1);
  for (const int stranger : strangers) close(stranger);
}

TEST_F(RunnerTest, ADirectoryWithALongNameServes) {
  const std::string deep = directory_ / (std::string(200, 'd'));
  ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
  open(test_options(deep));
  EXPECT_EQ(node_->run(1, {"true"}).end->exit_code, 0);
}

TEST_F(RunnerTest, ANodeWithAnotherAccountForTasksEndsThoseOfTheOldOne) {
  node_->start_shell(1, "exec sleep 100");
  EXPECT_TRUE(node_->wait([&] { return node_->seen[1].pid != 0; }));
  const int pid = node_->seen[1].pid;
  RunnerOptions options = test_options(directory_.path());
  options.run_as = "nobody";
  TestNode newer(std::move(options));
  ASSERT_TRUE(newer.wait_ready());
  EXPECT_TRUE(newer.held.empty());
  EXPECT_EQ(newer.problems,
            std::vector<std::string>{"the runner is of another account: its tasks are ended"});
  EXPECT_TRUE(process_is_gone(pid));
  newer.shut_down();
}

TEST_F(RunnerTest, TasksOfAnotherUserRunAsThatUserOrNotAtAll) {
  RunnerOptions options = test_options(directory_.path());
  options.run_as = "nobody";
  open(std::move(options));
  const SeenProcess seen =
      node_->run_shell(1, "id -un; id -Gn; echo $USER; touch mine && ls -l mine | cut -d' ' -f3");
  if (geteuid() == 0) {
    EXPECT_EQ(seen.text[0], "nobody\nnogroup\nnobody\nnobody\n") << seen.text[1];
  } else {
    EXPECT_EQ(seen.end->start_error, EPERM);
    EXPECT_EQ(seen.end->exit_code, 125);
  }
}

}  // namespace
}  // namespace dunlin
