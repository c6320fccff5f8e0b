#include <gtest/gtest.h>

#include "cli/follow_printer.h"
#include "cli/shell.h"
#include "os/clock.h"

namespace dunlin {
namespace {

class RunCommand : public Shell {
 protected:
  // The job writes this; what was submitted, for another node to know it too.
  SubmitJob written(const JobId& id, const std::string& text) {
    SubmitJob submission;
    server.on_loop([&](FakeNode& node) {
      submission = node.jobs.at(id).submission;
      node.write_log(id, 1, false, text);
    });
    return submission;
  }
};

TEST_F(RunCommand, ExitsAsTheCommandDoes) {
  EXPECT_EQ(run({"run", "true"}).code, 0);
  EXPECT_EQ(run({"run", "false"}).code, 1);
  EXPECT_EQ(run({"run", "--", "exit", "42"}).code, 42);
  EXPECT_EQ(run({"run", "die", "15"}).code, 128 + 15);
  const Ran missing = run({"run", "nowhere"});
  EXPECT_EQ(missing.code, 127);
  EXPECT_NE(missing.err.find("nowhere: not found"), std::string::npos);
}

TEST_F(RunCommand, ExitsWithCodesOfItsOwnForWhatTheCommandDidNotDo) {
  const auto ended = [&](TaskState state, Reason reason) {
    auto running = start({"run", "hang"});
    const JobId id = only_job();
    server.on_loop([&](FakeNode& node) { node.finish_task(id, 1, state, reason, 9); });
    const int code = running->end().code;
    server.on_loop([&](FakeNode& node) { node.jobs.clear(); });
    return code;
  };
  EXPECT_EQ(ended(TaskState::kFailed, Reason::kTimeLimit), 124);
  EXPECT_EQ(ended(TaskState::kFailed, Reason::kCannotExecute), 126);
  EXPECT_EQ(ended(TaskState::kFailed, Reason::kMemory), 137);
  EXPECT_EQ(ended(TaskState::kFailed, Reason::kCrashLimit), 125);
  EXPECT_EQ(ended(TaskState::kCancelled, Reason::kCancelled), 125);
  EXPECT_EQ(ended(TaskState::kDone, Reason::kNone), 0);
}

TEST_F(RunCommand, SaysWhatToDoAboutACommandThatDidNotRun) {
  // A word that is known nowhere, and a path that leads nowhere.
  EXPECT_NE(run({"run", "nowhere"}).err.find("; install it there, or ship a program by its path"),
            std::string::npos);
  server.on_loop([](FakeNode& node) { node.jobs.clear(); });
  const auto ended = [&](const std::string& option, Reason reason) {
    auto running = start({"run", option, "--", "./hang"});
    const JobId id = only_job();
    server.on_loop([&](FakeNode& node) { node.finish_task(id, 1, TaskState::kFailed, reason, 9); });
    const Ran ran = running->end();
    server.on_loop([&](FakeNode& node) { node.jobs.clear(); });
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
    return ran.err;
  };
  EXPECT_NE(ended("--cpus=1", Reason::kMissingExecutable).find("nor is there one here"),
            std::string::npos);
  EXPECT_EQ(ended("--time=90s", Reason::kTimeLimit),
            "dunlin: ended by its time limit, --time 90s\n");
  write_file("hang", "#!/bin/sh\n", 0644);
  EXPECT_NE(ended("--cpus=1", Reason::kCannotExecute)
                .find("; it may not be executed here either: "
                      "chmod +x ./hang"),
            std::string::npos);
  write_file("hang", "#!/bin/sh\n", 0755);
  EXPECT_EQ(ended("--cpus=1", Reason::kCannotExecute).find("chmod"), std::string::npos);
  EXPECT_NE(ended("--no-ship", Reason::kMissingExecutable)
                .find("; it exists here, but --no-ship keeps it from being shipped\n"),
            std::string::npos);
}

TEST_F(RunCommand, CallsACommandThatWasShippedAsItWasTyped) {
  write_file("hang", "#!/bin/sh\n", 0644);
  const std::string typed = files / "hang";
  auto running = start({"run", "--", typed});
  const JobId id = only_job();
  server.on_loop([&](FakeNode& node) {
    const std::string there = node.jobs.at(id).submission.spec.argv.front();
    EXPECT_EQ(there, "./hang");
    node.jobs.at(id).tasks.at(1).detail = "n1 cannot execute '" + there + "': Permission denied";
    node.finish_task(id, 1, TaskState::kFailed, Reason::kCannotExecute);
  });
  EXPECT_EQ(running->end().err, "dunlin: n1 cannot execute '" + typed +
                                    "': Permission denied; it may not be executed here either: "
                                    "chmod +x " +
                                    typed + "\n");
}

TEST_F(RunCommand, NamesTheJobsThatItWasToWaitForInVain) {
  const std::string failed = submit({"false"});
  const std::string done = submit({"true"});
  auto running =
      start({"run", "--after", failed, "--after", done, "--after", "zzzzzzzzzz", "queue"});
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.jobs.size() == 3; }));
  server.on_loop([&](FakeNode& node) {
    for (const auto& [id, job] : std::map(node.jobs)) {
      if (job.submission.spec.after.empty()) continue;
      node.finish_task(id, 1, TaskState::kCancelled, Reason::kDependencyFailed);
    }
  });
  const Ran ran = running->end();
  EXPECT_EQ(ran.code, 125);
  EXPECT_EQ(ran.err,
            "dunlin: dependency_failed: job " + failed + " failed, there is no job zzzzzzzzzz\n");
}

TEST_F(RunCommand, PassesBothStreamsOn) {
  EXPECT_EQ(run({"run", "echo", "out"}).out, "out\n");
  const Ran ran = run({"run", "complain", "err"});
  EXPECT_EQ(ran.err, "err\n");
  EXPECT_TRUE(ran.out.empty());
}

TEST_F(RunCommand, IsAttended) {
  (void)run({"run", "true"});
  server.on_loop(
      [](FakeNode& node) { EXPECT_TRUE(node.jobs.begin()->second.submission.spec.attended); });
}

TEST_F(RunCommand, OutputComesAsItIsWritten) {
  auto running = start({"run", "hang"});
  const JobId id = only_job();
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, "half a li"); });
  EXPECT_TRUE(running->says("half a li"));
  server.on_loop([&](FakeNode& node) { node.finish_task(id, 1, TaskState::kDone, Reason::kNone); });
  EXPECT_EQ(running->end().out, "half a li");
}

TEST_F(RunCommand, CtrlCCancelsTheJobAndWaitsForItsEnd) {
  auto running = start({"run", "hang"});
  (void)only_job();
  running->interrupt();
  EXPECT_EQ(running->end().code, 130);
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(node.jobs.begin()->second.summary.state, JobState::kCancelled);
  });
}

TEST_F(RunCommand, TermCancelsTheJobAndIsToldApartFromCtrlC) {
  auto running = start({"run", "hang"});
  (void)only_job();
  running->interrupt(SIGTERM);
  EXPECT_EQ(running->end().code, 143);
  server.on_loop([](FakeNode& node) {
    EXPECT_EQ(node.jobs.begin()->second.summary.state, JobState::kCancelled);
  });
}

TEST_F(RunCommand, ASecondCtrlCLeavesAtOnce) {
  server.on_loop([](FakeNode& node) {
    node.fault = [](const client::Request& request) -> std::optional<Error> {
      const auto* job = std::get_if<JobRequest>(&request);
      if (job == nullptr || !std::holds_alternative<CancelTasks>(*job)) return std::nullopt;
      return Error{Code::kTimeout, "no quorum", ""};
    };
  });
  auto running = start({"run", "hang"});
  (void)only_job();
  running->interrupt();
  ASSERT_TRUE(running->says("cancelling"));
  running->interrupt();
  EXPECT_EQ(running->end().code, 130);
}

TEST_F(RunCommand, CtrlCEndsItWhileNoNodeAnswers) {
  auto running = start({"run", "hang"});
  const JobId id = only_job();
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, "here"); });
  ASSERT_TRUE(running->says("here"));
  server.hang_up();
  running->interrupt();
  EXPECT_EQ(running->end().code, 130);
}

TEST_F(RunCommand, CtrlCIsHeardWhileItsOutputIsNotRead) {
  auto running = start({"run", "hang"});
  const JobId id = only_job();
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, std::string(1 << 20, 'x')); });
  ASSERT_TRUE(running->says("x"));
  running->interrupt();
  EXPECT_TRUE(server.wait_until(
      [&](FakeNode& node) { return node.jobs.at(id).summary.state == JobState::kCancelled; }));
  running->interrupt();
  EXPECT_EQ(running->end().code, 130);
}

TEST_F(RunCommand, AStdoutThatDoesNotBlockTakesEverything) {
  const std::string much(1 << 20, 'x');
  auto running = start({"run", "hang"}, {}, {.is_nonblocking = true});
  const JobId id = only_job();
  server.on_loop([&](FakeNode& node) {
    node.write_log(id, 1, false, much);
    node.finish_task(id, 1, TaskState::kDone, Reason::kNone);
  });
  const Ran ran = running->end();
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out.size(), much.size());
}

TEST_F(RunCommand, AFullStdoutIsItsOwnFailureAndEndsTheJob) {
  auto running = start({"run", "hang"}, {}, {.path = "/dev/full"});
  const JobId id = only_job();
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, "too much"); });
  const Ran ran = running->end();
  EXPECT_EQ(ran.code, 125);
  EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  server.on_loop(
      [&](FakeNode& node) { EXPECT_EQ(node.jobs.at(id).summary.state, JobState::kCancelled); });
}

TEST_F(RunCommand, AMissingCommandThatWasShippedIsToBeCalledByPath) {
  std::ofstream(files / "nowhere") << "#!/bin/sh\n";
  const Ran missing = run({"run", "--file", "nowhere", "nowhere"});
  EXPECT_EQ(missing.code, 127);
  EXPECT_NE(missing.err.find("call it ./nowhere"), std::string::npos) << missing.err;
}

TEST_F(RunCommand, SaysAfterASecondWhyItWaits) {
  auto running = start({"run", "queue"});
  EXPECT_TRUE(running->says("resources"));
  running->interrupt();
  EXPECT_EQ(running->end().code, 130);
}

TEST_F(RunCommand, AJobThatHadItsPlaceIsNotSaidToWaitWhenItsNodeIsLost) {
  ApiServer second;
  environment["DUNLIN_SERVER"] = server.socket + "," + second.socket;
  auto running = start({"run", "hang"});
  const JobId id = only_job();
  const SubmitJob submission = written(id, "here ");
  ASSERT_TRUE(running->says("here "));
  // A new coordinator that has not heard of its tasks yet.
  second.on_loop([&](FakeNode& node) {
    node.submit(1'000'000, client::Request(JobRequest(submission)));
    node.jobs.at(id).summary.state = JobState::kWaiting;
    node.jobs.at(id).summary.reason = Reason::kNone;
    node.write_log(id, 1, false, "here there ");
  });
  const Instant begun = monotonic_now();
  server.hang_up();
  ASSERT_TRUE(running->says("there "));
  // Longer than it takes to say of a new job that it waits.
  ASSERT_TRUE(
      second.wait_until([&](FakeNode&) { return monotonic_now() - begun > milliseconds(1500); }));
  second.on_loop([&](FakeNode& node) { node.finish_task(id, 1, TaskState::kDone, Reason::kNone); });
  const Ran ran = running->end();
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.err.find("waits"), std::string::npos) << ran.err;
}

TEST_F(RunCommand, AFileMayStandForStdin) {
  write_file("in", "from the file");
  const Ran ran = run({"run", "--stdin", "in", "true"}, "from the pipe");
  EXPECT_EQ(ran.code, 0) << ran.err;
  server.on_loop([](FakeNode& node) {
    const JobSpec& spec = node.jobs.begin()->second.submission.spec;
    ASSERT_EQ(spec.files.size(), 1U);
    EXPECT_EQ(spec.files[0].name, spec.stdin_file);
    EXPECT_EQ(to_text(node.blobs.at(spec.files[0].content.at(0).id)), "from the file");
  });
}

TEST_F(RunCommand, GivesUpWhenTold) {
  for (const char* timeout : {"300ms", "0"}) {
    const Ran ran = run({"run", "--timeout", timeout, "queue"});
    EXPECT_EQ(ran.code, 125) << ran.err;
  }
  EXPECT_EQ(run({"run", "--timeout", "0", "true"}).code, 0);
  server.on_loop([](FakeNode& node) {
    for (const auto& [id, job] : node.jobs) EXPECT_TRUE(is_final(job.summary.state));
  });
}

TEST_F(RunCommand, WhereItsReaderHasGoneItEndsAsAnyCommandWould) {
  auto running = start({"run", "hang"});
  const JobId id = only_job();
  running->stop_reading();
  server.on_loop([&](FakeNode& node) { node.write_log(id, 1, false, "to nobody"); });
  EXPECT_EQ(running->end().code, 128 + SIGPIPE);
}

TEST_F(RunCommand, ManyTasksAreToldApartAndTheFirstFailureCounts) {
  const Ran ran = run({"run", "exit", "5", ":::", "a", "b"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_NE(ran.err.find("task 1: exit 5"), std::string::npos);
  const Ran echoed = run({"run", "--array", "1-2", "echo", "x"});
  EXPECT_NE(echoed.out.find("1: x\n"), std::string::npos);
  EXPECT_NE(echoed.out.find("2: x\n"), std::string::npos);
}

TEST_F(RunCommand, TakesTheNextNodeWhenItsOwnIsLost) {
  // Two doors to one cluster: the job is known at the second when the first is closed.
  ApiServer second;
  environment["DUNLIN_SERVER"] = server.socket + "," + second.socket;
  auto running = start({"run", "hang"});
  const JobId id = only_job();
  const SubmitJob submission = written(id, "one ");
  ASSERT_TRUE(running->says("one "));
  second.on_loop([&](FakeNode& node) {
    node.submit(1'000'000, client::Request(JobRequest(submission)));
    node.write_log(id, 1, false, "one two ");
  });
  server.hang_up();
  ASSERT_TRUE(running->says("two "));
  second.on_loop([&](FakeNode& node) {
    node.write_log(id, 1, false, "three");
    node.finish_task(id, 1, TaskState::kDone, Reason::kNone);
  });
  const Ran ran = running->end();
  EXPECT_EQ(ran.out, "one two three");
  EXPECT_EQ(ran.code, 0);
}

TEST_F(RunCommand, PassesStdinOnAsAFileOfTheJob) {
  const auto passed = [&](const std::vector<std::string>& args) {
    const Ran ran = run(args, "some data");
    EXPECT_EQ(ran.err, "");
    EXPECT_EQ(ran.code, 0);
    JobSpec spec;
    server.on_loop([&](FakeNode& node) {
      spec = node.jobs.begin()->second.submission.spec;
      node.jobs.clear();
    });
    EXPECT_EQ(spec.files.size(), spec.stdin_file.empty() ? 0U : 1U);
    return spec.stdin_file.empty() ? std::string() : blob(spec.files.at(0).content.at(0));
  };
  EXPECT_EQ(passed({"run", "true"}), "some data");
  EXPECT_EQ(passed({"run", "--array", "1-2", "true"}), "some data");
  EXPECT_EQ(passed({"run", "--no-stdin", "true"}), "");
  // Its lines are the entries.
  EXPECT_EQ(passed({"run", "--each-line", "-", "true"}), "");
}

TEST_F(RunCommand, SaysHowMuchItHasReadOfAStdinThatDoesNotEnd) {
  auto running = start_open({"run", "true"});
  const Instant begun = monotonic_now();
  // Never silent for long.
  while (monotonic_now() - begun < milliseconds(1300)) {
    running->feed("x");
    poll(nullptr, 0, 20);
  }
  running->give("x");
  const Ran ran = running->end();
  EXPECT_EQ(ran.code, 0);
  EXPECT_TRUE(ran.err.starts_with("dunlin: reading stdin, ")) << ran.err;
  EXPECT_TRUE(
      ran.err.ends_with("B so far; the command starts when it has ended (--no-stdin: "
                        "without it)\n"))
      << ran.err;
  EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
}

TEST_F(RunCommand, SaysThatItWaitsForAStdinThatHoldsNothing) {
  auto running = start_open({"run", "true"});
  ASSERT_TRUE(running->says("dunlin: reading stdin, 0B so far"));
  running->give("");
  EXPECT_EQ(running->end().code, 0);
}

TEST_F(RunCommand, ADryRunShowsTheStdinThatWouldBePassedOn) {
  const Ran ran = run({"run", "--dry-run", "true"}, "some data");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("stdin       9B\n"), std::string::npos) << ran.out;
  EXPECT_EQ(run({"run", "--dry-run", "--no-stdin", "true"}, "some data").out.find("stdin"),
            std::string::npos);
  EXPECT_EQ(run({"run", "--each-line", "-", "--stdin", "-", "true"}, "some data").code, 2);
  server.on_loop([](FakeNode& node) { EXPECT_TRUE(node.jobs.empty()); });
}

TEST_F(RunCommand, WithoutStdinItsCommandReadsNothing) {
  EXPECT_EQ(run({"run", "true"}).code, 0);
  server.on_loop(
      [](FakeNode& node) { EXPECT_EQ(node.jobs.begin()->second.submission.spec.stdin_file, ""); });
}

TEST(FollowPrinter, PrintsWithoutGapOrRepeatHoweverOftenTheStreamBreaks) {
  const std::string whole =
      frame_text(FrameKind::kAttempt, 1, "o1") + frame_text(FrameKind::kStdout, 1, "abc") +
      frame_text(FrameKind::kStdout, 1, "def") + frame_text(FrameKind::kEnd, 0, "");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    testing::internal::CaptureStdout();
    FollowPrinter printer(false);
    printer.feed(std::string_view(whole).substr(0, cut));
    EXPECT_FALSE(printer.is_complete());
    printer.restart();
    printer.feed(whole);
    EXPECT_TRUE(printer.is_complete());
    EXPECT_EQ(testing::internal::GetCapturedStdout(), "abcdef") << cut;
  }
}

TEST(FollowPrinter, ANewAttemptIsPrintedFromItsBeginning) {
  testing::internal::CaptureStdout();
  FollowPrinter printer(false);
  printer.feed(frame_text(FrameKind::kAttempt, 1, "o1") + frame_text(FrameKind::kStdout, 1, "abc"));
  printer.restart();
  printer.feed(frame_text(FrameKind::kAttempt, 1, "o2") + frame_text(FrameKind::kStdout, 1, "abc"));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "abcabc");
}

TEST(FollowPrinter, SaysOnceThatATaskRunsAgainAndRepeatsItself) {
  const auto attempt = [](std::uint32_t task, const char* name) {
    return frame_text(FrameKind::kAttempt, task, name);
  };
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  FollowPrinter printer(true);
  printer.feed(attempt(7, "o1.3") + attempt(7, "e1.3") + attempt(8, "o1.3"));
  printer.feed(frame_text(FrameKind::kStdout, 7, "one\nhalf") +
               frame_text(FrameKind::kStderr, 7, "bad\n"));
  // Of the other one nothing was seen, so nothing is repeated.
  printer.feed(attempt(7, "o2.5") + attempt(7, "e2.5") + attempt(8, "o2.5"));
  printer.feed(frame_text(FrameKind::kStdout, 7, "one\n") + frame_text(FrameKind::kEnd, 0, ""));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "7: one\n7: half\n7: one\n");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "7: bad\ndunlin: task 7 runs again (attempt 2): its output begins anew\n");
}

}  // namespace
}  // namespace dunlin
