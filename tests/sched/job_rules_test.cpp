// Retries, limits, time, outputs and logs, through whole clusters.
#include <gtest/gtest.h>

#include "sched/sched_cluster.h"

namespace dunlin::sched::testing {
namespace {

TEST(Retries, FurtherAttemptsFollowAFailureWithDoublingBackoff) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"flaky", "3", "1"});
  spec.retries = 3;
  spec.backoff = seconds(2);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  cluster.run_for(milliseconds(500));
  const JobSummary waiting = cluster.show(job);
  EXPECT_EQ(waiting.state, JobState::kWaiting);
  EXPECT_EQ(waiting.reason, Reason::kBackoff);
  EXPECT_GT(waiting.started_at.ms, 0);
  EXPECT_EQ(waiting.tasks.waiting, 1u);
  ASSERT_TRUE(cluster.ends(job, seconds(60)));
  EXPECT_GE(cluster.now().us, seconds(14).us);
  EXPECT_LT(cluster.now().us, seconds(16).us);
  const TaskView view = cluster.task(job, 1);
  EXPECT_EQ(view.state, TaskState::kDone);
  EXPECT_EQ(view.attempt, 4u);
}

TEST(Retries, AreUsedUpThenTheTaskFailsForGood) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"flaky", "9", "1"});
  spec.retries = 2;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_EQ(cluster.starts(job), 3u);
  EXPECT_EQ(cluster.show(job).exit_code, 1);
}

TEST(Limit, NoMoreTasksRunAtOnceThanTheJobAllows) {
  Cluster cluster({.nodes = 3, .cpus = 8});
  JobSpec spec = cluster.spec({"work", "100"}, 40);
  spec.limit = 5;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  std::size_t most = 0;
  ASSERT_TRUE(cluster.run_until(
      [&] {
        most = std::max(most, cluster.running(job));
        return cluster.is_final(job);
      },
      seconds(20)));
  EXPECT_EQ(most, 5u);
  // Eight rounds of 100 ms, with little between them.
  EXPECT_LT(cluster.now().us, seconds(2).us);
}

TEST(TimeLimit, EndsWithTermAndThenWithKill) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"stubborn", "600000"});
  spec.time_limit = seconds(2);
  spec.grace = seconds(3);
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_GE(cluster.now().us, seconds(5).us);
  EXPECT_LT(cluster.now().us, seconds(6).us);
  const TaskView view = cluster.task(job, 1);
  EXPECT_EQ(view.reason, Reason::kTimeLimit);
  EXPECT_EQ(view.signal, 9);
}

TEST(Attended, AJobIsCancelledWhenWhoeverItRunsForIsGoneWhoeverElseLooks) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"work", "600000"});
  spec.attended = true;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  cluster.run_for(seconds(20));
  WatchJob attending{job, 0, {}, true};
  ASSERT_TRUE(cluster.call(0, attending).has_value());
  for (int i = 0; i < 10; ++i) {
    cluster.run_for(seconds(2));
    ASSERT_TRUE(cluster.call(0, WatchJob{job, 0, seconds(20), false}).has_value());
    cluster.show(job);
  }
  EXPECT_FALSE(cluster.is_final(job));
  cluster.run_for(seconds(12));
  EXPECT_TRUE(cluster.is_final(job));
}

TEST(Attended, AWatcherThatWaitsAsLongAsItMayIsAttendance) {
  Cluster cluster({.nodes = 1, .cpus = 1});
  JobSpec spec = cluster.spec({"work", "12000"}, 9);
  spec.attended = true;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  cluster.run_for(seconds(1));
  // What ends meanwhile is no news to this one.
  const WatchJob watch{job, UINT64_MAX, seconds(60), true};
  ASSERT_TRUE(cluster.call(0, watch, seconds(90)).has_value());
  EXPECT_GT(cluster.now(), Instant{} + seconds(30));
  EXPECT_FALSE(cluster.is_final(job));
  cluster.run_for(seconds(40));
  EXPECT_EQ(cluster.job(job)->head.state, JobState::kCancelled);
}

TEST(Keep, AJobThatIsToBeKeptForNoTimeIsNotRunAgainByItsOwnRepeatedSubmission) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"work", "10"});
  spec.keep = {};
  const JobId id = cluster.make_id(GroupId{1});
  ASSERT_TRUE(cluster.call(0, SubmitJob{id, "u", "", spec}).has_value());
  cluster.run_for(seconds(40));
  EXPECT_NE(cluster.job(id), nullptr);
  EXPECT_TRUE(cluster.call(0, SubmitJob{id, "u", "", spec}).has_value());
  cluster.run_for(seconds(5));
  EXPECT_EQ(cluster.starts(id), 1u);
  cluster.run_for(seconds(120));
  EXPECT_EQ(cluster.job(id), nullptr);
}

TEST(Loss, ATaskThatBringsDownItsRunnerIsStartedLessAndLessOften) {
  Cluster cluster({.nodes = 1, .cpus = 1});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "600000"}));
  for (int i = 0; i < 600; ++i) {
    if (cluster.running(job) == 1) cluster.lose_runner(0);
    cluster.run_for(milliseconds(100));
  }
  EXPECT_GE(cluster.starts(job), 6u);
  EXPECT_LE(cluster.starts(job), 12u);
  EXPECT_FALSE(cluster.is_final(job));
}

TEST(Submit, TheSameIdAndSpecIsOneJobAndAnotherSpecIsAConflict) {
  Cluster cluster({});
  const JobId id = cluster.make_id(GroupId{1});
  const SubmitJob once{id, "u", "key", cluster.spec({"work", "10"})};
  SubmitJob other = once;
  other.spec.argv[1] = "20";
  const std::uint64_t a = cluster.ask(0, once);
  const std::uint64_t b = cluster.ask(2, once);
  const std::uint64_t c = cluster.ask(1, other);
  cluster.run_for(seconds(1));
  int accepted = 0, conflicts = 0;
  for (const std::uint64_t request : {a, b, c}) {
    const Result<JobAnswer>& answer = cluster.answers.at(request);
    accepted += answer.has_value() ? 1 : 0;
    conflicts += !answer && answer.error().code == Code::kConflict ? 1 : 0;
  }
  EXPECT_EQ(accepted + conflicts, 3);
  EXPECT_GE(conflicts, 1);
  EXPECT_EQ(cluster.starts(id), 1u);
}

TEST(Submit, WhatMakesNoSenseIsRefusedWithALine) {
  Cluster cluster({});
  const JobId id = cluster.make_id(GroupId{1});
  const Result<JobAnswer> answer = cluster.call(0, SubmitJob{id, "u", "", JobSpec{}});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, Code::kUsage);
  EXPECT_EQ(answer.error().message, "the job has no command");
}

TEST(Submit, AJobThatFitsNoNodeWaitsAndSaysSo) {
  Cluster cluster({.nodes = 3, .cpus = 2});
  JobSpec spec = cluster.spec({"work", "1"});
  spec.cpus = 64;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  cluster.run_for(seconds(3));
  const JobSummary summary = cluster.show(job);
  EXPECT_EQ(summary.state, JobState::kWaiting);
  EXPECT_EQ(summary.reason, Reason::kImpossible);
}

TEST(Submit, AJobOfAnotherUserNeverRunsWhereTasksRunAsRoot) {
  // Whether the coordinator knows it of that host, or only the host itself.
  for (const bool is_told : {true, false}) {
    Cluster cluster({.nodes = 2, .root_jobs_only = {0}, .root_jobs_only_is_told = is_told});
    const JobSpec spec = cluster.spec({"work", "1"}, 20);
    const JobId job = cluster.submit(0, GroupId{1}, spec, "ann");
    ASSERT_TRUE(cluster.ends(job, seconds(30)));
    for (std::uint32_t number = 1; number <= 20; ++number) {
      EXPECT_EQ(cluster.task(job, number).node, cluster.id(1));
    }
    cluster.submit(0, GroupId{1}, cluster.spec({"work", "9000"}, 4), "root");
    EXPECT_TRUE(cluster.run_until([&] { return cluster.processes(0).size() == 2; }, seconds(5)));
  }
}

TEST(Submit, AJobThatOnlyRootCouldRunWaitsAndSaysWhy) {
  Cluster cluster({.nodes = 2, .root_jobs_only = {0, 1}});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "1"}), "ann");
  cluster.run_for(seconds(3));
  EXPECT_EQ(cluster.show(job).reason, Reason::kImpossible);
  EXPECT_NE(cluster.task(job, 1).detail.find("--run-as"), std::string::npos);
}

TEST(Many, AnArrayWithStepsGivesEachTaskItsNumber) {
  Cluster cluster({.nodes = 2, .cpus = 8});
  JobSpec spec = cluster.spec({"work", "5000"});
  spec.tasks = {{0, 6, 2}, {9, 9, 1}};
  spec.many = true;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 5; }, seconds(5)));
  std::set<std::string> numbers;
  for (const std::size_t host : {0, 1}) {
    for (const SimProcess& process : cluster.processes(host)) {
      const auto& environment = process.environment;
      EXPECT_EQ(environment.at("DUNLIN_TASK_ID"), environment.at("DUNLIN_ENTRY"));
      numbers.insert(environment.at("DUNLIN_TASK_ID"));
    }
  }
  EXPECT_EQ(numbers, (std::set<std::string>{"0", "2", "4", "6", "9"}));
  EXPECT_EQ(cluster.task(job, 4).state, TaskState::kRunning);
  EXPECT_EQ(cluster.task(job, 3).state, TaskState::kWaiting);  // there is none
}

TEST(Many, EachLineReachesItsTaskWhetherItTravelsWithTheJobOrAsABlob) {
  Cluster cluster({.nodes = 2, .cpus = 8});
  for (const bool as_blob : {false, true}) {
    JobSpec spec = cluster.spec({"work", "0", "5000", "{}"}, 3);
    if (as_blob) {
      const Bytes lines = to_bytes(as_bytes("one\ntwo 2\nthree\n"));
      spec.entry_blocks = {{cluster.store(lines), 3}};
    } else {
      spec.entries = {"one", "two 2", "three"};
    }
    const JobId job = cluster.submit(0, GroupId{1}, spec);
    ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 3; }, seconds(5)));
    std::set<std::string> words;
    for (const std::size_t host : {0, 1}) {
      for (const SimProcess& process : cluster.processes(host)) {
        if (process.environment.at("DUNLIN_JOB_ID") != job.text()) continue;
        words.insert(process.argv[3] + "|" + process.environment.at("DUNLIN_ENTRY"));
      }
    }
    EXPECT_EQ(words, (std::set<std::string>{"one|one", "three|three", "two 2|two 2"}));
  }
}

TEST(Submit, AKeyIsOneJobAlthoughTheLeaderDiesBetween) {
  Cluster cluster({.nodes = 4, .groups = 4});
  const JobId id = job_id_for_key("u", "nightly", 4);
  const GroupId group = id.group(4);
  const SubmitJob submission{id, "u", "nightly", cluster.spec({"work", "2000"}, 3)};
  const std::size_t leader = *cluster.leader(group);
  const std::uint64_t first = cluster.ask((leader + 1) % 4, submission);
  cluster.run_for(milliseconds(1));
  cluster.crash(leader);
  const std::uint64_t second = cluster.ask((leader + 2) % 4, submission);
  ASSERT_TRUE(cluster.run_until(
      [&] { return cluster.answers.contains(first) && cluster.answers.contains(second); },
      seconds(20)));
  EXPECT_TRUE(cluster.answers.at(first).has_value());
  EXPECT_TRUE(cluster.answers.at(second).has_value());
  ASSERT_TRUE(cluster.run_until([&] { return cluster.is_final(id); }, seconds(20)));
  EXPECT_EQ(cluster.job(id)->head.done, 3u);
  EXPECT_TRUE(cluster.violations().empty());
}

TEST(Submit, AKeyIsOneJobWheneverItIsToBegin) {
  Cluster cluster({.groups = 4});
  const JobId id = job_id_for_key("u", "nightly", 4);
  SubmitJob submission{id, "u", "nightly", cluster.spec({"work", "10"})};
  submission.spec.begin = {cluster.wall().ms + 60'000};
  ASSERT_TRUE(cluster.call(0, submission).has_value());
  submission.spec.begin.ms += 500;
  EXPECT_TRUE(cluster.call(1, submission).has_value()) << "in a minute, said again";
  submission.spec.begin = {};
  EXPECT_EQ(cluster.call(1, submission).error().code, Code::kConflict);
}

TEST(Start, AMissingExecutableHasItsReason) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"missing"}));
  ASSERT_TRUE(cluster.ends(job, seconds(5)));
  EXPECT_EQ(cluster.show(job).exit_code, 127);
  EXPECT_EQ(cluster.task(job, 1).reason, Reason::kMissingExecutable);
}

TEST(Start, AFileThatCannotBeHadFailsTheTask) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"work", "1"});
  BlobRef nowhere;
  nowhere.id.raw[0] = 1;
  nowhere.length = 5;
  spec.files.push_back({"input", 0644, 5, {nowhere}});
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.ends(job, seconds(5)));
  EXPECT_EQ(cluster.task(job, 1).reason, Reason::kFileMissing);
}

TEST(Outputs, AreKeptAsBlobsWithTheResult) {
  Cluster cluster({});
  JobSpec spec = cluster.spec({"make", "out.bin", "2500000"});
  spec.outputs = {"*.bin"};
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.ends(job, seconds(5)));
  const TaskView view = cluster.task(job, 1);
  ASSERT_EQ(view.outputs.size(), 1u);
  EXPECT_EQ(view.outputs[0].size, 2'500'000u);
  EXPECT_EQ(view.outputs[0].content.size(), 3u);
}

TEST(Logs, SmallOutputRidesInTheResult) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "3000", "10"}));
  ASSERT_TRUE(cluster.ends(job, seconds(5)));
  EXPECT_EQ(cluster.put_bytes(), 0u);
  EXPECT_EQ(cluster.read_log(2, job, 1).size(), 3000u);
}

TEST(Logs, LargeOutputLiesInSegmentsAndReadsBackWhole) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "3000000", "10"}));
  ASSERT_TRUE(cluster.ends(job, seconds(20)));
  const std::string text = cluster.read_log(2, job, 1);
  ASSERT_EQ(text.size(), 3'000'000u);
  for (std::size_t i = 0; i < text.size(); i += 997) ASSERT_EQ(text[i], 'a' + i % 26);
}

TEST(Logs, AReadBringsAsManyPiecesAsItsLimitHolds) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"print", "3000000", "10"}));
  ASSERT_TRUE(cluster.ends(job, seconds(20)));
  ReadLog read;
  read.id = job;
  read.limit = 1'000'000;
  std::string text;
  for (int i = 0; i < 3; ++i) {
    read.offset = text.size();
    const Result<JobAnswer> answer = cluster.call(2, read);
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    const LogChunk& chunk = std::get<LogChunk>(*answer);
    EXPECT_EQ(chunk.data.size(), 1'000'000u);
    EXPECT_EQ(chunk.end, i == 2);
    text += to_text(chunk.data);
  }
  for (std::size_t i = 0; i < text.size(); i += 997) ASSERT_EQ(text[i], 'a' + i % 26);
}

TEST(Logs, AreFollowedLiveThroughATakeoverWithoutGapOrRepeat) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"slow-print", "200", "20000"}));
  cluster.run_for(seconds(1));
  const GroupId group{1};
  // The leader moves again and again while the log is followed.
  std::string text;
  ReadLog read;
  read.id = job;
  read.follow = true;
  std::size_t answers = 0;
  for (bool end = false; !end;) {
    const Result<JobAnswer> answer = cluster.call(2, read);
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    const LogChunk& chunk = std::get<LogChunk>(*answer);
    ASSERT_EQ(chunk.offset, text.size());
    text += to_text(chunk.data);
    read.offset = text.size();
    if (chunk.attempt.number != 0) read.attempt = chunk.attempt.number;
    end = chunk.end;
    if (++answers % 20 == 0) cluster.lead(group, answers / 20 % 3);
  }
  ASSERT_EQ(text.size(), 200u);
  for (std::size_t i = 0; i < text.size(); ++i) ASSERT_EQ(text[i], 'a' + i % 26);
  EXPECT_GT(answers, 50u);
}

TEST(Logs, OfAnAttemptWithTheNumberOfALostOneBeginAnew) {
  Cluster cluster({.nodes = 4, .cpus = 1});
  const GroupId group{1};
  const JobId job = cluster.submit(0, group, cluster.spec({"slow-print", "100", "10000"}));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 1; }, seconds(5)));
  std::size_t host = 0;
  while (cluster.processes(host).empty()) ++host;
  const std::size_t reader = (host + 1) % 4;
  cluster.lead(group, host);
  cluster.run_for(milliseconds(750));
  ReadLog read;
  read.id = job;
  read.follow = true;
  const Result<JobAnswer> live = cluster.call(reader, read);
  ASSERT_TRUE(live.has_value());
  const LogChunk before = std::get<LogChunk>(*live);
  ASSERT_GE(before.data.size(), 5u);
  // Coordinator and task are lost at once, before any output was in the log.
  cluster.crash(host);
  ASSERT_TRUE(cluster.run_until([&] { return cluster.starts(job) == 2; }, seconds(10)));
  cluster.run_for(milliseconds(300));
  read.of = before.attempt;
  read.offset = before.data.size();
  const Instant asked = cluster.now();
  const Result<JobAnswer> answer = cluster.call(reader, read);
  ASSERT_TRUE(answer.has_value());
  const LogChunk& chunk = std::get<LogChunk>(*answer);
  EXPECT_EQ(chunk.attempt.number, before.attempt.number);
  EXPECT_NE(chunk.attempt, before.attempt);
  EXPECT_EQ(chunk.offset, 0u);
  EXPECT_EQ(to_text(chunk.data).substr(0, 2), "ab");
  EXPECT_LT((cluster.now() - asked).milliseconds(), 100);
}

TEST(Logs, ATaskThatWritesForEverIsCutAndFillsNothing) {
  Cluster cluster({.nodes = 1});
  JobSpec spec = cluster.spec({"print", "50000000", "10"});
  spec.log_limit = 2'000'000;
  const JobId job = cluster.submit(0, GroupId{1}, spec);
  ASSERT_TRUE(cluster.ends(job, seconds(60)));
  EXPECT_LE(cluster.put_bytes(), 2'100'000u);
  EXPECT_TRUE(cluster.task(job, 1).log_truncated);
  const std::string text = cluster.read_log(0, job, 1);
  EXPECT_EQ(text.size(), 2'000'000u + 5u);
  EXPECT_NE(text.find("[cut]"), std::string::npos);
  EXPECT_EQ(text.back(), 'a' + (50'000'000 - 1) % 26);
}

TEST(Logs, OfALostHostAreReadableUpToTheLastSeconds) {
  Cluster cluster({.nodes = 3, .cpus = 1});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"slow-print", "600", "600000"}));
  cluster.run_for(seconds(30));
  std::size_t host = 0;
  while (cluster.processes(host).empty()) ++host;
  cluster.crash(host);
  cluster.run_for(seconds(8));
  const std::size_t reader = host == 0 ? 1 : 0;
  ReadLog read;
  read.id = job;
  read.attempt = 1;
  std::string text;
  for (int i = 0; i < 100; ++i) {
    const Result<JobAnswer> answer = cluster.call(reader, read);
    ASSERT_TRUE(answer.has_value()) << answer.error().message;
    const LogChunk& chunk = std::get<LogChunk>(*answer);
    text += to_text(chunk.data);
    read.offset = text.size();
    if (chunk.end || chunk.data.empty()) break;
  }
  EXPECT_GE(text.size(), 27u);
  EXPECT_LE(text.size(), 30u);
}

TEST(Watch, AnswersWhenSomethingChangesAndAtTheEnd) {
  Cluster cluster({});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "3000"}, 4));
  std::uint64_t seen = 0;
  int answers = 0;
  for (;;) {
    const Result<JobAnswer> answer = cluster.call(1, WatchJob{job, seen, seconds(20), false});
    ASSERT_TRUE(answer.has_value());
    const JobSummary& summary = std::get<JobChanged>(*answer).job;
    EXPECT_GT(summary.version, seen);
    const TaskCounts& t = summary.tasks;
    EXPECT_EQ(t.total, t.waiting + t.queued + t.running + t.done + t.failed + t.cancelled);
    seen = summary.version;
    ++answers;
    if (is_final(summary.state)) break;
  }
  EXPECT_LT(answers, 20);
  EXPECT_LT(cluster.now().us, seconds(4).us);
}

TEST(Fairness, TwoUsersShareANodeAlthoughOneCameFirst) {
  Cluster cluster({.nodes = 1, .cpus = 4});
  const JobId first = cluster.submit(0, GroupId{1}, cluster.spec({"work", "500"}, 400), "ann");
  cluster.run_for(seconds(2));
  const JobId second = cluster.submit(0, GroupId{2}, cluster.spec({"work", "500"}, 400), "ben");
  cluster.run_for(seconds(2));
  EXPECT_EQ(cluster.running(first), 2u);
  EXPECT_EQ(cluster.running(second), 2u);
}

TEST(Fairness, ABigTaskIsNotStarvedBySmallOnes) {
  Cluster cluster({.nodes = 1, .cpus = 4});
  const JobId small = cluster.submit(0, GroupId{1}, cluster.spec({"work", "700"}, 4000), "ann");
  cluster.run_for(seconds(1));
  JobSpec spec = cluster.spec({"work", "100"});
  spec.cpus = 4;
  const JobId big = cluster.submit(0, GroupId{2}, spec, "ben");
  EXPECT_TRUE(cluster.run_until([&] { return cluster.is_final(big); }, seconds(10)));
  EXPECT_FALSE(cluster.is_final(small));
}

TEST(Handback, ANodeThatEndsGivesItsTasksToOthersWithoutUsingUpARetry) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "3000"}, 12));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 12; }, seconds(5)));
  cluster.hand_back(2);
  EXPECT_TRUE(cluster.run_until([&] { return cluster.processes(2).empty(); }, seconds(2)));
  EXPECT_TRUE(cluster.ends(job, seconds(20)));
  EXPECT_EQ(cluster.show(job).tasks.done, 12u);
  EXPECT_EQ(cluster.starts(job), 16u);
}

// Whether or not its coordinators have heard of it.
TEST(Draining, ANodeRunsWhatItHasAndTakesNothingNewUntilItDrainsNoMore) {
  Cluster cluster({.nodes = 3, .cpus = 4});
  const JobId first = cluster.submit(0, GroupId{1}, cluster.spec({"work", "3000"}, 12));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(first) == 12; }, seconds(5)));
  cluster.set_draining(2, true);
  cluster.run_for(seconds(1));
  EXPECT_EQ(cluster.processes(2).size(), 4u);
  const JobId second = cluster.submit(0, GroupId{2}, cluster.spec({"work", "500"}, 60));
  ASSERT_TRUE(cluster.run_until([&] { return cluster.is_final(first); }, seconds(10)));
  EXPECT_EQ(cluster.starts(first), 12u);
  EXPECT_FALSE(
      cluster.run_until([&] { return !cluster.processes(2).empty(); }, milliseconds(1500)));
  cluster.set_draining(2, false);
  EXPECT_TRUE(cluster.run_until([&] { return !cluster.processes(2).empty(); }, seconds(3)));
  EXPECT_TRUE(cluster.run_until([&] { return cluster.is_final(second); }, seconds(20)));
  EXPECT_EQ(cluster.show(second).tasks.done, 60u);
}

TEST(Handback, ARestartInOrderIsNoHostThatDiedUnderItsTasks) {
  Cluster cluster({.nodes = 2, .cpus = 1});
  cluster.lead(GroupId{1}, 0);
  const JobId job = cluster.submit(0, GroupId{1}, cluster.spec({"work", "600000"}, 2));
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 2; }, seconds(20)));
    cluster.hand_back(1);
    ASSERT_TRUE(cluster.run_until([&] { return cluster.processes(1).empty(); }, seconds(2)));
    cluster.run_for(milliseconds(500));
    cluster.crash(1);
    cluster.restart(1);
  }
  ASSERT_TRUE(cluster.run_until([&] { return cluster.running(job) == 2; }, seconds(20)));
  EXPECT_EQ(cluster.show(job).tasks.failed, 0u);
  for (const auto& [index, detail] : cluster.job(job)->details) {
    EXPECT_TRUE(detail.lost_on.empty());
  }
}

}  // namespace
}  // namespace dunlin::sched::testing
