#include <gtest/gtest.h>

#include <algorithm>

#include "cli/invocation.h"
#include "cli/shell.h"
#include "os/json.h"

namespace dunlin {
namespace {

using Commands = Shell;

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_F(Commands, HelpEverywhereHasAnExampleAndVersionIsSaid) {
  EXPECT_EQ(run({"--version"}).out.substr(0, 7), "dunlin ");
  EXPECT_NE(run({"--help"}).out.find("dunlin run -- hostname"), std::string::npos);
  for (const Command& command : commands()) {
    if (command.run == nullptr) continue;
    std::vector<std::string> args;
    const std::string name = command.name;
    const std::size_t space = name.find(' ');
    args.push_back(name.substr(0, space));
    if (space != std::string::npos) args.push_back(name.substr(space + 1));
    args.emplace_back("--help");
    const Ran ran = run(args);
    EXPECT_EQ(ran.code, 0) << name;
    EXPECT_NE(ran.out.find("For example\n  dunlin " + name), std::string::npos) << ran.out;
  }
  EXPECT_NE(run({"token", "--help"}).out.find("dunlin token create"), std::string::npos);
  EXPECT_EQ(run({"help", "submit"}).out, run({"submit", "--help"}).out);
  const Ran nothing = run({});
  EXPECT_EQ(nothing.code, 2);
  EXPECT_TRUE(nothing.out.empty());
}

TEST_F(Commands, WrongUsageIsOneLineAndExitsWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {"jbos"},
      {"show"},
      {"show", "a", "b"},
      {"jobs", "--stat"},
      {"submit"},
      {"token"},
      {"show", "NO"},
      {"submit", "--time", "9", "true"},
      {"run", "-n", "3", "true"},
      {"set", "abcdefghij"},
      {"retry"},
      {"fs", "ls"},
      {"tasks", "last.x"},
      {"jobs", "--state", "odd"},
      {"run", "--server", "host:7400", "true"},
      {"logs", "--stderr", "--both", "abcdefghij"},
      {"submit", "--array", "1-3", "--each-line", "f", "true"},
      {"submit", "-c", "0", "true"},
      {"submit", "--limit", "3", "--array", "1-9%2", "true"},
      {"submit", "x", ":::"},
      {"submit", "--stdin", "-", "--each-line", "-", "cat"},
      {"submit", "--begin", "tomorrow", "true"},
      {"submit", "--resource", "a=0", "true"},
      {"submit", "--crash-limit", "0", "true"},
      {"submit", "--from-json", "x", "--each-line", "y", "true"},
      {"tasks"},
      {"logs", "-f", "last", "abcdefghij"},
      {"submit", "-p", "99999999999999999999", "true"},
      {"submit", "--file", "/proc/cpuinfo", "true"},
      {"jobs", "--limit", "0"},
      {"logs", "last", "--attempt", "0"},
  };
  for (const std::vector<std::string>& args : wrong) {
    const Ran ran = run(args);
    EXPECT_EQ(ran.code, 2) << args[0] << ran.err;
    EXPECT_EQ(lines(ran.err), 1U) << ran.err;
    EXPECT_TRUE(ran.err.starts_with("dunlin: ")) << ran.err;
    EXPECT_TRUE(ran.out.empty());
  }
}

TEST_F(Commands, WithJsonAnErrorIsAnObjectOnStderr) {
  const Ran ran = run({"show", "zzzzzzzzzz", "--json"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_TRUE(ran.out.empty());
  EXPECT_EQ(error_from_json(ran.err).code, Code::kNotFound);
  EXPECT_EQ(error_from_json(run({"jobs", "--jsno", "--json"}).err).code, Code::kUsage);
  EXPECT_EQ(error_from_json(run({"--json", "jbos"}).err).code, Code::kUsage);
}

TEST_F(Commands, WhereNobodyAnswersTheExitCodeIsThree) {
  environment["DUNLIN_SERVER"] = files / "none.sock";
  const Ran ran = run({"jobs"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_NE(ran.err.find("dunlin up"), std::string::npos);
  EXPECT_EQ(run({"run", "true"}).code, 125);
  // The next server is asked when one does not answer.
  environment["DUNLIN_SERVER"] += "," + server.socket;
  EXPECT_EQ(run({"jobs"}).code, 0);
  environment["DUNLIN_SERVER"] = "";
  environment["DUNLIN_DIR"] = server.directory.path();
  EXPECT_EQ(run({"jobs"}).code, 0);
}

TEST_F(Commands, AnAnswerThatTakesLongShowsThatItsNodeLives) {
  // Longer than a silent node is waited for; the second server would know nothing of the job.
  ApiServer second;
  const std::string id = submit({"hang"});
  environment["DUNLIN_SERVER"] = server.socket + "," + second.socket;
  auto waiting = start({"wait", "--timeout", "9s", id});
  EXPECT_EQ(waiting->end().code, 6);
}

TEST_F(Commands, AStdoutThatTakesNothingFailsTheCommand) {
  const std::string id = submit({"hang"});
  server.on_loop([&](FakeNode& node) { node.write_log(*JobId::from_text(id), 1, false, "text"); });
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"jobs"}, {"tasks", id, "--json"}, {"show", id}, {"submit", "true"}, {"logs", id}}) {
    const Ran ran = run(words, {}, {.path = "/dev/full"});
    EXPECT_EQ(ran.code, 1) << words[0];
    EXPECT_EQ(lines(ran.err), 1U) << ran.err;
    EXPECT_NE(ran.err.find("No space left"), std::string::npos) << ran.err;
  }
}

TEST_F(Commands, AClosedStdoutIsNoneOfTheConnections) {
  const Ran ran = run({"jobs"}, {}, {.is_closed = true});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("Bad file descriptor"), std::string::npos) << ran.err;
}

TEST_F(Commands, OptionsOfAllCommandsMayStandInFront) {
  environment["DUNLIN_SERVER"] = "";
  EXPECT_EQ(run({"--server", server.socket, "--json", "jobs"}).out, "[]\n");
  EXPECT_EQ(run({"--server=" + server.socket, "jobs", "--json"}).out, "[]\n");
}

TEST_F(Commands, JobsAreListedAsTableIdsOrJson) {
  const std::string first = submit({"-J", "one", "true"});
  const std::string second = submit({"-J", "two", "false"});
  const Ran table = run({"jobs"});
  EXPECT_EQ(lines(table.out), 3U);
  EXPECT_LT(table.out.find(second), table.out.find(first));  // newest first
  EXPECT_EQ(run({"jobs", "--quiet"}).out, second + "\n" + first + "\n");
  EXPECT_EQ(run({"jobs", "--quiet", "--state", "failed"}).out, second + "\n");
  EXPECT_EQ(run({"jobs", "--quiet", "--name", "o*"}).out, first + "\n");
  EXPECT_EQ(run({"jobs", "--quiet", "-u", "nobody-here"}).out, "");
  const auto jobs = jobs_from_json(run({"jobs", "--json"}).out);
  ASSERT_TRUE(jobs);
  EXPECT_EQ(jobs->size(), 2U);
}

TEST_F(Commands, AListThatMayLackJobsIsPrintedAndExitsWithSeven) {
  const std::string id = submit({"true"});
  server.on_loop([](FakeNode& node) { node.silent_groups = 3; });
  const Ran ran = run({"jobs", "--quiet"});
  EXPECT_EQ(ran.out, id + "\n");
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(run({"show", "zz"}).code, 7);
  for (const std::vector<std::string>& top : {std::vector<std::string>{"top"}, {"top", "--json"}}) {
    const Ran once = run(top);
    EXPECT_NE(once.out.find(id), std::string::npos) << once.out;
    EXPECT_EQ(once.code, 7);
    EXPECT_NE(once.err.find("may lack jobs: 3 groups"), std::string::npos) << once.err;
  }
}

TEST_F(Commands, AJobIsFoundByPrefixAndAsTheLast) {
  server.on_loop([](FakeNode& node) {
    for (const char* id : {"abcdefghij", "abxdefghij", "kbcdefghij"}) {
      SubmitJob job;
      job.id = *JobId::from_text(id);
      job.user = "somebody-else";
      job.spec.argv = {"true"};
      node.submit(1'000'000, client::Request(JobRequest(job)));
    }
  });
  EXPECT_EQ(run({"show", "k", "--quiet"}).out, "kbcdefghij\n");
  EXPECT_EQ(run({"show", "abx", "--quiet"}).out, "abxdefghij\n");
  const Ran two = run({"show", "ab"});
  EXPECT_EQ(two.code, 2);
  EXPECT_NE(two.err.find("abcdefghij"), std::string::npos);
  EXPECT_NE(two.err.find("abxdefghij"), std::string::npos);
  EXPECT_EQ(run({"show", "zz"}).code, 4);
  EXPECT_EQ(run({"show", "last"}).code, 4);  // none of this user's
  const std::string mine = submit({"true"});
  EXPECT_EQ(run({"show", "last", "--quiet"}).out, mine + "\n");
}

TEST_F(Commands, WhatLiesBehindPagesWithNothingIsFound) {
  server.on_loop([](FakeNode& node) { node.tasks_scanned = 3; });
  EXPECT_EQ(run({"run", "--array", "0-9", "last-exits", "7"}).code, 7);
  const std::string failed = run({"tasks", "last", "--state", "failed", "--quiet"}).out;
  EXPECT_EQ(failed.substr(std::min(failed.find('.'), failed.size())), ".9\n");
  EXPECT_EQ(lines(run({"tasks", "last", "--quiet"}).out), 10U);
  EXPECT_EQ(run({"logs", "last"}).code, 0);
  EXPECT_EQ(run({"outputs", "last", "--json"}).out, "[]\n");
}

TEST_F(Commands, TasksAreShownInPagesAndByState) {
  const std::string id = submit({"--array", "1-12000", "queue", "3"});
  EXPECT_EQ(lines(run({"tasks", id}).out), 12'001U);
  const auto tasks = tasks_from_json(run({"tasks", id, "--json"}).out);
  ASSERT_TRUE(tasks);
  EXPECT_EQ(tasks->size(), 12'000U);
  EXPECT_EQ(run({"tasks", id + ".7,9", "--quiet"}).out, id + ".7\n" + id + ".9\n");
  EXPECT_EQ(run({"tasks", "last.2", "--state", "done", "--json"}).out, "[]\n");
  EXPECT_NE(run({"tasks", submit({"exit", "3"})}).out.find("exit 3"), std::string::npos);
}

TEST_F(Commands, ArraysThatBeginAtZeroAreListedFromTheirFirstTask) {
  const std::map<std::string, std::vector<std::uint32_t>> arrays = {
      {"0-4", {0, 1, 2, 3, 4}}, {"0-4:2", {0, 2, 4}}, {"5-9", {5, 6, 7, 8, 9}}};
  for (const auto& [array, numbers] : arrays) {
    const std::string id = submit({"--array", array, "hang"});
    const JobId job = *JobId::from_text(id);
    std::string ids, logs;
    server.on_loop([&](FakeNode& node) {
      for (const std::uint32_t number : numbers) {
        node.write_log(job, number, false, std::to_string(number) + "\n");
        node.jobs.at(job).tasks[number].outputs = {{"o", 0, 0644, {}}};
      }
    });
    for (const std::uint32_t number : numbers) {
      ids += id + "." + std::to_string(number) + "\n";
      logs += std::to_string(number) + "\n";
    }
    EXPECT_EQ(run({"tasks", id, "--quiet"}).out, ids);
    EXPECT_EQ(run({"logs", id}).out, logs);
    EXPECT_EQ(outputs_from_json(run({"outputs", id, "--json"}).out)->size(), numbers.size());
    EXPECT_EQ(run({"outputs", id, "--to", array}).code, 0);
    auto following = start({"logs", "-f", id});
    for (const std::uint32_t number : numbers) {
      const std::string name = std::to_string(number);
      EXPECT_EQ(access((files / (array + "/" + name + "/o")).c_str(), R_OK), 0) << name;
      EXPECT_TRUE(following->says(name + ": " + name + "\n"));
    }
    server.on_loop([&](FakeNode& node) {
      for (const std::uint32_t number : numbers) {
        node.finish_task(job, number, TaskState::kDone, Reason::kNone);
      }
    });
    EXPECT_EQ(following->end().code, 0);
  }
}

TEST_F(Commands, ShowSaysWhyASingleTaskFailed) {
  const std::string id = submit({"nowhere"});
  const Ran ran = run({"show", id});
  EXPECT_NE(ran.out.find("nowhere: not found"), std::string::npos) << ran.out;
  EXPECT_NE(run({"show", id, "--json"}).out.find("\"spec\":{"), std::string::npos);
  const std::string spec = "command     nowhere\neach task   1 cpu\n";
  EXPECT_NE(run({"show", id}).out.find(spec), std::string::npos) << run({"show", id}).out;
}

TEST_F(Commands, LogsOfSeveralJobsStandOneBehindTheOther) {
  const std::string one = submit({"echo", "one"});
  const std::string two = submit({"echo", "two"});
  EXPECT_EQ(run({"logs", two, one}).out, "two\none\n");
  EXPECT_EQ(run({"logs", "--tail", "1", one, two}).out, "two\n");
}

TEST_F(Commands, TasksOfANodeAreThoseThatItRuns) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(1, "alpha"), fake_member(2, "beta")};
    node.self = node.members[1].facts.id;
  });
  const std::string first = submit({"--array", "1-2", "hang"});
  const std::string second = submit({"hang"});
  submit({"true"});
  const Ran quiet = run({"tasks", "--node", "beta", "--quiet"});
  EXPECT_EQ(quiet.code, 0) << quiet.err;
  EXPECT_EQ(lines(quiet.out), 3U) << quiet.out;
  for (const std::string& task : {first + ".1\n", first + ".2\n", second + ".1\n"}) {
    EXPECT_NE(quiet.out.find(task), std::string::npos) << quiet.out;
  }
  EXPECT_EQ(run({"tasks", "--node", "alpha", "--json"}).out, "[]\n");
  EXPECT_EQ(run({"tasks", first, "--node", "alpha", "--quiet"}).out, "");
  EXPECT_EQ(lines(run({"tasks", first, "--node", "beta", "--quiet"}).out), 2U);
  EXPECT_EQ(run({"tasks", "--node", "gamma"}).code, 4);
}

TEST_F(Commands, ATaskThatIsPausedWhileItsNodeIsListedIsListedOnce) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(2, "beta")};
    node.self = node.members[0].facts.id;
  });
  const std::string id = submit({"hang"});
  for (const char* form : {"--quiet", "--json"}) {
    server.on_loop([&](FakeNode& node) {
      auto& job = node.jobs.at(*JobId::from_text(id));
      job.summary.state = JobState::kRunning;
      job.tasks.at(1).state = TaskState::kRunning;
      node.fault = [&node, &job](const client::Request& request) -> std::optional<Error> {
        const auto* what = std::get_if<JobRequest>(&request);
        const auto* jobs = what == nullptr ? nullptr : std::get_if<ListJobs>(what);
        const auto* tasks = what == nullptr ? nullptr : std::get_if<ListTasks>(what);
        if (jobs != nullptr && jobs->state) job.summary.state = *jobs->state;
        if (tasks != nullptr && tasks->state) job.tasks.at(1).state = *tasks->state;
        return std::nullopt;
      };
    });
    const std::string out = run({"tasks", "--node", "beta", form}).out;
    const auto tasks = tasks_from_json(out);
    EXPECT_EQ(tasks ? tasks->size() : lines(out), 1U) << out;
  }
}

TEST_F(Commands, WaitTellsHowEachJobEnded) {
  const std::string well = submit({"true"});
  const std::string bad = submit({"false"});
  const std::string open = submit({"hang"});
  const Ran done = run({"wait", well});
  EXPECT_EQ(done.code, 0);
  EXPECT_TRUE(done.out.empty());
  EXPECT_EQ(lines(done.err), 1U);
  EXPECT_EQ(run({"wait", well, bad}).code, 1);
  EXPECT_EQ(run({"wait", "--any", well, open}).code, 0);
  const std::string behind = submit({"hang"});
  server.on_loop([&](FakeNode& node) {
    node.finish_task(*JobId::from_text(behind), 1, TaskState::kCancelled,
                     Reason::kDependencyFailed);
  });
  EXPECT_TRUE(run({"wait", behind}).err.starts_with(behind + ": cancelled, dependency_failed"));
  const Ran late = run({"wait", "--timeout", "50ms", open, well});
  EXPECT_EQ(late.code, 6);
  EXPECT_NE(late.err.find(open), std::string::npos);
  // Only a look: what has ended counts, and what has not is a timeout.
  EXPECT_EQ(run({"wait", "--timeout", "0", open, well}).code, 6);
  EXPECT_EQ(run({"wait", "--timeout", "0", "--any", open, well}).code, 0);
  EXPECT_EQ(run({"wait", "--timeout", "0", well}).code, 0);
  EXPECT_EQ(run({"wait", "--timeout", "0", bad}).code, 1);
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 0; }));
  auto waiting = start({"wait", open});
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 1; }));
  server.on_loop([&](FakeNode& node) {
    node.finish_task(*JobId::from_text(open), 1, TaskState::kDone, Reason::kNone);
  });
  EXPECT_EQ(waiting->end().code, 0);
  EXPECT_EQ(run({"wait", "zzzzzzzzzz"}).code, 4);
  // A single task is 1, and the same as its job.
  EXPECT_EQ(run({"wait", well + ".1"}).code, 0);
  EXPECT_EQ(run({"show", well + ".1"}).code, 0);
  EXPECT_EQ(run({"wait", well + ".2"}).code, 2);
  EXPECT_EQ(run({"wait", submit({"--array", "1-2", "true"}) + ".1"}).code, 2);
}

TEST_F(Commands, WaitSaysOnceWhatItWaitsFor) {
  const std::string first = submit({"hang"});
  const std::string second = submit({"hang"});
  int silent = 4;  // questions about either job
  server.on_loop([&](FakeNode& node) {
    node.fault = [&](const client::Request& request) -> std::optional<Error> {
      const auto* about = std::get_if<JobRequest>(&request);
      if (about == nullptr || !std::holds_alternative<WatchJob>(*about) || silent-- <= 0) return {};
      return Error{Code::kTimeout, "group 7 has no quorum; missing: beta", "start it"};
    };
  });
  auto waiting = start({"wait", first, second});
  ASSERT_TRUE(server.wait_until([](FakeNode& node) { return node.watching() == 2; }));
  server.on_loop([&](FakeNode& node) {
    for (const std::string& job : {first, second}) {
      node.finish_task(*JobId::from_text(job), 1, TaskState::kDone, Reason::kNone);
    }
  });
  const Ran ran = waiting->end();
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(lines(ran.err), 3U) << ran.err;
  EXPECT_EQ(ran.err.find("waiting on: group 7 has no quorum; missing: beta"),
            ran.err.rfind("waiting on:"));
}

TEST_F(Commands, CancelEndsJobsAndTasks) {
  const std::string id = submit({"--array", "1-3", "hang"});
  EXPECT_EQ(run({"cancel", id + ".2"}).code, 0);
  EXPECT_EQ(run({"tasks", id, "--state", "cancelled", "--quiet"}).out, id + ".2\n");
  EXPECT_EQ(run({"cancel", "last"}).code, 0);
  EXPECT_EQ(run({"cancel", id}).code, 0);  // finished: nothing to do, and well
  EXPECT_EQ(run({"cancel", "zzzzzzzzzz", id}).code, 4);
}

TEST_F(Commands, LogsAreTheBytesAndTheirTail) {
  const std::string id = submit({"--array", "1-2", "hang"});
  server.on_loop([&](FakeNode& node) {
    node.write_log(*JobId::from_text(id), 1, false, std::string("a\0b\n1\n2\n3", 9));
    node.write_log(*JobId::from_text(id), 2, false, "\nsecond\n");
    node.write_log(*JobId::from_text(id), 2, true, "err\n");
  });
  EXPECT_EQ(run({"logs", id}).out, std::string("a\0b\n1\n2\n3\nsecond\n", 17));
  EXPECT_EQ(run({"logs", id + ".2"}).out, "\nsecond\n");
  EXPECT_EQ(run({"logs", "--stderr", id}).out, "err\n");
  EXPECT_EQ(run({"logs", "--both", id + ".2"}).out, "\nsecond\nerr\n");
  EXPECT_EQ(run({"logs", "--tail", "2", id}).out, "3\nsecond\n");
  EXPECT_EQ(run({"logs", id + ".9"}).code, 4);
  EXPECT_EQ(run({"logs", "--attempt", "1", id}).code, 0);
  const Ran none = run({"logs", "--attempt", "9", id + ".1"});
  EXPECT_EQ(none.code, 4);
  EXPECT_NE(none.err.find("no attempt 9 of task 1"), std::string::npos) << none.err;
}

TEST_F(Commands, ALogThatCannotBeReadOnIsIncomplete) {
  const std::string id = submit({"hang"});
  server.on_loop([&](FakeNode& node) {
    node.write_log(*JobId::from_text(id), 1, false, std::string(1 << 20, 'x'));
    node.fault = [](const client::Request& request) -> std::optional<Error> {
      const auto* job = std::get_if<JobRequest>(&request);
      const auto* read = job == nullptr ? nullptr : std::get_if<ReadLog>(job);
      if (read == nullptr || read->offset == 0) return std::nullopt;
      return Error{Code::kIncomplete, "no replica", ""};
    };
  });
  const Ran ran = run({"logs", id});
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(lines(ran.err), 1U) << ran.err;
  EXPECT_FALSE(ran.out.empty());
}

TEST_F(Commands, FollowedLogsOfManyTasksCarryTheirNumbers) {
  const std::string id = submit({"--array", "1-2", "hang"});
  auto following = start({"logs", "-f", id});
  const JobId job = *JobId::from_text(id);
  server.on_loop([&](FakeNode& node) {
    node.write_log(job, 1, false, "to");
    node.write_log(job, 2, false, "two\n");
    node.write_log(job, 1, false, "gether\n");
  });
  ASSERT_TRUE(following->says("1: together\n"));
  server.on_loop([&](FakeNode& node) {
    node.write_log(job, 2, false, "no end");
    node.finish_task(job, 1, TaskState::kDone, Reason::kNone);
    node.finish_task(job, 2, TaskState::kFailed, Reason::kExit, 1);
  });
  const Ran ran = following->end();
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.out.find("2: two\n"), std::string::npos);
  EXPECT_NE(ran.out.find("2: no end\n"), std::string::npos);
}

TEST_F(Commands, OutputsAreListedPrintedAndWritten) {
  const std::string id = submit({"--array", "1-2", "hang"});
  server.on_loop([&](FakeNode& node) {
    const Bytes content = to_bytes("picture");
    node.blobs[blob_id_of(content)] = content;
    node.jobs.at(*JobId::from_text(id)).tasks[2].outputs = {
        {"out/p 1.png", 7, 0600, {{blob_id_of(content), 7}}}};
  });
  EXPECT_NE(run({"outputs", id}).out.find("out/p 1.png"), std::string::npos);
  EXPECT_EQ(run({"outputs", id + ".2", "out/p 1.png"}).out, "picture");
  EXPECT_EQ(run({"outputs", id + ".1", "x"}).code, 4);
  EXPECT_EQ(run({"outputs", id + ".7"}).code, 4);
  EXPECT_EQ(run({"outputs", id, "--to", "res"}).code, 0);
  std::ifstream written(files / "res/2/out/p 1.png");
  std::string content;
  std::getline(written, content);
  EXPECT_EQ(content, "picture");
  EXPECT_TRUE(outputs_from_json(run({"outputs", id, "--json"}).out));
  EXPECT_EQ(run({"outputs", id, "--quiet"}).out, "2/out/p 1.png\n");
}

TEST_F(Commands, AnOutputThatSeveralTasksHaveIsNotPrintedWithoutItsTask) {
  const std::string id = submit({"--array", "1-4", "hang"});
  server.on_loop([&](FakeNode& node) {
    auto& tasks = node.jobs.at(*JobId::from_text(id)).tasks;
    for (const std::uint32_t number : {2U, 3U, 4U}) {
      const Bytes content = to_bytes("of " + std::to_string(number));
      const BlobRef blob{blob_id_of(content), 4};
      node.blobs[blob.id] = content;
      tasks[number].outputs = {{"same.txt", 4, 0600, {blob}}};
      if (number == 3) tasks[number].outputs.push_back({"own.txt", 4, 0600, {blob}});
    }
  });
  const Ran ran = run({"outputs", id, "same.txt"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "dunlin: 3 tasks of " + id + " have 'same.txt'; name one, as in " + id +
                         ".2, or take all with --to DIR\n");
  EXPECT_EQ(run({"outputs", id + ".2-3", "same.txt"}).code, 2);
  EXPECT_EQ(run({"outputs", id + ".3", "same.txt"}).out, "of 3");
  EXPECT_EQ(run({"outputs", id, "own.txt"}).out, "of 3");
  EXPECT_EQ(run({"outputs", id, "none.txt"}).code, 4);
}

TEST_F(Commands, OfOneOutputWhereToIsRefused) {
  const std::string id = submit({"true"});
  const Ran ran = run({"outputs", id, "x", "--to", "res"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_NE(ran.err.find("not both"), std::string::npos) << ran.err;
}

TEST_F(Commands, AnOutputThatWouldLeaveTheDirectoryIsNotWritten) {
  const std::string id = submit({"hang"});
  server.on_loop([&](FakeNode& node) {
    node.jobs.at(*JobId::from_text(id)).tasks[1].outputs = {
        {"../../evil", 0, 0644, {}}, {"../evil", 0, 0644, {}}, {"good", 0, 0644, {}}};
  });
  EXPECT_EQ(run({"outputs", id, "--to", "res"}).code, 1);
  for (const char* place : {"evil", "res/evil", "res/1/evil"}) {
    EXPECT_NE(access((files / place).c_str(), F_OK), 0) << place;
  }
  // The others are.
  EXPECT_EQ(access((files / "res/1/good").c_str(), R_OK), 0);
}

TEST_F(Commands, AnOutputWhoseNameIsNotUtf8IsFetchedUnderIt) {
  const std::string id = submit({"hang"});
  server.on_loop([&](FakeNode& node) {
    node.jobs.at(*JobId::from_text(id)).tasks[1].outputs = {{"caf\xe9", 0, 0644, {}}};
  });
  EXPECT_EQ(run({"outputs", id}).code, 0);
  EXPECT_EQ(run({"outputs", id, "--to", "res"}).code, 0);
  EXPECT_EQ(access((files / "res/1/caf\xe9").c_str(), R_OK), 0);
}

TEST_F(Commands, NodesAreListedAndFoundByNameOrPrefix) {
  server.on_loop([](FakeNode& node) {
    node.members = {fake_member(1, "alpha"), fake_member(2, "beta")};
  });
  EXPECT_EQ(lines(run({"nodes"}).out), 3U);
  EXPECT_EQ(lines(run({"nodes", "--quiet"}).out), 2U);
  const Ran one = run({"nodes", "beta", "--json"});
  const auto nodes = nodes_from_json(one.out);
  ASSERT_TRUE(nodes) << one.out;
  EXPECT_EQ(nodes->size(), 1U);
  EXPECT_EQ(run({"nodes", "0"}).code, 2);
  EXPECT_EQ(run({"nodes", "gamma"}).code, 4);
  // Whoever takes a node out must not take its namesake.
  server.on_loop([](FakeNode& node) { node.members.push_back(fake_member(3, "beta")); });
  EXPECT_EQ(run({"leave", "beta"}).code, 2);
  server.on_loop([](FakeNode& node) {
    for (Member& member : node.members) member.state = MemberState::kLeft;
  });
  const Ran left = run({"leave", "alpha"});
  EXPECT_EQ(left.code, 0);
  EXPECT_NE(left.err.find("alpha has left already"), std::string::npos) << left.err;
}

TEST_F(Commands, DownWaitsForTheEndOfTheProcessThatServes) {
  const auto down = start({"down"});
  EXPECT_TRUE(server.wait_until([](FakeNode& node) { return node.stopped; }));
  // Which is this one: it will not end.
  down->interrupt();
  EXPECT_EQ(down->end().code, 130);
}

TEST_F(Commands, AGroupWithoutQuorumExitsWithSix) {
  server.on_loop([](FakeNode& node) {
    node.fault = [](const client::Request& request) -> std::optional<Error> {
      if (!std::holds_alternative<JobRequest>(request)) return std::nullopt;
      return Error{Code::kTimeout, "group 3 has no quorum: missing host2, host3", "--stale"};
    };
  });
  const Ran ran = run({"show", "abcdefghij"});
  EXPECT_EQ(ran.code, 6);
  EXPECT_NE(ran.err.find("host2, host3"), std::string::npos);
  EXPECT_EQ(run({"submit", "true"}).code, 6);
}

}  // namespace
}  // namespace dunlin
